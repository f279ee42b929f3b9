"""Whatever happens to the processes of a sweep: no trial is lost, none is counted twice, none stays."""

from __future__ import annotations

import os
import re
import shlex
import signal
import sys
from pathlib import Path

import psutil
import pytest
import yaml

from helpers import warm
from recsweep.study import Failure, Reason
from running import Folder, kill_group, read_until, templates, tune_options, wait_for, worker_pids

STUDY = "smoke/ml-100k-small/FPMC/full"


@pytest.fixture
def folder(folder: Folder) -> Folder:
    # A trial of RecBole's own code lasts long enough to be interrupted.
    folder.edit("smoke.yaml", training__fast=False)
    return folder


def test_a_dead_worker_is_replaced_and_its_trial_runs_again(folder: Folder) -> None:
    process = folder.start("tune", *tune_options(2, epochs=3))
    read_until(process, "worker 1 on cpu")
    wait_for(lambda: _has_running_epoch(folder), 60, "an epoch")
    os.kill(worker_pids(process.pid)[0], signal.SIGKILL)
    said = process.communicate(timeout=240)[0]
    assert process.returncode == 0, said
    assert "trial 0: the worker died: killed by SIGKILL" in said
    trials = folder.trials(STUDY)
    assert [(t.slot, t.counted) for t in trials if t.state == "failed"] == [(0, False)]
    again = next(t for t in trials if t.slot == 0 and t.state == "complete")
    assert (again.attempt, again.crashes) == (1, 1)
    assert again.seed == trials[0].seed
    assert sorted(t.slot for t in trials if t.counted) == [0, 1]


@pytest.mark.long
def test_a_trial_that_kills_its_worker_counts_as_crashed(folder: Folder) -> None:
    folder.edit("smoke.yaml", workers__crash_retries=0)
    process = folder.start("tune", *tune_options(2, epochs=3))
    read_until(process, "worker 1 on cpu")
    wait_for(lambda: _has_running_epoch(folder), 60, "an epoch")
    os.kill(worker_pids(process.pid)[0], signal.SIGSEGV)
    said = process.communicate(timeout=240)[0]
    assert process.returncode == 0, said
    by_slot = {t.slot: t for t in folder.trials(STUDY)}
    assert by_slot[0].failure == Failure(Reason.CRASH, "the worker died: killed by SIGSEGV")
    assert by_slot[1].state == "complete"
    rows = (folder.outputs / "results/smoke/ml-100k-small/FPMC/trials.csv").read_text().splitlines()
    assert "crash: the worker died: killed by SIGSEGV" in rows[1]


def test_the_parent_holds_no_torch_and_leaves_nothing_when_killed(folder: Folder) -> None:
    process = folder.start("tune", *tune_options(2, epochs=80), "--workers", "2", fresh=True)
    read_until(process, "worker 1 on cpu")
    maps = Path(f"/proc/{process.pid}/maps")
    libraries = maps.read_text() if maps.exists() else "sqlite"  # not every system has a /proc to look into
    workers = worker_pids(process.pid)
    assert len(workers) == 2
    left = [*workers, *(template.pid for template in templates(process.pid))]
    assert len(left) == (3 if sys.platform == "linux" else 2)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    wait_for(lambda: not any(map(psutil.pid_exists, left)), 10, "the end of the workers")
    assert "libtorch" not in libraries
    assert "sqlite" in libraries


def test_ctrl_c_puts_the_trial_back_and_says_how_to_go_on(folder: Folder) -> None:
    process = folder.start("tune", *tune_options(2, epochs=80), fresh=True)
    read_until(process, "worker 1 on cpu")
    wait_for(lambda: _has_running_epoch(folder), 60, "an epoch")
    workers = worker_pids(process.pid)
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate(timeout=60)[0]
    assert process.returncode == 130, said
    last = said.splitlines()[-1]
    table = "what there is stands in outputs/results/smoke/summary.md"
    assert last.startswith(f"recsweep: stopped; 0 of 2 trials done and 2 to run, {table}, no trial is lost;")
    words = shlex.split(last.partition("go on with: ")[2])
    assert words[-10:] == folder.command("tune", *tune_options(2, epochs=80))[-10:]
    assert (folder.outputs / "results/smoke/summary.md").is_file()
    assert not any(map(psutil.pid_exists, workers))
    trials = folder.trials(STUDY)
    assert [t.slot for t in trials if t.state == "waiting"] == [1, 0]
    assert not any(t.state == "running" for t in trials)


def test_a_trial_that_hangs_is_ended_and_the_next_one_runs(folder: Folder) -> None:
    folder.edit("smoke.yaml", workers__trial_timeout_minutes=0.25)
    process = folder.start("tune", *tune_options(2, epochs=3))
    read_until(process, "worker 1 on cpu")
    wait_for(lambda: _has_running_epoch(folder), 60, "an epoch")
    os.kill(worker_pids(process.pid)[0], signal.SIGSTOP)
    said = process.communicate(timeout=240)[0]
    assert process.returncode == 0, said
    hung, other = sorted(folder.trials(STUDY), key=lambda trial: trial.slot)
    assert hung.failure == Failure(Reason.TIMEOUT, "took longer than trial_timeout_minutes=0.25")
    assert (other.slot, other.state) == (1, "complete")


def test_a_run_that_is_stopped_from_elsewhere_puts_its_trial_back(folder: Folder) -> None:
    process = folder.start("tune", *tune_options(2, epochs=80))
    read_until(process, "worker 1 on cpu")
    wait_for(lambda: _has_running_epoch(folder), 60, "an epoch")
    address = f"sqlite:///{folder.outputs}/recsweep.db"
    asked = warm.run(["stop", "--all", "--now", "--storage", address], folder.outputs, 60)
    assert asked.stdout.startswith(f"{STUDY}: 1 trial runs to the end of its epoch"), asked.stderr
    said = process.communicate(timeout=60)[0]
    assert process.returncode == 3, said
    assert "trial 0: told to stop at epoch" in said
    assert said.splitlines()[-1].startswith("recsweep: ml-100k-small/FPMC: stopped, as `recsweep stop` asked")
    ended, *waiting = sorted(folder.trials(STUDY), key=lambda trial: (trial.state, trial.slot))
    assert (ended.slot, ended.counted, ended.crashes) == (0, False, 0)
    assert [(t.slot, t.state, t.attempt) for t in waiting] == [(0, "waiting", 1), (1, "waiting", 0)]


def test_trials_that_fail_alike_pause_and_burn_no_budget(folder: Folder) -> None:
    # No machine has the memory for such an embedding: every trial of this FPMC fails.
    model = yaml.safe_load((folder.path / "config/models/FPMC.yaml").read_text())
    model["fixed"] = {**model.get("fixed", {}), "embedding_size": 10**12}
    del model["defaults"]["embedding_size"], model["space"]["embedding_size"]
    model.pop("phases", None)
    (folder.path / "config/models/FPMC.yaml").write_text(yaml.safe_dump(model))
    done = folder.run("tune", *tune_options(5, models="FPMC"))
    assert done.returncode == 3
    line = done.stderr.splitlines()[-1]
    assert re.match(
        r"recsweep: ml-100k-small/FPMC: the first \d trials all failed alike; out of memory", line
    )
    kept = re.search(r"\(traceback in (\S+)\)", line)
    assert kept is not None, line
    assert "Traceback" in (folder.path / kept[1]).read_text()
    trials = folder.trials(STUDY)
    latest = {t.slot: t for t in sorted(trials, key=lambda t: t.number)}
    assert [latest[slot].state for slot in range(5)] == ["waiting"] * 5


def test_a_diverging_trial_is_a_result(folder: Folder) -> None:
    folder.edit(
        "models/FPMC.yaml",
        defaults__learning_rate=1.0e30,
        space__learning_rate={"type": "choice", "values": [1.0e30, 0.01, 0.001, 0.005]},
    )
    done = folder.run("tune", *tune_options(4))
    assert done.returncode == 0, done.stderr
    trials = {t.slot: t for t in folder.trials(STUDY)}
    assert trials[0].failure.kind == "diverged"
    assert sum(t.state == "complete" for t in trials.values()) >= 1
    best = yaml.safe_load((folder.outputs / "results/smoke/ml-100k-small/FPMC/best_result.yaml").read_text())
    assert best["budget"] == {
        "trials": 4,
        "counted": 4,
        "failed": sum(t.state == "failed" for t in trials.values()),
    }


def test_an_unreachable_store_pauses_with_one_line(folder: Folder) -> None:
    done = folder.run("tune", *tune_options(2), "--storage", "postgresql+psycopg://127.0.0.1:9/none")
    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 1
    assert "Connection refused" in done.stderr
    assert "no trial is lost" in done.stderr


@pytest.mark.long
def test_two_supervisors_run_no_slot_twice(folder: Folder) -> None:
    first = folder.start("tune", *tune_options(6, epochs=3))
    read_until(first, "worker 1 on cpu")
    second = folder.run("tune", *tune_options(6, epochs=3))
    said = first.communicate(timeout=240)[0]
    assert first.returncode == 0, said
    assert second.returncode == 0, second.stderr
    trials = folder.trials(STUDY)
    assert sorted(t.slot for t in trials) == list(range(6))
    assert all(t.state == "complete" for t in trials)


@pytest.mark.long
def test_a_worker_joins_a_dead_sweep_and_leaves(folder: Folder) -> None:
    refused = folder.run("worker", *tune_options(4))
    assert refused.returncode == 2
    assert "a worker joins a sweep that was opened" in refused.stderr
    process = folder.start("tune", *tune_options(4, epochs=8), fresh=True)
    read_until(process, "worker 1 on cpu")
    wait_for(lambda: _has_running_epoch(folder), 60, "an epoch")
    kill_group(process)
    joined = folder.run("worker", *tune_options(4, epochs=8))
    assert joined.returncode == 0, joined.stderr
    # It filled what waited, and then what the dead sweep had left.
    assert sorted(t.slot for t in folder.trials(STUDY) if t.state == "complete") == [0, 1, 2, 3]
    done = folder.run("tune", *tune_options(4, epochs=8))
    assert done.returncode == 0, done.stderr
    assert "all 4 trials are in the store, nothing to train" in done.stderr
    assert sorted(t.slot for t in folder.trials(STUDY) if t.counted) == [0, 1, 2, 3]


def _has_running_epoch(folder: Folder) -> bool:
    return any(t.state == "running" and t.curve for t in folder.trials(STUDY))
