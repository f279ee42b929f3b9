"""What RecBole's own tuner gets wrong, one test for each fault: it is absent here."""

from __future__ import annotations

import math

import pytest
import torch

from helpers.engine_contract import GRID, MIXED_DEFAULTS, EngineContract, constant, grid, mixed
from helpers.splits import users_with_wrong_items
from helpers.trials import CPU, OVERFITTING, settings_of, train
from recsweep.common.errors import InputError
from recsweep.datasets.prepare import prepare
from recsweep.planning.plan import plan_sweep
from recsweep.search.engines import make_engine
from recsweep.search.engines.base import Engine
from recsweep.study import Store
from recsweep.sweeps.loading import load_sweep
from recsweep.sweeps.space import grid_size
from recsweep.training import training


class Hyperopt(EngineContract):
    """The contract's way to run a search, without its tests."""

    __test__ = False

    def make_engine(self) -> Engine:
        return make_engine("hyperopt")


searched = Hyperopt().searched


def by_slot(scores: list[float | None]):
    return lambda slot, params: scores[slot]


def test_fault_a_search_ends_after_ten_trials_without_progress():
    session, _ = searched(mixed("random"), constant, 30)
    assert len(session.ran) == 30


def test_fault_a_score_of_zero_counts_as_none_yet():
    _, state = searched(mixed("random"), by_slot([0.0, -0.5, -0.25]), 3)
    assert state.best_params == MIXED_DEFAULTS


def test_fault_a_nan_first_score_sticks():
    session, state = searched(mixed("random"), by_slot([math.nan, 0.2, 0.1]), 3)
    assert state.best_params == session.params[1]


@pytest.mark.parametrize("score", [None, math.nan])
def test_fault_one_failing_or_nan_trial_ends_everything(score):
    session, state = searched(mixed("bayes"), by_slot([0.1, score, 0.3, score, 0.2]), 5)
    assert session.ran == [0, 1, 2, 3, 4]
    assert state.best_params == session.params[2]


def test_fault_results_appear_only_after_the_run(make_plan):
    """Another process sees each result as soon as its trial is over."""
    from recsweep.common.owner import this_process
    from recsweep.running.events import TrialDone
    from recsweep.running.worker import Worker

    plan = make_plan(max_evals=2)
    Store(plan.storage_url).open_study(plan.name, plan.definition, maximize=True).ensure_slots(2)
    seen = []

    def look(event):
        if isinstance(event, TrialDone):
            store = Store(plan.storage_url)
            seen.append(len(store.find_study(plan.name).results()))
            store.close()

    Worker(this_process(), look).search(plan)
    assert seen == [1, 2]


def test_fault_exhaustive_crashes_with_todays_hyperopt():
    session, _ = searched(grid("exhaustive"), constant, int(grid_size(GRID)))
    assert len({str(params) for params in session.params}) == grid_size(GRID)


@pytest.mark.parametrize("algo", ["random", "bayes", "anneal", "exhaustive"])
def test_fault_quniform_yields_a_float_where_the_model_needs_an_integer(algo):
    session, _ = searched(grid(algo), smooth_width, 6)
    assert {type(params["width"]) for params in session.params} == {int}


def smooth_width(slot, params):
    return params["width"] / 48


def test_fault_equal_parameters_overwrite_each_other():
    session, state = searched(grid("random"), by_slot([i / 100 for i in range(30)]), 30)
    assert len({str(params) for params in session.params}) < 30
    assert sorted(state.params2result.values()) == [i / 100 for i in range(30)]


def test_fault_trials_report_test_metrics_and_are_selected_by_them(make_plan):
    """A trial reports what validation said, after every epoch; the test split says something else."""
    plan = make_plan("FPMC")
    settings = settings_of(plan, learning_rate=0.1, epochs=2)
    split = prepare(settings, plan.files, plan.outputs.cache).split
    told = []
    trained = training.train(settings, split, CPU, lambda epoch, score: told.append(score))
    assert trained.score == max(told) == trained.metrics["ndcg@10"]
    assert trained.metrics != training.evaluate(settings, split, CPU, trained.best)


def test_fault_a_trial_reports_once_so_that_nothing_can_stop_it_early(make_plan):
    told = []

    def stop_after_two(epoch, score):
        told.append(epoch)
        if epoch == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        train(make_plan("FPMC"), stop_after_two, epochs=9)
    assert told == [1, 2]


def test_fault_two_trials_that_start_in_one_second_read_each_others_weights(make_plan, monkeypatch):
    monkeypatch.setattr("recbole.trainer.trainer.get_local_time", lambda: "Jan-01-2026_00-00-00")
    plan = make_plan("FPMC")
    kept = {}
    for slot in (0, 1):
        trained = train(plan, seed=slot)
        folder = plan.outputs.trial_checkpoints(plan.dataset_name, plan.model_name, slot)
        assert training.save_checkpoints(folder, trained)
        kept[folder] = trained.best["state_dict"]
    assert len(kept) == 2
    for folder, weights in kept.items():
        stored = training.load_checkpoint(folder)["state_dict"]
        assert all(torch.equal(stored[name], weights[name]) for name in weights)


def test_fault_an_unknown_parameter_is_ignored(tmp_path):
    """RecBole's published NARM search varies `num_layers`, which NARM never reads."""
    own = plan_files(
        tmp_path,
        "{model: NARM, defaults: {num_layers: 1}, space: {num_layers: {type: choice, values: [1, 2]}}}",
    )
    with pytest.raises(InputError, match=r"NARM never reads `num_layers`; did you mean `n_layers`\?"):
        plan_sweep(load_sweep(own))


def plan_files(folder, model: str):
    for name in ("datasets", "models"):
        (folder / name).mkdir()
    (folder / "models" / "NARM.yaml").write_text(model)
    (folder / "datasets" / "ml-100k.yaml").write_text("path: builtin\n")
    (folder / "sweep.yaml").write_text("{sweep: t, models: [NARM], datasets: [ml-100k]}")
    return folder / "sweep.yaml"


def test_fault_timestamps_lose_the_order_of_close_interactions(make_plan):
    plan = make_plan(datasets="ml-100k")
    assert users_with_wrong_items(plan) == set()
    assert users_with_wrong_items(plan, time_order="recbole"), "RecBole's own rounding, for comparison"


def test_fault_without_saving_the_last_epoch_is_tested_instead_of_the_best(make_plan):
    plan = make_plan("FOSSIL")
    settings = settings_of(plan, **OVERFITTING)
    split = prepare(settings, plan.files, plan.outputs.cache).split
    trained = train(plan, **OVERFITTING)
    assert trained.best_epoch < trained.epochs
    only_best = training.train({**settings, "epochs": trained.best_epoch}, split, CPU)
    tested = training.evaluate(settings, split, CPU, trained.best)
    assert tested == training.evaluate(settings, split, CPU, only_best.last)
    assert tested != training.evaluate(settings, split, CPU, trained.last)
