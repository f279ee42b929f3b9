"""What becomes of a job, by how the process that runs it ends. No process runs here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from recsweep.common.address import StoreAddress
from recsweep.common.errors import SweepPaused, UserError
from recsweep.service import job_worker
from recsweep.service.job_worker import MOST_DEATHS, JobWorker
from recsweep.service.jobs import Job, Jobs
from recsweep.service.runner import Outcome, Where, outcome_of
from recsweep.service.states import JobStatus


class Stand:
    """In place of a process.

    Args:
        left: what it leaves when it ends; None: it died.
        lasts: how often it is asked whether it has ended before it has.
    """

    log = Path("job.log")
    how_it_ended = "killed by SIGKILL"

    def __init__(self, left: Outcome | None, lasts: int = 0, then: Callable[[], Any] = lambda: None) -> None:
        self._left, self._lasts, self._then = left, lasts, then
        self.told: list[str] = []

    def ended(self, seconds: float) -> bool:
        self._lasts -= 1
        if self._lasts >= 0:
            self._then()
        return self._lasts < 0 or bool(self.told)

    def outcome(self) -> Outcome | None:
        return self._left

    def tell_to_stop(self) -> None:
        self.told.append("stop")

    def kill(self) -> None:
        self.told.append("kill")


@pytest.fixture
def where(tmp_path: Path, empty_store: Path) -> Where:
    store = tmp_path / "recsweep.db"
    store.write_bytes(empty_store.read_bytes())
    return Where(StoreAddress(f"sqlite:///{store}"), tmp_path, tmp_path)


@pytest.fixture
def jobs(where: Where) -> Iterator[Jobs]:
    opened = Jobs(where.store)
    yield opened
    opened.close()


def queued(jobs: Jobs) -> Job:
    return jobs.start(jobs.create({}, "a job", ["FPMC"], ["ml-100k"]).id)


def work(where: Where, *stands: Stand) -> list[str]:
    """Work with these processes, one after the other; the lines that were said."""
    waiting, said = list(stands), list[str]()
    worker = JobWorker(where, None, said.append, lambda setup, job: waiting.pop(0))  # type: ignore[arg-type, return-value]
    try:
        worker.work(until_idle=True)
    finally:
        worker.close()
    assert not waiting
    return said


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (Outcome(JobStatus.COMPLETED), "completed"),
        (Outcome(JobStatus.PAUSED, "the disk is full"), "paused"),
        (Outcome(JobStatus.FAILED, "no such model"), "failed"),
    ],
)
def test_a_job_ends_as_its_run_did(where: Where, jobs: Jobs, outcome: Outcome, status: str) -> None:
    job = queued(jobs)
    work(where, Stand(outcome))
    ended = jobs.get(job.id)
    assert (ended.status, ended.error, ended.owner) == (status, outcome.error, None)
    assert ended.ended is not None
    last = jobs.events(job.id)[-1]
    assert (last.data["status"], last.data.get("reason")) == (status, outcome.error)


def test_a_job_whose_process_dies_goes_on(where: Where, jobs: Jobs) -> None:
    job = queued(jobs)
    said = work(where, Stand(None), Stand(None), Stand(Outcome(JobStatus.COMPLETED)))
    assert jobs.get(job.id).status == "completed"
    assert sum("its process died (killed by SIGKILL); it goes on" in line for line in said) == 2


def test_a_job_whose_process_dies_again_and_again_fails(where: Where, jobs: Jobs) -> None:
    job = queued(jobs)
    work(where, *(Stand(None) for _ in range(MOST_DEATHS)))
    failed = jobs.get(job.id)
    assert failed.status == "failed"
    assert f"died {MOST_DEATHS} times one after the other" in (failed.error or "")
    jobs.resume(job.id)
    work(where, Stand(None), Stand(Outcome(JobStatus.COMPLETED)))
    assert jobs.get(job.id).status == "completed", "who resumes it has corrected the cause"


def test_deaths_between_which_a_trial_ends_say_nothing(where: Where, jobs: Jobs) -> None:
    job = queued(jobs)

    def end_a_trial() -> None:
        jobs.add_event(job.id, "trial.ended", {})

    dying = [Stand(None, 1, end_a_trial) for _ in range(2 * MOST_DEATHS)]
    work(where, *dying, Stand(Outcome(JobStatus.COMPLETED)))
    assert jobs.get(job.id).status == "completed"


def test_a_cancelled_job_is_told_to_stop_and_then_made_to(where: Where, jobs: Jobs, monkeypatch: Any) -> None:
    job = queued(jobs)
    clock = iter(range(10_000))
    monkeypatch.setattr(job_worker.time, "monotonic", lambda: float(next(clock)))
    stand = Stand(Outcome(JobStatus.QUEUED), 1, lambda: jobs.cancel(job.id))
    work(where, stand)
    assert jobs.get(job.id).status == "cancelled"
    assert stand.told
    states = [event.data["status"] for event in jobs.events(job.id)]
    assert states == ["created", "queued", "running", "cancelling", "cancelled"]


def test_a_job_worker_that_is_told_to_end_puts_its_job_back(where: Where, jobs: Jobs) -> None:
    job = queued(jobs)

    def interrupt() -> None:
        raise KeyboardInterrupt

    stand = Stand(Outcome(JobStatus.QUEUED), 1, interrupt)
    with pytest.raises(KeyboardInterrupt):
        work(where, stand)
    assert stand.told == ["stop", "kill"]
    assert jobs.get(job.id).status == "queued"


def test_a_run_that_another_job_worker_took_over_is_killed(where: Where, jobs: Jobs) -> None:
    job = queued(jobs)

    def take_over() -> None:
        claim = jobs.get(job.id).claim
        assert claim is not None
        jobs.rows.move(job.id, ("running",), "completed", claim=claim, values={"claim": "another"})

    stand = Stand(None, 1, take_over)
    work(where, stand)
    assert stand.told == ["kill"]
    assert jobs.get(job.id).status == "completed"


# -- how a run ends -------------------------------------------------------------------------------


def failing(error: BaseException) -> Outcome:
    def step() -> None:
        raise error

    return outcome_of(step)


def test_an_outcome_says_what_came_up() -> None:
    assert outcome_of(lambda: None) == Outcome(JobStatus.COMPLETED)
    assert failing(KeyboardInterrupt()) == Outcome(JobStatus.QUEUED)
    assert failing(SweepPaused("no disk")) == Outcome(JobStatus.PAUSED, "no disk")
    assert failing(UserError("no model")) == Outcome(JobStatus.FAILED, "no model")
    assert failing(OSError(28, "No space left on device")).status == "paused"
    assert failing(ZeroDivisionError("a bug")) == Outcome(JobStatus.FAILED, "ZeroDivisionError: a bug")


def test_a_place_and_an_outcome_come_through_a_pipe_as_they_are(tmp_path: Path) -> None:
    address = StoreAddress("postgresql+psycopg://me:secret@host/sweeps")
    where = Where(address, tmp_path / "outputs", tmp_path / "config")
    assert Where.from_json(where.to_json()) == where
    assert "secret" not in repr(where)
    outcome = Outcome(JobStatus.FAILED, "why")
    assert Outcome.from_json(outcome.to_json()) == outcome
