"""The test split is seen once, by the winner of a closed study."""

from __future__ import annotations

import pytest
import torch

from recsweep.common.errors import RecsweepError
from recsweep.common.owner import this_process
from recsweep.datasets.prepare import prepare
from recsweep.running.evaluate import evaluate_winner
from recsweep.running.study_run import StudyRun
from recsweep.statistics.users import UserScores
from recsweep.study import Reason, Result, Store, best
from recsweep.training import training, users

CPU = torch.device("cpu")
FAST = {"learning_rate": 0.009, "embedding_size": 16, "weight_decay": 0.0}


@pytest.fixture
def plan(make_plan):
    return make_plan("FPMC", max_evals=3)


@pytest.fixture
def study(plan):
    store = Store(plan.storage_url)
    study = store.open_study(plan.name, plan.definition, maximize=True)
    study.ensure_slots(plan.budget)
    yield study
    store.close()


def fill(plan, study, scores):
    for score in scores:
        claim = study.claim(plan.budget, this_process())
        study.start(claim, FAST, plan.model.space, plan.trial_seed(claim.slot), {})
        if score is None:
            study.fail(claim, Reason.DIVERGED, "NaN")
        else:
            study.finish(claim, score, Result())


def evaluate(plan, study, **more):
    notes: list[str] = []
    store = Store(plan.storage_url)
    try:
        run = StudyRun(plan, store.find_study(plan.name), notes.append)
        return evaluate_winner(run, CPU, **more), notes
    finally:
        store.close()


def save(plan, slot, params):
    settings = plan.settings(params, plan.trial_seed(slot))
    trained = training.train(settings, prepare(settings, plan.files, plan.outputs.cache).split, CPU)
    folder = plan.outputs.trial_checkpoints(plan.dataset_name, plan.model_name, slot)
    assert training.save_checkpoints(folder, trained)


def test_the_test_split_stays_unseen_until_the_study_is_closed(plan, study):
    fill(plan, study, [0.1, 0.2])
    with pytest.raises(RecsweepError, match="not closed; its test split stays unseen"):
        evaluate(plan, study)
    assert "test" not in study.attributes


def test_a_study_without_a_success_has_nothing_to_evaluate(plan, study):
    fill(plan, study, [None, None, None])
    with pytest.raises(RecsweepError, match="no trial succeeded"):
        evaluate(plan, study)


def test_a_winner_whose_weights_are_lost_is_trained_again_and_evaluated_once(plan, study, monkeypatch):
    fill(plan, study, [0.1, 0.3, 0.3])
    metrics, notes = evaluate(plan, study)
    assert set(metrics) == {"recall@10", "mrr@10", "ndcg@10", "hit@10"}
    assert len(notes) == 1
    assert "no checkpoint of trial 1 is left" in notes[0]
    assert study.attributes["test"]["slot"] == 1
    assert study.attributes["test"]["weights"] == "retrained"
    assert study.test_metrics(best(study.results(), maximize=True)) == metrics

    monkeypatch.setattr(training, "train", None)  # neither trained nor
    monkeypatch.setattr(users, "tested", None)  # evaluated a second time
    assert evaluate(plan, study) == (metrics, [])


def test_restored_weights_give_what_retrained_ones_give(plan, study):
    fill(plan, study, [0.1, 0.3, None])
    retrained, _ = evaluate(plan, study)
    study.set_attribute("test", {"trial_id": -1, "metrics": {}})  # of another winner
    save(plan, 1, FAST)
    restored, notes = evaluate(plan, study)
    assert restored == retrained
    assert notes == []
    assert study.attributes["test"]["weights"] == "restored"


def test_weights_that_an_earlier_version_left_are_still_restored(plan, study):
    fill(plan, study, [0.1, 0.3, None])
    save(plan, 1, FAST)
    path_parts = plan.dataset_name, plan.model_name, 1
    old = plan.outputs.old_checkpoints(*path_parts)
    old.parent.mkdir(parents=True)
    plan.outputs.trial_checkpoints(*path_parts).rename(old)
    _, notes = evaluate(plan, study)
    assert notes == []
    assert study.attributes["test"]["weights"] == "restored"


def test_weights_of_another_configuration_are_not_taken_for_the_winners(plan, study):
    fill(plan, study, [0.3, 0.1, 0.1])
    save(plan, 0, {**FAST, "learning_rate": 0.0001})
    evaluate(plan, study)
    assert study.attributes["test"]["weights"] == "retrained"


def test_a_new_winner_of_a_larger_budget_is_evaluated_anew(plan, study, make_plan):
    fill(plan, study, [0.3, 0.1, 0.1])
    evaluate(plan, study)
    larger = make_plan("FPMC", max_evals=4)
    study.ensure_slots(4)
    fill(larger, study, [0.4])
    assert study.test_metrics(best(study.results(), maximize=True)) is None
    evaluate(larger, study)
    assert study.attributes["test"]["slot"] == 3


# -- scores per user ------------------------------------------------------------------------------


def users_of(plan) -> UserScores:
    return UserScores.read(plan.outputs.users(*plan.folder_names))


def test_scores_per_user_are_written_with_the_test(plan, study):
    fill(plan, study, [0.1, 0.3, None])
    save(plan, 1, FAST)
    metrics, _ = evaluate(plan, study)
    found = users_of(plan)
    assert found.means() == pytest.approx(metrics, abs=1e-6)
    assert found.about == {"study": plan.name, "trial": 1, "seed": plan.trial_seed(1)}


def test_scores_per_user_are_made_again_from_what_is_kept(plan, study, monkeypatch):
    fill(plan, study, [0.1, 0.3, None])
    save(plan, 1, FAST)
    metrics, _ = evaluate(plan, study)
    test, before = study.attributes["test"], users_of(plan)
    file = plan.outputs.users(*plan.folder_names)
    file.unlink()
    assert evaluate(plan, study) == (metrics, [])
    assert not file.exists()  # nobody has asked for them
    monkeypatch.setattr(training, "train", None)
    assert evaluate(plan, study, users=True) == (metrics, [])
    assert study.attributes["test"] == test
    assert users_of(plan).users.tolist() == before.users.tolist()
    assert users_of(plan).means() == before.means()


def test_without_weights_nothing_is_trained_for_scores_per_user(plan, study, monkeypatch):
    fill(plan, study, [0.1, 0.3, None])
    evaluate(plan, study)
    file = plan.outputs.users(*plan.folder_names)
    file.unlink()
    monkeypatch.setattr(training, "train", None)
    _, notes = evaluate(plan, study, users=True)
    assert not file.exists()
    assert "no weights of trial 1 are left, so its scores per user cannot be made again" in notes[0]
