"""Ray Tune driving a study; `make test-ray` runs what needs it."""

from __future__ import annotations

import json
import os
import signal

import psutil
import pytest

from helpers.ray import found, kept_link, needs_ray, run

BY_RAY = {"engine": "ray", "algo": "random", "workers": 2}


@pytest.fixture(scope="module")
def link(tmp_path_factory):
    yield from kept_link(tmp_path_factory.mktemp("scratch"))


def kill_a_process(workers):
    """SIGKILL of a process that trains, which its actor outlives."""
    here = psutil.Process().children(recursive=True)
    training = [one for one in here if any("spawn_main" in word for word in one.cmdline())]
    os.kill(training[0].pid, signal.SIGKILL)


def kill_the_actors(workers):
    for number in (1, 2):
        workers.kill(number)


@needs_ray
def test_each_slot_is_filled_once_and_the_scheduler_ends_trials(make_plan, link):
    plan = make_plan(max_evals=6, epochs=6, scheduler="asha", **BY_RAY)
    metrics, _ = run(plan, link)
    results, trials = found(plan)
    assert set(metrics) >= {"ndcg@10"}
    assert [trial.slot for trial in results] == list(range(6))
    assert len(trials) == 6
    assert {trial.owner.process.pid for trial in results} == {os.getpid()}, "trials are the supervisor's"
    pruned = [trial for trial in results if trial.state == "pruned"]
    assert all("by Ray Tune's asha" in trial.failure.message for trial in pruned)
    assert all(trial.result.epochs == max(trial.curve) for trial in results), "a step is an epoch"
    assert results[0].state == "complete", "the defaults are never ended"
    folder = plan.outputs.ray_results(*plan.folder_names)
    for trial in results:
        lines = (folder / f"trial-{trial.slot}-0" / "result.json").read_text().splitlines()
        told = {one["epoch"]: one["score"] for one in map(json.loads, lines)}
        assert told == trial.curve


@needs_ray
@pytest.mark.parametrize("then", [kill_a_process, kill_the_actors])
def test_a_death_costs_its_trial_which_runs_again(make_plan, link, then):
    plan = make_plan(max_evals=5, epochs=4, **BY_RAY)
    run(plan, link, "on cpu", then)
    results, trials = found(plan)
    assert [trial.slot for trial in results] == list(range(5))
    assert {trial.state for trial in results} == {"complete"}
    assert len(trials) > 5


@needs_ray
def test_what_another_engine_left_is_not_run_again(make_plan, link):
    plan = make_plan(max_evals=2, **BY_RAY)
    run(plan, link)
    before = [trial.id for trial in found(plan)[0]]
    more = make_plan(max_evals=4, **BY_RAY)
    _, said = run(more, link)
    assert any("2 of 4 trials to run" in line for line in said)
    results, trials = found(more)
    assert [trial.id for trial in results][:2] == before
    assert len(trials) == 4
