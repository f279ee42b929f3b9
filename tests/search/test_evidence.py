"""Evidence of a search: which trainings it is, in what order, and what the store has of it."""

from __future__ import annotations

import dataclasses

import pytest

from helpers import phased
from recsweep.common.errors import UserError
from recsweep.common.owner import this_process
from recsweep.planning.evidence import is_same
from recsweep.planning.plan import StudyPlan
from recsweep.report.results import read_result
from recsweep.search.evidence import open_evidence, points_in, wanted_evidence
from recsweep.study import EVIDENCE, Result, Store
from recsweep.study.transfer import merge

RANDOM = "path: toy\nsplit: {type: ratio, order: random}\n"
BPR = (
    "model: BPR\ndefaults: {embedding_size: 64}\nspace: {embedding_size: {type: choice, values: [32, 64]}}\n"
)
SCORES = [0.10, 0.30, 0.20, 0.30]


@pytest.fixture
def made(tmp_path):
    return phased.workspace(tmp_path)


@pytest.fixture
def plan(made):
    return made.plans()[0]


def searched(plan: StudyPlan, store: Store, scores=SCORES) -> StudyPlan:
    params = [{**plan.defaults, "hidden_size": size} for size in (32, 64, 96, 64)]
    phased.fill(plan, store, scores, params)
    return plan


def wanted(plan: StudyPlan, store: Store, **numbers: int):
    evidence = plan.sweep.evidence.model_copy(update=numbers)
    asked = dataclasses.replace(plan, sweep=plan.sweep.model_copy(update={"evidence": evidence}))
    return open_evidence(wanted_evidence(asked, store), store)


def trained(plan, store, scores) -> None:
    """Let the next slots come to these scores on validation, and a tenth less on test."""
    study = store.find_study(plan.name)
    study.ensure_slots(plan.budget)
    for score in scores:
        claim = study.claim(plan.budget, this_process())
        params = plan.points[claim.slot].configuration.params
        study.start(claim, params, plan.space, plan.trial_seed(claim.slot), {})
        found = Result({"ndcg@10": score}, 1, 2, 1.5, test={"ndcg@10": score - 0.1})
        study.finish(claim, score, found)


def result_of(plan, store):
    return read_result(store.find_record(plan.name), plan.sweep.outputs, store)


def evidence_of(plan, store):
    return result_of(plan, store).evidence


def test_the_best_configuration_is_trained_on_other_seeds(plan, store):
    found = wanted(searched(plan, store), store)
    assert [point.configuration.slot for point in found.points] == [1] * 5
    assert found.points[0].configuration.params["hidden_size"] == 64
    seeds = {point.training_seed for point in found.points}
    assert len(seeds) == 5
    assert not seeds & {plan.trial_seed(slot) for slot in range(4)}
    assert {point.split_seed for point in found.points} == {plan.seed}, "the split is by time"


def test_a_random_split_is_drawn_anew_and_the_training_seed_stays(tmp_path, store):
    made = phased.workspace(tmp_path, "max_evals: 1", model=BPR)
    made.dataset.write_text(RANDOM)
    plan = made.plans()[0]
    phased.fill(plan, store, [0.1])
    found = wanted(plan, store, training_seeds=2)
    pairs = [(point.split_seed, point.training_seed) for point in found.points]
    assert len(set(pairs)) == 6
    assert plan.seed not in {split for split, _ in pairs}
    one = found.settings(found.points[2].configuration.params, found.trial_seed(2), found.split_seed(2))
    assert (one["split_seed"], one["seed"]) == pairs[2]


def test_models_of_a_sweep_share_their_seeds(plan, store):
    found = wanted(searched(plan, store), store)
    other = dataclasses.replace(plan, model_name="Other")
    assert wanted(searched(other, store), store).points[1].training_seed == found.points[1].training_seed


def test_more_seeds_and_configurations_come_after_those_that_are_there(plan, store):
    first = wanted(searched(plan, store), store, training_seeds=2)
    more = wanted(plan, store, training_seeds=3, top=2)
    assert more.points[:2] == first.points
    assert len(more.points) == 6
    assert {point.configuration.slot for point in more.points} == {1, 2}, "trial 3 repeats trial 1"
    assert wanted(plan, store, training_seeds=2) == dataclasses.replace(more, sweep=first.sweep)
    assert store.find_record(more.name).budget == 6


def test_a_search_that_has_not_ended_has_no_evidence(plan, store):
    with pytest.raises(UserError, match=r"0 of 4 trials of the search are there.*recsweep tune"):
        wanted_evidence(plan, store)
    searched(plan, store, SCORES[:3])
    with pytest.raises(UserError, match="3 of 4 trials"):
        wanted_evidence(plan, store)


def test_a_search_that_found_nothing_has_no_evidence(plan, store):
    searched(plan, store, [None] * 4)
    with pytest.raises(UserError, match="no trial of the search is complete"):
        wanted_evidence(plan, store)


def test_evidence_is_no_search(plan, store):
    found = wanted(searched(plan, store), store)
    trained(found, store, [0.5, 0.6])
    assert found.name == "s/toy/NARM/evidence"
    assert [record.study for record in store.records()] == [plan.name]
    assert store.find_record(found.name).kind == EVIDENCE
    result = result_of(plan, store)
    assert (result.all_trained, result.winner.score) == (4, 0.30)


def test_the_mean_over_seeds_stands_beside_the_searchs_own_score(plan, store):
    found = wanted(searched(plan, store), store, training_seeds=3)
    trained(found, store, [0.20, 0.22])
    (one,) = evidence_of(plan, store)
    assert (one.rank, one.planned, len(one.done), one.is_whole) == (1, 3, 2, False)
    validation, test = one.measure("validation", "NDCG@10"), one.measure("test", "NDCG@10")
    assert validation.spread.mean == pytest.approx(0.21)
    assert (validation.own, validation.optimism) == (0.30, pytest.approx(0.09))
    assert test.spread.mean == pytest.approx(0.11)
    assert (test.own, test.optimism) == (None, None), "the winner was not tested yet"


def test_evidence_of_an_earlier_best_is_not_the_winners(plan, store):
    small = dataclasses.replace(plan, slots=3)
    trained(wanted(searched(small, store, [0.1, 0.3, 0.2]), store, training_seeds=1), store, [0.2])
    study = store.find_study(plan.name)
    study.update_record(lambda record: record.raised(4, "config"))
    phased.fill(plan, store, [0.4], [{**plan.defaults, "hidden_size": 128}], study)
    assert evidence_of(plan, store) == ()
    again = wanted(plan, store, training_seeds=1)
    assert [point.configuration.slot for point in again.points] == [1, 3]
    trained(again, store, [0.35])
    best = evidence_of(plan, store)[0]
    assert (best.rank, best.configuration.slot) == (1, 3)


def test_evidence_of_a_search_made_anew_begins_anew(made, plan, store):
    before = wanted(searched(plan, store), store)
    trained(before, store, [0.5])
    other = made.plans(epochs=7)[0]
    store.open_study(other.name, other.definition, maximize=True, restart=True, record=other.record())
    searched(other, store)
    after = wanted(other, store)
    assert store.find_study(after.name).results() == []
    assert any("evidence@" in name for name in store.names()), "nothing that was trained is lost"
    assert len(points_in(store.find_study(after.name))) == 5


def test_a_configuration_is_the_same_whichever_trial_found_it(plan, store):
    one = wanted(searched(plan, store), store).points[0].configuration
    assert is_same(one, dataclasses.replace(one, slot=3))
    assert not is_same(one, dataclasses.replace(one, params={**one.params, "hidden_size": 96}))


@pytest.fixture
def elsewhere(tmp_path):
    other = Store(f"sqlite:///{tmp_path / 'elsewhere.db'}")
    yield other
    other.close()


def test_a_merge_brings_evidence_as_evidence(plan, store, elsewhere):
    for one, seeds, scores in ((store, 3, [0.2, 0.3, 0.4]), (elsewhere, 1, [0.2])):
        trained(wanted(searched(plan, one), one, training_seeds=seeds), one, scores)
    (brought,) = merge(store, elsewhere, store.records(kind=EVIDENCE))
    assert not brought.refused
    (one,) = evidence_of(plan, elsewhere)
    assert (len(one.done), one.planned) == (3, 3)
    assert [record.study for record in elsewhere.records()] == [plan.name]


def test_a_merge_refuses_evidence_whose_slots_are_others(plan, store, elsewhere):
    wanted(searched(plan, store), store, training_seeds=2)
    wanted(searched(plan, elsewhere, [0.4, *SCORES[1:]]), elsewhere, training_seeds=2)
    (brought,) = merge(store, elsewhere, store.records(kind=EVIDENCE))
    assert "slots here are other trainings" in brought.refused
