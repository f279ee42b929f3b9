"""Population based training as Ray Tune drives it; `make test-ray` runs it."""

from __future__ import annotations

import dataclasses
import os
import signal
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch

from helpers.ray import found, kept_link, needs_ray, run
from recsweep.common.errors import UserError
from recsweep.datasets.prepare import prepare
from recsweep.planning.lineage import training_of
from recsweep.planning.plan import plan_sweep
from recsweep.running.population import Population
from recsweep.sweeps.loading import load_sweep
from recsweep.training import training

pytestmark = needs_ray
BY_PBT = {"engine": "ray", "algo": "random", "scheduler": "pbt", "perturbation_interval": 2, "workers": 2}
SMOKE = Path(__file__).parents[2] / "config" / "smoke.yaml"


@pytest.fixture(scope="module")
def link(tmp_path_factory):
    yield from kept_link(tmp_path_factory.mktemp("scratch"))


def came_to(results):
    """All that has to be the same, whatever was killed, and wherever trials ran."""
    return {
        trial.slot: (trial.score, trial.params, trial.curve, trial.result.metrics, trial.result.lineage)
        for trial in results
    }


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, cache, link):
    """A study of six trials by two workers: its plan, what was said, its slots and trials."""
    plan = planned(tmp_path_factory.mktemp("population"), cache)
    _, said = run(plan, link)
    return plan, said, *found(plan)


def planned(folder, cache):
    (folder / "cache").symlink_to(cache, target_is_directory=True)
    given = {"models": "FPMC", "max_evals": 6, "epochs": 8, "cooldown": 0, "outputs": folder, **BY_PBT}
    (plan,) = plan_sweep(load_sweep(SMOKE, given))
    fewer = {"min_user_interactions": 50, "max_sequence_length": 10}
    return dataclasses.replace(plan, dataset=plan.dataset.model_copy(update=fewer))


def test_the_worst_go_on_from_the_best_each_slot_once(undisturbed):
    plan, said, results, trials = undisturbed
    assert [trial.slot for trial in results] == list(range(6))
    assert len(trials) == 6
    assert {trial.state for trial in results} == {"complete"}
    took_up = [trial for trial in results if trial.result.lineage is not None]
    assert took_up, said
    assert results[0].result.lineage is None, "the defaults go on as they are"
    for trial in took_up:
        last = trial.result.lineage.stretches[-1]
        assert (last.slot, last.params) == (trial.slot, trial.params)
        assert (last.from_epoch - 1) % 2 == 0
        assert {one.params["embedding_size"] for one in trial.result.lineage.stretches} == {
            trial.params["embedding_size"]
        }, "what may not change stays"
    assert max(map(len, (trial.curve for trial in results))) == 8
    assert any("goes on from trial" in line for line in said)
    assert not (plan.outputs.checkpoints(*plan.folder_names[:2]) / "population").exists()


def test_each_lineage_is_trained_from_the_start_to_the_last_digit(undisturbed):
    plan, _, results, _ = undisturbed
    for trial in [trial for trial in results if trial.result.lineage is not None][:2]:
        settings, schedule = training_of(plan, trial)
        assert schedule
        split, curve = prepare(settings, plan.files, plan.outputs.cache).split, {}
        anew = training.train(settings, split, torch.device("cpu"), curve.__setitem__, schedule=schedule)
        assert (anew.score, anew.metrics, curve) == (trial.score, trial.result.metrics, trial.curve)


@pytest.mark.parametrize("when", ["on cpu", "goes on from trial"])
def test_a_death_changes_nothing_of_what_trials_come_to(undisturbed, tmp_path, cache, link, when):
    plan = planned(tmp_path, cache)
    run(plan, link, when, kill_the_processes)
    results, trials = found(plan)
    assert came_to(results) == came_to(undisturbed[2])
    assert len(trials) > 6


def test_a_space_that_cannot_change_is_refused_before_any_trial(tmp_path, cache, link):
    plan = planned(tmp_path, cache)
    only = {"embedding_size": plan.model.space["embedding_size"]}
    plan = dataclasses.replace(plan, model=plan.model.model_copy(update={"space": only}))
    with pytest.raises(UserError, match=r"none of the space can .*; search one that can, such as"):
        run(plan, link)
    assert found(plan)[0] == []


class Floor:
    """One that is told to stop."""

    found = Population()

    def __init__(self):
        self.back = []

    def park(self, trial):
        """It is."""

    def beat(self):
        """Nobody hears it."""

    def is_to_stop(self):
        return True

    def put_back(self, trial):
        self.back.append(trial.config["slot"])


def test_a_study_that_is_stopped_puts_back_who_waits(make_plan):
    from recsweep.running.ray_population import RayPopulation

    floor, stopped = Floor(), []
    states = ("PAUSED", "RUNNING", "PAUSED")
    trials = [
        SimpleNamespace(status=state, config={"slot": slot, "claim": {}}, is_finished=lambda: False)
        for slot, state in enumerate(states)
    ]
    controller = SimpleNamespace(get_trials=lambda: trials, stop_trial=stopped.append)
    population = RayPopulation(make_plan(max_evals=3, epochs=8, **BY_PBT), floor)
    assert population.choose_trial_to_run(controller) is None
    assert (floor.back, stopped) == ([0, 2], [trials[0], trials[2]])


def kill_the_processes(workers):
    """SIGKILL of all processes that train, or wait for it; their actors outlive them."""
    here = psutil.Process().children(recursive=True)
    for one in here:
        if any("spawn_main" in word for word in one.cmdline()):
            os.kill(one.pid, signal.SIGKILL)
