"""Many workers on one study, whatever happens to them and to the store: every slot is counted once.

The workers are light ones (`helpers/light_worker.py`): the real store and the real engine, in processes
of their own, and a pause instead of training.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helpers.light_worker import Job, problems, start
from helpers.postgres import Postgres, running_postgres
from running import Folder, kill_group, read_until, taken, tune_options, wait_for

WORKERS = 8
LIMIT_SECONDS = 120.0
KINDS = ["sqlite", "postgresql", "journal"]


def repeated(*quick: str) -> list[Any]:
    """Every kind of store, twenty times over; some of them once among the tests that take seconds."""
    long = [pytest.param(kind, 20, marks=pytest.mark.long) for kind in KINDS]
    return [*((kind, 1) for kind in quick), *long]


@pytest.fixture
def new_url(request, tmp_path: Path) -> Callable[[str, object], str]:
    def make(kind: str, name: object) -> str:
        if kind == "postgresql":
            return request.getfixturevalue("postgres").new_url()
        return {
            "sqlite": f"sqlite:///{tmp_path}/{name}.db",
            "journal": f"journal:///{tmp_path}/{name}.journal",
        }[kind]

    return make


def opened(job: Job) -> Job:
    """The study with its slots, before any worker is there."""
    store, study = job.open()
    study.ensure_slots(job.budget)
    store.close()
    return job


def end(processes, seconds: float = LIMIT_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    for process in processes:
        process.join(max(0.1, deadline - time.monotonic()))
    alive = [process for process in processes if process.is_alive()]
    for process in alive:
        process.kill()
    assert not alive, f"{len(alive)} workers were still there after {seconds:g} s"


@pytest.mark.parametrize(("kind", "repeats"), repeated("postgresql"))
def test_eight_workers_train_exactly_the_budget_and_a_second_run_adds_none(kind, repeats, new_url):
    for repeat in range(repeats):
        job = opened(Job(new_url(kind, repeat), budget=40 if repeats > 1 else 24, seconds=0.02))
        workers = start(job, WORKERS)
        end(workers)
        assert [process.exitcode for process in workers] == [0] * WORKERS
        assert problems(job) == []
        before = trials_of(job)
        again = start(job, 2)
        end(again)
        assert trials_of(job) == before


def trials_of(job: Job) -> list[tuple[int, int, str]]:
    store, study = job.open()
    found = [(trial.id, trial.slot, trial.state) for trial in study.trials()]
    store.close()
    return found


@pytest.mark.parametrize(("kind", "repeats"), repeated("postgresql"))
def test_with_a_worker_killed_every_second_the_budget_is_still_exact(kind, repeats, new_url):
    for repeat in range(repeats):
        chance = random.Random(repeat)
        job = opened(Job(new_url(kind, repeat), budget=40, seconds=0.4))
        workers = start(job, WORKERS)
        for _ in range(3):
            time.sleep(1.0)
            victim = chance.choice([process for process in workers if process.is_alive()])
            os.kill(victim.pid, signal.SIGKILL)
            workers += start(job, 1)  # another one joins
        end(workers)
        assert problems(job) == []


@pytest.mark.long
def test_workers_may_join_and_leave_at_any_time(new_url):
    job = opened(Job(new_url("postgresql", 0), budget=60, seconds=0.1))
    first = start(job, 2)
    wait_for(lambda: counted(job) > 4, 60, "the first results")
    late = start(job, 3)
    wait_for(lambda: counted(job) > 20, 60, "results of all")
    for process in first:
        os.kill(process.pid, signal.SIGKILL)
    end(late)
    assert problems(job) == []


def counted(job: Job) -> int:
    store, study = job.open()
    number = len(study.results())
    store.close()
    return number


@pytest.mark.parametrize("seconds", [2.0, pytest.param(15.0, marks=pytest.mark.long)])
def test_a_postgresql_server_that_is_restarted_costs_no_trial_and_no_worker(seconds):
    with running_postgres() as postgres:
        job = opened(Job(postgres.new_url(), budget=60, seconds=0.2))
        workers = start(job, 4)
        wait_for(lambda: counted(job) > 4, 60, "the first results")
        postgres.stop()
        time.sleep(seconds)
        assert all(process.is_alive() for process in workers)
        postgres.start()
        end(workers)
        assert [process.exitcode for process in workers] == [0] * 4
        assert problems(job) == []
        assert len(trials_of(job)) == job.budget, "no trial was run a second time"


@pytest.mark.long
@pytest.mark.parametrize("seconds", [2.0, 30.0])
def test_a_sqlite_file_that_another_process_locks_is_waited_for(seconds, tmp_path):
    job = opened(Job(f"sqlite:///{tmp_path}/locked.db", budget=40, seconds=0.1))
    workers = start(job, 4)
    wait_for(lambda: counted(job) > 4, 60, "the first results")
    other = sqlite3.connect(tmp_path / "locked.db", isolation_level=None, timeout=60)
    other.execute("BEGIN EXCLUSIVE")
    time.sleep(seconds)
    other.execute("ROLLBACK")
    other.close()
    end(workers)
    assert [process.exitcode for process in workers] == [0] * 4
    assert problems(job) == []
    assert len(trials_of(job)) == job.budget


@pytest.mark.long
def test_a_store_that_stays_away_pauses_a_worker_in_the_end():
    with running_postgres() as postgres:
        job = opened(Job(postgres.new_url(), budget=40, seconds=0.2, patience=1.0))
        workers = start(job, 2)
        wait_for(lambda: counted(job) > 2, 60, "the first results")
        postgres.stop()
        end(workers)
        assert all(process.exitcode not in (0, None) for process in workers)
        postgres.start()
        last = start(job, 1)
        end(last)
        assert problems(job) == []


# -- the real commands ---------------------------------------------------------------------------


STUDY = "smoke/ml-100k-small/FPMC/full"


def store_options(postgres: Postgres) -> tuple[str, ...]:
    return ("--storage", postgres.new_url())


def test_workers_fill_a_study_that_was_only_opened_and_tune_closes_it(folder: Folder, postgres: Postgres):
    options = (*tune_options(4), *store_options(postgres))
    opened_study = folder.run("open", *taken("open", options))
    assert opened_study.returncode == 0, opened_study.stderr
    assert opened_study.stdout == f"{STUDY}: 4 of 4 trials to run\n"
    helpers = [folder.start("worker", *options, "--study", STUDY) for _ in range(2)]
    for helper in helpers:
        said = helper.communicate(timeout=240)[0]
        assert helper.returncode == 0, said
    closed = folder.run("tune", *options)
    assert closed.returncode == 0, closed.stderr
    assert "all 4 trials are in the store, nothing to train" in closed.stderr
    assert (folder.outputs / "results/smoke/summary.md").is_file()


@pytest.mark.long
def test_a_worker_takes_over_the_trial_of_a_sweep_that_was_killed(folder: Folder, postgres: Postgres):
    folder.edit("smoke.yaml", training__fast=False)
    options = (*tune_options(3, epochs=8), *store_options(postgres))
    sweep = folder.start("tune", *options, fresh=True)
    read_until(sweep, "worker 1 on cpu")
    helper = folder.start("worker", *options)
    read_until(helper, "worker 1 on cpu")
    kill_group(sweep)
    said = helper.communicate(timeout=240)[0]
    assert helper.returncode == 0, said
    done = folder.run("tune", *options)
    assert done.returncode == 0, done.stderr
    assert "all 3 trials are in the store" in done.stderr


@pytest.mark.long
def test_a_sweep_outlives_a_restart_of_its_server(folder: Folder):
    with running_postgres() as postgres:
        folder.edit("smoke.yaml", training__fast=False)
        sweep = folder.start("tune", *tune_options(3, epochs=6), "--storage", postgres.new_url())
        read_until(sweep, "trial 0 (1/3)")
        postgres.stop()
        time.sleep(3)
        postgres.start()
        said = sweep.communicate(timeout=240)[0]
    assert sweep.returncode == 0, said
    assert "the store is away (" in said
    assert "the store is back after" in said
    assert "(3/3)" in said
    assert "run again" not in said


def test_a_worker_without_an_opened_study_says_what_to_do(folder: Folder):
    done = folder.run("worker", "--study", STUDY)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        f"recsweep: study {STUDY} is not in the store; a worker joins a sweep that was opened; "
        "start it with `recsweep tune`, or open it with `recsweep open`"
    )
