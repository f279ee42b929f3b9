"""Estimates: from a few epochs and what the store knows to a range; what fits into a time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from recsweep.cli.estimates import to_run
from recsweep.common.owner import this_process
from recsweep.estimating.epochs import expected_epochs, left_by_pruning
from recsweep.estimating.estimate import estimate
from recsweep.estimating.history import History, history_of
from recsweep.estimating.kept import keep, kept, key_of
from recsweep.estimating.points import points
from recsweep.estimating.probe import DEFAULTS, LARGE, SMALL, Probe, Probes
from recsweep.estimating.proposal import proposals, seconds_of
from recsweep.estimating.span import Span
from recsweep.study import Result
from recsweep.sweeps.sections import PruningConfig, SearchConfig, TrainingConfig

NOTHING = History()


def probe(name=DEFAULTS, **facts):
    return Probe(name, {}, **{"setup_seconds": 1.0, "epoch_seconds": 2.0, "epochs": 2, **facts})


def measured(*probes, ready=3.0):
    return Probes(ready, 2**30, taken=probes or (probe(), probe("within 1", epoch_seconds=4.0)))


def test_points_are_the_start_the_corners_and_some_within_each_once(make_plan):
    plan = make_plan("GRU4Rec")
    found = {point.name: point.params for point in points(plan)}
    assert list(found)[:3] == [DEFAULTS, "within 1", LARGE]
    assert list(found)[-1] == SMALL
    assert found[DEFAULTS] == plan.defaults
    sizes = {name: (found[SMALL][name], found[LARGE][name]) for name in ("hidden_size", "num_layers")}
    assert sizes == {"hidden_size": (64, 256), "num_layers": (1, 2)}
    assert found[LARGE]["learning_rate"] == plan.defaults["learning_rate"]
    assert all(plan.space[name].contains(value) for one in found.values() for name, value in one.items())
    assert len({str(params) for params in found.values()}) == len(found) == 8


def test_a_space_without_sizes_has_no_corners(make_plan):
    plan = make_plan("FPMC")
    plan = replace(plan, model=plan.model.model_copy(update={"space": {}, "phases": {}}))
    assert [point.name for point in points(plan)] == [DEFAULTS]


@pytest.mark.parametrize(
    ("probes", "history", "expected", "assumed"),
    [
        ([], NOTHING, 35, True),
        ([probe(epochs=60)], NOTHING, 85, True),
        ([probe(epochs=20, finished=True), probe("within 1", epochs=40, finished=True)], NOTHING, 30, False),
        ([probe(epochs=20, finished=True), probe("within 1", epochs=2)], NOTHING, 27.5, True),
        ([probe(LARGE, epochs=9, finished=True)], NOTHING, 35, True),
        ([probe(epochs=20, finished=True)], History([10, 20, 60]), 30, False),
    ],
)
def test_epochs_come_of_the_best_that_is_known(probes, history, expected, assumed):
    found = expected_epochs(TrainingConfig(epochs=300, stopping_step=9), probes, history)
    assert (found.of_trial.expected, found.assumed) == (expected, assumed)
    assert 1 <= found.of_trial.low <= expected <= found.of_trial.high <= 300


def test_trials_too_short_for_early_stop_have_all_their_epochs():
    found = expected_epochs(TrainingConfig(epochs=5, stopping_step=10), [], History([2, 2, 2]))
    assert found.of_trial == Span.sure(5)


def test_models_that_are_computed_have_one_epoch():
    found = expected_epochs(TrainingConfig(epochs=4), [probe(epochs=1, finished=True)], NOTHING)
    assert found.of_trial == Span.sure(1)


def test_pruning_leaves_less_of_long_searches_of_long_trials():
    search, median = SearchConfig(), PruningConfig(pruner="median")
    long, short = Span.sure(100.0), Span.sure(8.0)
    assert left_by_pruning(PruningConfig(), search, long, 20) == Span.sure(1.0)
    assert 0.5 < left_by_pruning(median, search, long, 20).expected < 0.6
    assert left_by_pruning(median, search, long, 2).expected == 1.0
    assert left_by_pruning(median, search, short, 20).expected == 1.0


def test_a_study_takes_its_trials_by_its_workers_beside_start_and_test(make_plan):
    plan = make_plan(max_evals=10, epochs=5)
    found = estimate(plan, 10, measured(), NOTHING)
    assert found.trial.expected == pytest.approx(1 + 5 * 3 + 0.1)
    assert found.total.expected == pytest.approx(10 * 16.1 + 3 + 1)
    assert found.total.low < found.total.expected < found.total.high
    halved = estimate(make_plan(max_evals=10, epochs=5, workers=2), 10, measured(), NOTHING)
    assert halved.total.expected == pytest.approx(5 * 16.1 + 4)
    assert (found.memory, halved.memory) == (2**30, 2**31)


def test_workers_that_come_from_another_study_are_not_started_again(make_plan):
    plan = make_plan(max_evals=10, epochs=5)
    cold, warm = (estimate(plan, 10, measured(), NOTHING, warm=one) for one in (False, True))
    assert cold.total.expected - warm.total.expected == pytest.approx(3 - 0.3)
    assert warm.trial == cold.trial
    assert estimate(plan, 10, measured(ready=0.1), NOTHING, warm=True).fixed == pytest.approx(0.1 + 1)


def test_a_budget_in_seconds_is_what_it_says(make_plan):
    plan = make_plan(max_evals=50, epochs=5, budget="seconds", share=60)
    assert estimate(plan, 50, measured(), NOTHING).total.expected == pytest.approx(60 + 4)


def test_the_first_trials_of_a_study_tell_of_the_others(make_plan):
    earlier = History([5] * 3, [100.0, 110.0, 120.0])
    assert estimate(make_plan(epochs=5), 2, measured(), earlier).trial.expected == pytest.approx(110.1)


def test_a_model_that_fails_is_said_to_be_not_known(make_plan):
    failed = measured(Probe(DEFAULTS, {}, failure="out of memory"))
    found = estimate(make_plan(), 2, failed, NOTHING)
    assert (found.is_known, found.trouble) == (False, "out of memory")


def test_history_is_of_the_model_on_the_data_under_the_same_rules(make_plan, store):
    plan = make_plan(epochs=9)
    study = store.open_study(plan.name, plan.definition, maximize=[True], record=plan.record())
    study.ensure_slots(2)
    claim = study.claim(2, this_process())
    study.start(claim, plan.defaults, plan.space, 1, {})
    study.finish(claim, [0.5], Result({}, 3, 7, 12.0))
    assert history_of(plan, store) == History([7.0], [12.0])
    longer = replace(plan, sweep=plan.sweep.model_copy(update={"training": TrainingConfig(epochs=10)}))
    assert history_of(longer, store) == History([], [])


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("8h", 28800),
        ("90m", 5400),
        ("1h30m", 5400),
        ("1.5 h", 5400),
        ("trials", None),
        ("", None),
        ("0h", None),
    ],
)
def test_a_time_is_hours_and_minutes(text, seconds):
    assert seconds_of(text) == seconds


def test_what_fits_is_as_much_for_each_model(make_plan):
    plan = make_plan(max_evals=20, epochs=5)
    one = estimate(plan, 20, measured(), NOTHING)
    all_of_it, *none = proposals([one], 3600)
    assert (all_of_it.settings, none) == ({}, [])
    trials, seconds = proposals([one, one], 300)
    assert trials.settings == {"max_evals": str(int((300 - 8) * 0.95 / (2 * 16.1)))}
    assert seconds.settings == {"budget": "seconds", "share": str(int((300 - 8) * 0.95))}
    assert trials.seconds <= 300
    epochs, _ = proposals([one], 70)
    assert epochs.settings.keys() == {"max_evals", "epochs"}
    assert int(epochs.settings["epochs"]) < 5
    assert proposals([one], 2) == []


def test_the_line_to_run_keeps_what_was_given():
    given = "make dry-run BUDGET=8h MAX_EVALS=50 DATASETS='a b' ESTIMATE=9"
    assert to_run(given, {"max_evals": "7"}) == "make tune-all 'DATASETS=a b' MAX_EVALS=7"
    assert to_run("make dry-run MODEL=FPMC BUDGET=8h", {}) == "make tune MODEL=FPMC"
    ours = "recsweep tune --dry-run --budget=8h --models 'A B' --estimate 3 --max-evals 9"
    assert to_run(ours, {"max_evals": "7"}) == "recsweep tune --models 'A B' --max-evals 7"


def test_what_was_measured_is_kept_for_the_same_and_nothing_else(make_plan, tmp_path):
    plan, probes = make_plan("FPMC"), measured()
    key = key_of(plan, points(plan), 2)
    keep(tmp_path, key, plan, probes)
    assert kept(tmp_path, key) == probes
    other = make_plan("FPMC", max_evals=9, seed=4)
    assert key_of(other, points(plan), 2) == key
    changed = [key_of(plan, points(plan), 1), key_of(make_plan("FPMC", batch_size=7), points(plan), 2)]
    assert all(one != key and kept(tmp_path, one) is None for one in changed)


def test_a_kept_file_that_is_not_whole_is_measured_again(make_plan, tmp_path):
    plan = make_plan("FPMC")
    key = key_of(plan, points(plan), 2)
    keep(tmp_path, key, plan, measured())
    (file,) = tmp_path.glob("*.json")
    whole = file.read_text()
    for text in ("", "{}", "[]", whole.replace('"epochs": 2', '"epochs": "2"'), whole[:90]):
        file.write_text(text)
        assert kept(tmp_path, key) is None
