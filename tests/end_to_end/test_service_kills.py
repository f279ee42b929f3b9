"""Jobs whose processes are killed at random end with exactly their trials: `make attack-service`."""

from __future__ import annotations

import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from service_crew import Crew, Servers, asked, job_workers, listen, problems, processes_in

from recsweep.client import Client, Event
from recsweep.service.jobs import Job, Jobs, sweep_name
from running import Folder, wait_for

pytestmark = [pytest.mark.attack, pytest.mark.long]

KILLS, JOBS, TRIALS = 50, 5, 60
LIMIT_SECONDS = 1800.0


@pytest.fixture
def address(request: pytest.FixtureRequest, folder: Folder) -> str:
    kind = getattr(request, "param", "sqlite")
    if kind == "postgresql":
        return str(request.getfixturevalue("postgres").new_url())
    return f"sqlite:///{folder.outputs}/recsweep.db"


@pytest.fixture
def jobs(address: str) -> Iterator[Jobs]:
    opened = Jobs(address, 60.0)
    yield opened
    opened.close()


@pytest.fixture
def ended(folder: Folder) -> Iterator[Callable[[Crew], Any]]:
    """Ends processes with the test, and sees that they leave none behind."""
    started: list[Crew] = []
    yield started.append
    for one in started:
        one.end()
    wait_for(lambda: processes_in(folder) == [], 60, "the end of every process")


def asked_for(seed: int, trials: int, **more: Any) -> dict[str, Any]:
    named = {"name": f"job {seed}", "dataset": "ml-100k-small", "model": "FPMC", "engine": "optuna"}
    return {**named, "num_samples": trials, "seed": seed, "epochs": 5, **more}


def make(jobs: Jobs, trials: int, seed: int, **more: Any) -> Job:
    request = asked_for(seed, trials, **more)
    job = jobs.create(request, f"job {seed}", ["FPMC"], ["ml-100k-small"], trials=trials)
    return jobs.start(job.id)


def make_by(client: Client, seed: int, trials: int) -> str:
    """A job that was made and started over HTTP; its id."""
    made = asked(lambda: client.create(asked_for(seed, trials), key=f"job-{seed}"))
    asked(lambda: client.start(made.id))
    return made.id


def await_epoch(jobs: Jobs, job: Job) -> None:
    """Wait for another epoch of a job."""
    before = jobs.get(job.id).events
    wait_for(lambda: any(e.kind == "trial.epoch" for e in jobs.events(job.id, before)), 120, "an epoch")


def test_a_killed_job_worker_and_a_killed_runner_lose_nothing(
    folder: Folder, jobs: Jobs, address: str, ended: Callable[[Crew], Any]
) -> None:
    job = make(jobs, 4, 1)
    ended(crew := job_workers(folder, address, 1))
    for kill in (lambda: crew.kill(0), lambda: crew.below()[0].kill()):
        await_epoch(jobs, job)
        kill()
    wait_for(lambda: jobs.get(job.id).status.over, 120, "the end of the job")
    assert problems(jobs, job, 4) == []
    assert (folder.outputs / "jobs" / job.id / "results").is_dir()


def kill_and_run_on(jobs: Jobs, servers: Servers, client: Client, ids: list[str], seed: int) -> Counter[str]:
    """Kill at random until all jobs are completed, each time once some more trials have ended.

    A job that came to rest, as its process died again and again, is resumed as its owner would do it.

    Returns:
        What was killed, and how often.
    """
    chance, started, killed = random.Random(seed), time.monotonic(), Counter[str]()
    found = [jobs.get(one) for one in ids]
    while any(job.status != "completed" for job in found):
        assert time.monotonic() - started < LIMIT_SECONDS, found
        time.sleep(chance.uniform(0.1, 1.0))
        for job in found:
            if job.status in ("failed", "paused"):
                asked(lambda job=job: client.resume(job.id))
        done = sum(one.done for one in jobs.progress(found).values())
        if killed.total() < KILLS and done * (KILLS + 1) >= JOBS * TRIALS * killed.total():
            killed[servers.kill_one(chance)] += 1
        found = [jobs.get(one) for one in ids]
    sys.stderr.write(f"{time.monotonic() - started:.0f} s, killed: {dict(killed)}\n")
    assert killed.total() == KILLS, "the jobs were over before"
    return killed


@pytest.mark.parametrize(
    ("address", "number", "workers"), [("postgresql", 2, 1), ("sqlite", 1, 2)], indirect=["address"]
)
def test_five_jobs_killed_at_random_fifty_times_end_with_exactly_their_trials(
    folder: Folder, jobs: Jobs, address: str, number: int, workers: int, ended: Callable[[Crew], Any]
) -> None:
    ended(servers := Servers(folder, address, number, workers))
    with servers.client() as client:
        ids = [make_by(client, seed, TRIALS) for seed in range(JOBS)]
        heard: dict[str, list[Event]] = {one: [] for one in ids}
        listeners = [
            threading.Thread(target=listen, args=(servers.client(position), one, heard[one]), daemon=True)
            for position, one in enumerate(ids)
        ]
        for listener in listeners:
            listener.start()
        killed = kill_and_run_on(jobs, servers, client, ids, seed=2026)
        for listener in listeners:
            listener.join(120)
    assert set(killed) == {"a server", "a job worker", "a process of a job"}
    assert [text for one in ids for text in problems(jobs, jobs.get(one), TRIALS)] == []
    for one in ids:
        told = [(event.n, event.kind, event.data.get("slot")) for event in jobs.events(one, limit=100_000)]
        assert [(event.n, event.kind, event.data.get("slot")) for event in heard[one]] == told
    servers.await_rest()


@pytest.mark.parametrize("address", ["postgresql"], indirect=True)
def test_two_servers_on_one_database_share_the_load(
    folder: Folder, jobs: Jobs, address: str, ended: Callable[[Crew], Any]
) -> None:
    ended(servers := Servers(folder, address, 2, 1))
    with servers.client(0) as first, servers.client(1) as other:
        ids = [make_by(first, seed, 10) for seed in range(4)]
        owners: dict[str, set[int]] = {one: set() for one in ids}
        at_once = 0

        def all_over() -> bool:
            nonlocal at_once
            found = [jobs.get(one) for one in ids]
            for job in found:
                owners[job.id] |= {job.owner["pid"]} if job.owner else set()
            at_once = max(at_once, sum(job.status == "running" for job in found))
            return all(job.status.over for job in found)

        wait_for(all_over, 240, "the end of the jobs")
        assert at_once == 2
        assert all(len(own) == 1 for own in owners.values()), "no job changed hands"
        assert len({pid for own in owners.values() for pid in own}) == 2, "each server's job worker ran some"
        for one in ids:
            assert other.get(one).progress.done == first.get(one).progress.done == 10
            assert problems(jobs, jobs.get(one), 10) == []
            assert len([e for e in other.events(one) if e.kind == "trial.ended"]) == 10


def test_a_job_that_runs_is_cancelled_within_five_seconds_twenty_times(
    folder: Folder, jobs: Jobs, address: str, ended: Callable[[Crew], Any]
) -> None:
    job = make(jobs, 100, 3, epochs=200, patience=200, max_concurrent_trials=2)
    ended(job_workers(folder, address, 1))
    taken = []
    for _ in range(20):
        await_epoch(jobs, job)
        started = time.monotonic()
        jobs.cancel(job.id)
        wait_for(lambda: jobs.get(job.id).status == "cancelled", 30, "the end of the job")
        taken.append(time.monotonic() - started)
        (study,) = jobs.store.studies(sweep=sweep_name(job.id))
        assert study.running() == [], "its slots are back"
        jobs.resume(job.id)
    sys.stderr.write(f"seconds until a job was cancelled: {sorted(round(one, 1) for one in taken)}\n")
    assert max(taken) <= 5.0
