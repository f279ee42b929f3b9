"""Jobs whose processes are killed at random end with exactly their trials: `make attack-service`."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import psutil
import pytest

from recsweep.service.jobs import Job, Jobs, sweep_name
from recsweep.study import Reason
from running import Folder, wait_for

pytestmark = [pytest.mark.attack, pytest.mark.long]

TRIALS, WORKERS = 30, 2
LIMIT_SECONDS = 1800.0


class JobWorkers:
    """Job workers of a folder, started again when they were killed."""

    def __init__(self, folder: Folder, address: str, number: int = WORKERS) -> None:
        self._folder, self._address = folder, address
        self.processes = [self._start() for _ in range(number)]

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "recsweep", "job-worker", "--config", "config/smoke.yaml"],
            cwd=self._folder.path,
            env={**os.environ, "RECSWEEP_STORAGE": self._address},
            stdout=subprocess.DEVNULL,
            stderr=(self._folder.path / "job-workers.log").open("ab"),
            start_new_session=True,
        )

    def kill(self, number: int) -> None:
        """SIGKILL to a job worker; another one starts in its place."""
        self.processes[number].kill()
        self.processes[number].wait()
        self.processes[number] = self._start()

    def below(self) -> list[psutil.Process]:
        """The processes that the job workers have started: runners, and their trials' processes."""
        found: list[psutil.Process] = []
        for process in self.processes:
            with suppress(psutil.Error):
                found += psutil.Process(process.pid).children(recursive=True)
        return found

    def end(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(30)


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
def workers(folder: Folder, address: str, jobs: Jobs) -> Iterator[Callable[[int], JobWorkers]]:
    started: list[JobWorkers] = []

    def start(number: int) -> JobWorkers:
        started.append(JobWorkers(folder, address, number))
        return started[-1]

    yield start
    for one in started:
        one.end()
    assert runners(folder) == [], "a job worker that ends leaves no process"


def runners(folder: Folder) -> list[int]:
    """Processes that work below a folder."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.cwd() == str(folder.path) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
    return found


def make(jobs: Jobs, trials: int, seed: int, **more: Any) -> Job:
    request = {"name": f"job {seed}", "dataset": "ml-100k-small", "model": "FPMC", "engine": "optuna"}
    request |= {"num_samples": trials, "seed": seed, "epochs": 5, **more}
    job = jobs.create(request, f"job {seed}", ["FPMC"], ["ml-100k-small"], trials=trials)
    return jobs.start(job.id)


def await_epoch(jobs: Jobs, job: Job) -> None:
    """Wait for another epoch of a job."""
    before = jobs.get(job.id).events
    wait_for(lambda: any(e.kind == "trial.epoch" for e in jobs.events(job.id, before)), 120, "an epoch")


def problems(jobs: Jobs, job: Job, trials: int) -> list[str]:
    """What is not as it must be of a job that is complete: its trials, and what was told of them."""
    found = []
    if jobs.get(job.id).status != "completed":
        found.append(f"job {job.id} is {jobs.get(job.id).status}: {jobs.get(job.id).error}")
    for study in jobs.store.studies(sweep=sweep_name(job.id)):
        counted = Counter(trial.slot for trial in study.trials() if trial.counted)
        if counted != Counter(range(trials)):
            found.append(f"the slots of {study.name} are filled so: {counted}")
        blamed = [t.failure for t in study.trials() if t.counted and t.failure is not None]
        if wrong := [failure for failure in blamed if failure.kind != Reason.CRASH]:
            found.append(f"trials of {study.name} are blamed for a kill: {wrong}")
        if left := [trial.slot for trial in study.trials() if not trial.state.closed]:
            found.append(f"trials of {study.name} are left: {left}")
    events = jobs.events(job.id, limit=100_000)
    told = Counter(event.data["slot"] for event in events if event.kind == "trial.ended")
    if told != Counter(range(trials)):
        found.append(f"the ends of trials were told so: {told}")
    if [event.n for event in events] != list(range(1, len(events) + 1)):
        found.append("the numbers of events have gaps")
    return found


def kill_one(workers: JobWorkers, chance: random.Random) -> str:
    """SIGKILL to a job worker, or to a process below one; what that was."""
    below = workers.below()
    if not below or chance.random() < 0.4:
        workers.kill(chance.randrange(len(workers.processes)))
        return "a job worker"
    with suppress(psutil.Error):
        chance.choice(below).kill()
    return "a process of a job"


def kill_and_run_on(jobs: Jobs, workers: JobWorkers, made: list[Job], kills: int, seed: int) -> None:
    """Kill so often, at random moments, then wait until all jobs are over.

    A job that came to rest, as its process died again and again, is resumed as its owner would do.
    """
    chance, started, done = random.Random(seed), time.monotonic(), 0
    while not all(jobs.get(job.id).status == "completed" for job in made):
        assert time.monotonic() - started < LIMIT_SECONDS, [jobs.get(job.id) for job in made]
        time.sleep(chance.uniform(0.2, 4.0))
        if done < kills and workers.below():
            kill_one(workers, chance)
            done += 1
        for job in made:
            if jobs.get(job.id).status in ("failed", "paused"):
                jobs.resume(job.id)
    assert done == kills, f"the jobs were over after {done} of {kills} kills"


def test_a_killed_job_worker_and_a_killed_runner_lose_nothing(
    folder: Folder, jobs: Jobs, workers: Callable[[int], JobWorkers]
) -> None:
    job = make(jobs, 4, 1)
    crew = workers(1)
    for kill in (lambda: crew.kill(0), lambda: crew.below()[0].kill()):
        await_epoch(jobs, job)
        kill()
    wait_for(lambda: jobs.get(job.id).status.over, 120, "the end of the job")
    assert problems(jobs, job, 4) == []
    assert (folder.outputs / "jobs" / job.id / "results").is_dir()


@pytest.mark.parametrize("address", ["sqlite", "postgresql"], indirect=True)
def test_five_jobs_killed_at_random_fifty_times_end_with_exactly_their_trials(
    folder: Folder, jobs: Jobs, workers: Callable[[int], JobWorkers]
) -> None:
    made = [make(jobs, TRIALS, seed) for seed in range(5)]
    crew = workers(WORKERS)
    kill_and_run_on(jobs, crew, made, 25, seed=2026)
    assert [text for job in made for text in problems(jobs, job, TRIALS)] == []


def test_a_job_that_runs_is_cancelled_within_five_seconds_twenty_times(
    folder: Folder, jobs: Jobs, workers: Callable[[int], JobWorkers]
) -> None:
    job = make(jobs, 100, 3, epochs=200, patience=200, max_concurrent_trials=2)
    workers(1)
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
    (folder.path / "cancelled").write_text(f"{taken}\n")
    sys.stderr.write(f"seconds until a job was cancelled: {sorted(round(one, 1) for one in taken)}\n")
    assert max(taken) <= 5.0
