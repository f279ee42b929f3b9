"""Each alarm is raised where it should be, with its number, and is not where nothing is wrong."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import yaml
from pydantic import TypeAdapter

from helpers.found import result_of, trial, workspace
from helpers.reported import with_evidence
from recsweep.alarms.agreement import disagreeing
from recsweep.alarms.budgets import unequal_budgets
from recsweep.alarms.convergence import found_late
from recsweep.alarms.data import leaking, repeating, sampled
from recsweep.alarms.edges import at_edges, can_be_widened, edge_of
from recsweep.alarms.epochs import best_at_once, stopped_by_epochs
from recsweep.alarms.popularity import no_better_than_popular
from recsweep.alarms.power import too_small
from recsweep.alarms.raised import alarms_of_study, alarms_of_sweep
from recsweep.report.alarms import of_row, raised
from recsweep.report.results import StudyResult
from recsweep.report.summary import write_summary
from recsweep.statistics.users import UserScores
from recsweep.study import Result
from recsweep.sweeps.config import ModelConfig

INSIDE = {"learning_rate": 0.001, "n_layers": 2, "hidden_size": 64, "loss_type": "BPR"}


@pytest.fixture
def plan(tmp_path):
    return workspace(tmp_path, budget=20).plan()


def search(plan, scores=(0.1, 0.3, 0.2), test=None, model="NARM", **changes) -> StudyResult:
    """A finished search whose trials came to these scores; nothing is wrong with it."""
    trials = [
        trial(slot, score, **{"params": INSIDE, "result": epochs(60, 100), **changes})
        for slot, score in enumerate(scores)
    ]
    record = dataclasses.replace(plan.record(), model_name=model, budget=len(trials))
    found = dataclasses.replace(result_of(plan, trials), record=record)
    return found if test is None else dataclasses.replace(found, test={"ndcg@10": test})


def epochs(best: int, trained: int) -> Result:
    return Result({"ndcg@10": 0.1}, best_epoch=best, epochs=trained, seconds=2.0)


def open_again(result: StudyResult) -> StudyResult:
    """The same, with trials still to run."""
    return dataclasses.replace(result, record=dataclasses.replace(result.record, budget=99))


def test_a_sound_sweep_raises_nothing(plan):
    sweep = [search(plan, test=0.30, model="A"), search(plan, (0.2, 0.1, 0.1), test=0.2, model="B")]
    assert alarms_of_sweep(sweep, {"toy": search(plan, (0.05,), test=0.05, model="Pop")}) == []


# -- popularity -----------------------------------------------------------------------------------


def test_a_model_that_is_no_better_than_popular_items_is_named(plan):
    pop = {"toy": search(plan, (0.3,), model="Pop")}
    (alarm,) = no_better_than_popular([search(plan)], pop)
    assert (alarm.about, alarm.number) == ("toy/NARM", 0.0)
    assert "0.3000 on validation is no better than the most popular items' 0.3000" in alarm.text
    assert "Ferrari Dacrema" in alarm.source
    assert list(no_better_than_popular([search(plan, (0.31,))], pop)) == []


def test_popular_items_may_win_on_test_alone(plan):
    pop = {"toy": search(plan, (0.1,), test=0.28, model="Pop")}
    (alarm,) = no_better_than_popular([search(plan, test=0.2)], pop)
    assert "0.2000 on test" in alarm.text
    assert alarm.number == pytest.approx(-0.08)
    assert list(no_better_than_popular([search(plan)], {})) == []
    assert list(no_better_than_popular([open_again(search(plan, test=0.2))], pop)) == []
    assert list(no_better_than_popular([pop["toy"]], pop)) == []


# -- of a search ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "parameter", "value", "widened"),
    [
        ("ItemKNN", "shrink: {type: choice, values: [0.0, 0.5, 1.0]}", 0.0, False),
        ("ItemKNN", "shrink: {type: choice, values: [0.0, 0.5, 1.0]}", 1.0, True),
        ("ItemKNN", "k: {type: randint, min: 1, max: 9}", 1, False),
        ("ItemKNN", "k: {type: randint, min: 2, max: 9}", 2, True),
        ("NARM", "learning_rate: {type: loguniform, min: 1.0e-4, max: 1.0e-2}", 1e-4, True),
    ],
)
def test_no_bound_is_proposed_that_the_model_does_not_take(model, parameter, value, widened):
    name, _, given = parameter.partition(": ")
    space = TypeAdapter(ModelConfig).validate_python({"model": model, "space": {name: yaml.safe_load(given)}})
    bounds = edge_of(space.space[name], value)
    assert bounds is not None
    assert can_be_widened(model, name, *bounds, value) is widened


def test_a_value_at_the_edge_of_its_range_is_named(plan):
    (alarm,) = at_edges(search(plan, params={**INSIDE, "n_layers": 3}))
    assert (alarm.number, alarm.text) == (3.0, "n_layers 3 is at the edge of its range, 1 to 3")
    assert list(at_edges(search(plan))) == []


def test_epochs_that_ran_out_are_told_with_how_many_trials_did(plan):
    most = plan.sweep.training.epochs
    (alarm,) = stopped_by_epochs(search(plan, result=epochs(most - 1, most)))
    assert alarm.number == 1.0
    assert f"the limit of epochs, {most}, ended the best trial (its best epoch is {most - 1})" in alarm.text
    assert list(stopped_by_epochs(search(plan))) == []
    assert list(stopped_by_epochs(open_again(search(plan, result=epochs(most - 1, most))))) == []


def test_early_stop_that_fired_at_once_is_told(plan):
    patience = plan.sweep.training.stopping_step
    (alarm,) = best_at_once(search(plan, result=epochs(1, patience + 2)))
    assert (alarm.number, alarm.source) == (1, "Prechelt 1998")
    assert list(best_at_once(search(plan))) == []
    assert list(best_at_once(search(plan, result=epochs(1, 2)))) == [], "a pruner or a kill ended it"


def test_a_model_that_learns_by_no_gradient_has_no_epochs(plan):
    own = search(plan, result=epochs(1, plan.sweep.training.epochs))
    model = {**own.record.definition["model"], "model": "ItemKNN"}
    counts = own.record.with_details(definition={**own.record.definition, "model": model})
    assert list(stopped_by_epochs(dataclasses.replace(own, record=counts))) == []


def test_a_best_that_was_found_in_the_last_tenth_is_told(plan):
    late = [0.1] * 18 + [0.4, 0.1]
    (alarm,) = found_late(search(plan, late))
    assert alarm.number == pytest.approx(19 / 20)
    assert "number 19 of 20" in alarm.text
    assert list(found_late(search(plan, [0.1] * 17 + [0.4, 0.1, 0.1]))) == []
    assert list(found_late(search(plan, [0.1, 0.2]))) == [], "too few to have a last tenth"
    assert list(found_late(open_again(search(plan, late)))) == []


def test_lateness_goes_by_slots_and_not_by_when_workers_ended(plan):
    """The best of several workers' trials ends late, as nothing prunes it."""
    for slot, numbers in ((0, []), (19, [1.0])):
        found = search(plan, [0.4 if slot == own else 0.1 for own in range(20)])
        ended = [dataclasses.replace(one, ended=20 - one.slot) for one in reversed(found.trials)]
        turned = dataclasses.replace(found, trials=ended, winner=ended[19 - slot])
        assert [alarm.number for alarm in found_late(turned)] == numbers


def test_unequal_budgets_are_an_alarm_of_the_sweep(plan):
    (alarm,) = unequal_budgets([search(plan, (0.1,) * 4), search(plan, (0.1,) * 6, model="Other")])
    assert (alarm.about, alarm.number) == ("toy-sweep", 1.5)
    assert alarm.text == "budgets differ: toy/NARM 4, toy/Other 6 trials"
    assert list(unequal_budgets([search(plan), search(plan, model="Other")])) == []


# -- of tested winners ----------------------------------------------------------------------------


def test_another_order_on_test_than_on_validation_is_told(plan):
    names, valid = "ABCD", (0.4, 0.3, 0.2, 0.1)

    def tested(*tests):
        return [
            search(plan, (score,), test, name) for name, score, test in zip(names, valid, tests, strict=True)
        ]

    (alarm,) = disagreeing(tested(0.3, 0.4, 0.1, 0.2))
    assert (alarm.about, alarm.number) == ("toy", pytest.approx(1 / 3))
    assert "2 of 6 pairs are the other way round" in alarm.text
    assert list(disagreeing(tested(0.4, 0.3, 0.2, 0.1))) == []
    assert list(disagreeing(tested(0.3, 0.4, 0.1, None))) == [], "not before all are tested"
    assert list(disagreeing(tested(0.3, 0.4, 0.1, 0.2)[:2])) == [], "two have no order to speak of"
    assert list(disagreeing([*tested(0.3, 0.4, 0.1, 0.2)[:3], open_again(search(plan, test=1.0))])) == []


def test_of_models_trained_again_the_means_over_seeds_are_ordered(plan):
    valid = dict(zip("ABC", (0.4, 0.3, 0.2), strict=True))
    once = [search(plan, (score,), 0.5 - score, name) for name, score in valid.items()]
    alike = [
        with_evidence(one, (score, score + 0.1)) for one, score in zip(once, valid.values(), strict=True)
    ]
    assert [alarm.number for alarm in disagreeing(once)] == [-1.0]
    assert list(disagreeing(alike)) == [], "one training each was luck"
    assert [alarm.number for alarm in disagreeing([*alike[:2], once[2]])] == [-1.0], "not all were"
    single = with_evidence(once[2], (0.1,))
    assert [alarm.number for alarm in disagreeing([*alike[:2], single])] == [-1.0], "not on several seeds"
    lower = (0.3, 0.1, 0.0)
    turned = [
        with_evidence(one, (score, score), less)
        for one, score, less in zip(once, valid.values(), lower, strict=True)
    ]
    (alarm,) = disagreeing(turned)
    assert alarm.text.endswith("by their means over seeds")
    assert "recsweep compare" in alarm.answer


def test_a_test_set_that_cannot_show_the_lead_is_told(plan):
    random = np.random.default_rng(1)
    users, base = np.array([f"{u}" for u in range(100)]), random.random(100)

    def scores(lead):
        return {
            "A": UserScores(users, {"ndcg@10": base + lead + random.normal(0, 0.1, 100)}),
            "B": UserScores(users, {"ndcg@10": base}),
        }

    models = [search(plan, (0.4,), 0.3, "A"), search(plan, (0.3,), 0.3, "B")]
    own = scores(0.005)
    (alarm,) = too_small(models, lambda one: own[one.record.model_name])
    differences = own["A"].metrics["ndcg@10"] - base
    assert alarm.number > abs(differences.mean())
    assert "on the test of 100 users" in alarm.text
    assert "or test " in alarm.answer
    clear = scores(0.2)
    assert list(too_small(models, lambda one: clear[one.record.model_name])) == []
    assert list(too_small(models, lambda one: None)) == []
    assert list(too_small([models[0], open_again(models[1])], lambda one: own[one.record.model_name])) == []


def test_scores_of_users_of_another_winner_or_test_raise_nothing(plan):
    random = np.random.default_rng(2)
    base = random.random(100)
    values = {"A": base + random.normal(0.01, 0.2, 100), "B": base}
    models = [
        search(plan, (0.1, 0.4 - 0.1 * (name == "B")), float(one.mean()), name)
        for name, one in values.items()
    ]

    def told(result, slot=1, more=0.0):
        users, name = np.array([f"{u}" for u in range(100)]), result.record.model_name
        scores = UserScores(users, {"ndcg@10": values[name] + more}, {"trial": slot})
        scores.write(result.outputs.users(*result.record.folder_names))
        return [alarm.name for alarm in raised(models)]

    assert told(models[1]) == [], "the other one has no scores"
    assert told(models[0]) == ["power"]
    assert told(models[0], slot=0) == [], "of trial 0, and the winner is trial 1"
    assert told(models[0], more=0.1) == [], "the store has another mean"
    assert told(models[0]) == ["power"]
    models[0].outputs.users(*models[0].record.folder_names).write_bytes(b"torn")
    assert raised(models) == []


def test_of_models_trained_again_the_users_have_means_over_seeds(plan):
    random = np.random.default_rng(3)
    users, base = np.array([f"{u:03}" for u in range(100)]), random.random(100)
    lucky = {"A": base + random.normal(0.01, 0.2, 100), "B": base}
    models = [
        search(plan, (score,), float(lucky[name].mean()), name) for name, score in (("A", 0.4), ("B", 0.3))
    ]
    for result in models:
        record, outputs = result.record, result.outputs
        own, name = {"trial": 0, "params": INSIDE}, record.model_name
        UserScores(users, {"ndcg@10": lucky[name]}, own).write(outputs.users(*record.folder_names))
        for seed in (1, 2, 3):
            values = base + (name == "A") * (0.05 + random.normal(0, 0.01, 100))
            about = {**own, "training_seed": seed, "split_seed": plan.seed}
            file = outputs.evidence_users(record.dataset_name, name, seed, plan.seed)
            UserScores(users, {"ndcg@10": values}, about).write(file)
    again = [with_evidence(one) for one in models]
    assert [alarm.name for alarm in raised(models)] == ["power"], "of one training each"
    assert [alarm.name for alarm in raised([again[0], models[1]])] == ["power"]
    assert raised(again) == []
    for file in plan.outputs.root.rglob("users-*.parquet"):
        file.unlink()
    assert [alarm.name for alarm in raised(again)] == ["power"], "their scores are gone"


def test_the_number_of_trainings_stands_with_their_means(plan):
    users = np.array(["a", "b", "c"])
    own = {
        "A": UserScores(users, {"ndcg@10": np.array([0.1, 0.5, 0.3])}, {"trainings": 5}),
        "B": UserScores(users, {"ndcg@10": np.array([0.2, 0.1, 0.4])}, {"trainings": 5}),
    }
    models = [search(plan, (0.4,), 0.3, "A"), search(plan, (0.3,), 0.3, "B")]
    (alarm,) = too_small(models, lambda one: own[one.record.model_name])
    assert "on the test of 3 users in means of 5 trainings, which shows" in alarm.text
    own["B"] = UserScores(users, own["B"].metrics, {})
    assert list(too_small(models, lambda one: own[one.record.model_name])) == [], "one training beside five"


# -- of the data ----------------------------------------------------------------------------------


def test_leaks_and_repeats_are_told_with_their_shares():
    (leak,) = leaking("toy", "leave-one-out by time", {"leak": 0.97, "future": 0.4})
    assert leak.number == 0.97
    assert "97.0% of the test is older" in leak.text
    assert "Ji, Sun, Zhang and Li 2023" in leak.source
    assert list(leaking("toy", "any", {"leak": 0.0})) == []
    assert list(leaking("toy", "any", {})) == []
    (again,) = repeating("toy", {"repeats": 0.2})
    assert (again.number, again.about) == (0.2, "toy")
    assert list(repeating("toy", {"repeats": 0.001})) == []


def test_sampled_metrics_are_told_and_full_ranking_is_not():
    (alarm,) = sampled("toy", {"valid": "uni100", "test": "full"})
    assert (alarm.number, alarm.source) == (100, "Krichene and Rendle 2020")
    assert list(sampled("toy", "full")) == []
    assert list(sampled("toy", {"valid": "full", "test": "full"})) == []
    assert list(sampled("toy", {"valid": "labeled", "test": "labeled"})) == []


# -- together -------------------------------------------------------------------------------------


def test_alarms_of_the_data_come_once_for_all_of_its_models(plan):
    record = search(plan).record.counted({"leak": 0.9, "future": 0.3, "repeats": 0.5})
    one, other = (
        dataclasses.replace(search(plan), record=dataclasses.replace(record, budget=3, model_name=name))
        for name in ("A", "B")
    )
    found = raised([one, other])
    assert [alarm.name for alarm in found] == ["leak", "repeats"]
    assert of_row(one, found) == of_row(other, found) == found


def test_the_summary_has_each_alarm_with_its_answer(plan):
    edge = search(plan, params={**INSIDE, "n_layers": 3}, result=epochs(1, 12))
    assert [alarm.name for alarm in alarms_of_study(edge)] == ["edge", "first epoch"]
    alarms = write_summary(plan.outputs, [edge])
    markdown, latex, table = (plan.outputs.summary(kind).read_text() for kind in ("md", "tex", "csv"))
    assert "2 alarms (what they mean: docs/explanation/alarms.md):" in markdown
    assert markdown.count("\n- toy/NARM: ") == len(alarms) == 2
    assert "widen the range in the model's file" in markdown
    assert "is at the edge of its range" in latex
    assert table.splitlines()[1].endswith(",edge; first epoch")
