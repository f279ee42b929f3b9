"""A job worker's claims: jobs that wait, and jobs whose job workers are gone."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from recsweep.common.owner import Owner
from recsweep.service.jobs import Job, Jobs
from recsweep.service.states import JobStatus
from recsweep.study.job_claims import JobClaims

BEAT_SECONDS = 5.0
STALE_AFTER_SECONDS = 60.0
"""A job whose job worker cannot be seen from here is taken over after so long without a sign of life."""


class Claims:
    """The claims of one job worker.

    A job worker of this machine is looked up by its boot and its start, so that a dead one is seen at once.
    One elsewhere is given up when its count of beats has not changed for `STALE_AFTER_SECONDS` of this
    process's own clock, the store being there all the time: no two clocks have to agree.

    Args:
        owner: the process that runs what is claimed.
        clock: seconds of a clock that nobody sets.
    """

    def __init__(self, jobs: Jobs, owner: Owner, clock: Callable[[], float] = time.monotonic) -> None:
        self._jobs, self._owner, self._clock = jobs, owner, clock
        self._table = JobClaims(jobs.rows)
        self._patience = jobs.store.patience
        self._seen: dict[str, tuple[str, int, float, int]] = {}
        """By job: its owner's claim and beat, when they were first seen, and the outages until then."""

    def claim(self, most_running: int | None = None) -> Job | None:
        """A job to run from now on: one whose job worker is gone, else the one that has waited longest.

        Args:
            most_running: jobs that may run at once, over all job workers of the store.
        """
        word, owner = uuid.uuid4().hex, json.dumps(self._owner.to_dict())
        for job_id, claim in self._orphans():
            if self._call(partial(self._taken, job_id, claim, owner, word)):
                return self._jobs.get(job_id)
        found = self._call(lambda again: self._claimed(owner, word, most_running, again=again))
        return None if found is None else self._jobs.get(found)

    def _claimed(self, owner: str, word: str, most_running: int | None, *, again: bool) -> str | None:
        mine = self._table.under(word) if again else None
        return mine or self._table.claim(owner, word, most_running)

    def _taken(self, job_id: str, claim: str, owner: str, word: str, again: bool) -> bool:
        taken = self._table.take_over(job_id, claim, owner, word)
        return taken or (again and self._table.under(word) == job_id)

    def beat(self, job: Job) -> JobStatus | None:
        """A sign of life; the job's state, or None where another process has it."""
        return _status(self._call(lambda again: self._table.beat(job.id, _word(job))))

    def status(self, job: Job) -> JobStatus | None:
        """The same without a sign of life."""
        return _status(self._call(lambda again: self._table.status(job.id, _word(job))))

    def end(self, job: Job, status: JobStatus, error: str | None = None, **values: Any) -> JobStatus | None:
        """Let go of a job that came to something; a job that was cancelled meanwhile is cancelled.

        Args:
            values: columns that are written with it.

        Returns:
            Its state from now on; None where another process has it, and then nothing happens.
        """
        own = {**values, "error": error}
        ended = self._call(lambda again: self._table.end(job.id, _word(job), status.value, own))
        return _status(ended)

    def _orphans(self) -> list[tuple[str, str]]:
        """Jobs whose job workers are gone, with the claims that these had."""
        running = self._call(lambda again: self._table.at_work())
        self._seen = {row["id"]: self._seen[row["id"]] for row in running if row["id"] in self._seen}
        return [(row["id"], row["claim"]) for row in running if row["claim"] and self._is_orphan(row)]

    def _is_orphan(self, row: Mapping[str, Any]) -> bool:
        alive = Owner.from_dict(json.loads(row["owner"])).alive()
        return alive is False or (alive is None and self._is_stale(row))

    def _is_stale(self, row: Mapping[str, Any]) -> bool:
        now, seen = self._clock(), self._seen.get(row["id"])
        sign = (row["claim"], row["beat"], self._patience.outages)  # nobody can beat while the store is away
        if seen is None or (seen[0], seen[1], seen[3]) != sign:
            self._seen[row["id"]] = (row["claim"], row["beat"], now, self._patience.outages)
            return False
        return now - seen[2] > STALE_AFTER_SECONDS

    def _call(self, step: Callable[[bool], Any]) -> Any:
        return self._patience.call(step)


def _word(job: Job) -> str:
    if job.claim is None:
        raise AssertionError(f"job {job.id} is under no claim")
    return job.claim


def _status(text: str | None) -> JobStatus | None:
    return None if text is None else JobStatus(text)
