"""Claims of job workers: one runner a job, whoever asks, and another one where the first is gone."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from recsweep.common.owner import Owner, this_process
from recsweep.service.claims import STALE_AFTER_SECONDS, Claims
from recsweep.service.jobs import Job, Jobs
from recsweep.service.states import JobStatus

DEAD = dataclasses.replace(this_process(), ticks=1)
"""A process that had our number before us."""
ELSEWHERE = Owner("another-host/boot/pid", 7, 1)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jobs]:
    if request.param == "postgresql":
        jobs = Jobs(request.getfixturevalue("postgres").new_url())
    else:
        jobs = Jobs(f"sqlite:///{tmp_path_factory.mktemp('claims') / 'recsweep.db'}")
    yield jobs
    jobs.close()


@pytest.fixture
def jobs(shared: Jobs) -> Iterator[Jobs]:
    """Jobs of a store in which none waits or runs."""
    yield shared
    while (job := mine(shared).claim()) is not None:
        mine(shared).end(job, JobStatus.FAILED)
    for status in (JobStatus.RUNNING, JobStatus.CANCELLING):
        for job in shared.page(status=status)[0]:
            mine(shared).end(job, JobStatus.FAILED)


def queued(jobs: Jobs, model: str = "FPMC") -> Job:
    job = jobs.create({}, "a job", [model], ["ml-100k"])
    return jobs.start(job.id)


def mine(jobs: Jobs) -> Claims:
    return Claims(jobs, this_process())


def test_jobs_are_claimed_in_the_order_in_which_they_were_started(jobs: Jobs) -> None:
    later, first = (jobs.create({}, "a job", ["FPMC"], ["ml-100k"]) for _ in range(2))
    jobs.start(first.id)
    jobs.start(later.id)
    claims = mine(jobs)
    found = [claims.claim(), claims.claim()]
    assert [job and job.id for job in found] == [first.id, later.id]
    assert found[0] is not None
    assert (found[0].status, found[0].owner) == ("running", this_process().to_dict())
    assert claims.claim() is None


def test_a_job_is_claimed_by_one_of_many(jobs: Jobs) -> None:
    made = {queued(jobs).id for _ in range(6)}
    with ThreadPoolExecutor(4) as many:
        found = list(many.map(lambda _: mine(jobs).claim(), range(12)))
    assert sorted(job.id for job in found if job is not None) == sorted(made)


def test_no_more_jobs_run_than_may(jobs: Jobs) -> None:
    for _ in range(6):
        queued(jobs)
    with ThreadPoolExecutor(4) as many:
        found = [job for job in many.map(lambda _: mine(jobs).claim(2), range(8)) if job is not None]
    assert len(found) == 2
    mine(jobs).end(found[0], JobStatus.COMPLETED)
    assert mine(jobs).claim(2) is not None
    assert mine(jobs).claim(2) is None


def test_a_job_of_a_dead_job_worker_is_taken_over(jobs: Jobs) -> None:
    queued(jobs)
    before = Claims(jobs, DEAD)
    job = before.claim()
    assert job is not None
    taken = mine(jobs).claim(1)
    assert taken is not None
    assert (taken.id, taken.status) == (job.id, "running")
    assert before.beat(job) is None, "who comes back late is told so"
    assert before.end(job, JobStatus.COMPLETED) is None
    assert jobs.get(job.id).status == "running"
    assert mine(jobs).claim(1) is None, "and it is one's own from now on"


def test_a_job_worker_elsewhere_is_given_up_when_it_beats_no_more(jobs: Jobs) -> None:
    queued(jobs)
    far = Claims(jobs, ELSEWHERE)
    job = far.claim()
    assert job is not None
    clock = [0.0]
    claims = Claims(jobs, this_process(), lambda: clock[0])
    assert claims.claim() is None
    clock[0] += STALE_AFTER_SECONDS + 1
    assert far.beat(job) == "running"
    assert claims.claim() is None, "it has beaten since"
    clock[0] += STALE_AFTER_SECONDS + 1
    taken = claims.claim()
    assert taken is not None
    assert taken.id == job.id


def test_a_job_that_was_cancelled_meanwhile_ends_as_cancelled(jobs: Jobs) -> None:
    queued(jobs)
    claims = mine(jobs)
    job = claims.claim()
    assert job is not None
    jobs.cancel(job.id)
    assert claims.status(job) == "cancelling"
    assert claims.end(job, JobStatus.PAUSED, "stopped by `recsweep stop`") == "cancelled"
    ended = jobs.get(job.id)
    assert (ended.status, ended.owner, ended.claim) == ("cancelled", None, None)
    assert ended.error is None, "it was asked for, and is no failure"


def test_a_job_that_goes_back_is_the_first_in_the_queue(jobs: Jobs) -> None:
    first, second = queued(jobs), queued(jobs)
    claims = mine(jobs)
    job = claims.claim()
    assert job is not None
    assert job.id == first.id
    assert claims.end(job, JobStatus.QUEUED) == "queued"
    assert jobs.get(first.id).ended is None
    found = [claims.claim(), claims.claim()]
    assert [one and one.id for one in found] == [first.id, second.id]


def test_a_job_that_runs_is_not_deleted(jobs: Jobs) -> None:
    from recsweep.service.states import WrongTransition

    job = queued(jobs)
    claimed = mine(jobs).claim()
    assert claimed is not None
    with pytest.raises(WrongTransition, match="allowed now: cancel"):
        jobs.delete(job.id)


def test_a_claim_that_may_have_been_taken_is_not_taken_twice(jobs: Jobs, monkeypatch: Any) -> None:
    """The store went away after the claim was written, and before that was told."""
    queued(jobs)
    queued(jobs)
    claims = mine(jobs)
    monkeypatch.setattr(claims, "_call", lambda step: (step(False), step(True))[1])
    assert claims.claim() is not None
    assert jobs.counts()[JobStatus.RUNNING] == 1


def test_jobs_of_a_folder_with_a_word_that_sql_knows(tmp_path: Path) -> None:
    jobs = Jobs(f"sqlite:///{tmp_path / 'recsweep.db'}")
    odd = "x'; DROP TABLE tuning_jobs; --"
    jobs.create({"name": odd}, odd, [odd[:100]], ["ml"], odd)
    assert jobs.page(model=odd)[0][0].name == odd
    assert jobs.page(dataset=odd)[0] == []
    jobs.close()
