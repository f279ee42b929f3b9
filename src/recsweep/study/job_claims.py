"""Claims of job workers: a job is run by one process at a time, and by another one when that is gone.

A claim is a word that stands with the job. Who holds it may change the job; who finds another word there has
lost it. Claims are taken one after the other, so that the jobs that run are counted exactly: on PostgreSQL by
a lock that ends with the transaction, on SQLite by its transactions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy
from sqlalchemy import Connection, func, select, update

from recsweep.study.job_rows import JobRows, Row
from recsweep.study.job_table import JOBS

RUNNING, CANCELLING, CANCELLED, QUEUED = "running", "cancelling", "cancelled", "queued"
_AT_WORK = (RUNNING, CANCELLING)
_QUEUED = select(JOBS.c.id).where(JOBS.c.status == QUEUED).order_by(JOBS.c.queued, JOBS.c.id).limit(1)
_ONE_AT_A_TIME = sqlalchemy.text("SELECT pg_advisory_xact_lock(hashtext('recsweep job claims'))")


class JobClaims:
    """The claims on the jobs of one store. Each method is one transaction."""

    def __init__(self, rows: JobRows) -> None:
        self._rows = rows

    def at_work(self) -> list[Row]:
        """Those that run, with owner, claim and beat."""
        columns = (JOBS.c.id, JOBS.c.status, JOBS.c.owner, JOBS.c.claim, JOBS.c.beat)
        with self._rows.reading.connect() as connection:
            found = connection.execute(select(*columns).where(JOBS.c.status.in_(_AT_WORK)))
            return [dict(row._mapping) for row in found]

    def under(self, claim: str) -> str | None:
        """The id of the job that stands under a claim."""
        with self._rows.reading.connect() as connection:
            query = select(JOBS.c.id).where(JOBS.c.claim == claim, JOBS.c.status.in_(_AT_WORK))
            found = connection.execute(query).scalar()
        return None if found is None else str(found)

    def take_over(self, job_id: str, of: str, owner: str, claim: str) -> bool:
        """Put a job that runs under another's claim under one's own; False where it is not there any more.

        Args:
            of: the word of the other's claim.
        """
        mine = {"owner": owner, "claim": claim, "beat": 0}
        move = self._rows.move
        return any(move(job_id, (status,), status, claim=of, values=mine) for status in _AT_WORK)

    def claim(self, owner: str, claim: str, most_running: int | None) -> str | None:
        """Take the job that has waited longest; None where none waits, or enough run.

        Args:
            most_running: of the whole store.
        """
        with self._rows.reading.connect() as connection:  # who looks in vain locks nothing
            if connection.execute(_QUEUED).scalar() is None:
                return None
        with self._rows.engine.begin() as connection:
            if not self._rows.is_sqlite:
                connection.execute(_ONE_AT_A_TIME)
            if most_running is not None and self._running(connection) >= most_running:
                return None
            first = _QUEUED if self._rows.is_sqlite else _QUEUED.with_for_update(skip_locked=True)
            job_id = connection.execute(first).scalar()
            mine = {"owner": owner, "claim": claim, "beat": 0, "started": True, "error": None}
            if job_id is None or not self._rows.moved(connection, job_id, (QUEUED,), (RUNNING,), None, mine):
                return None
        return str(job_id)

    @staticmethod
    def _running(connection: Connection) -> int:
        query = select(func.count()).select_from(JOBS).where(JOBS.c.status.in_(_AT_WORK))
        return int(connection.execute(query).scalar_one())

    def beat(self, job_id: str, claim: str) -> str | None:
        """A sign of life; the job's state, or None where it is not under this claim any more."""
        step = update(JOBS).where(JOBS.c.id == job_id, JOBS.c.claim == claim, JOBS.c.status.in_(_AT_WORK))
        with self._rows.engine.begin() as connection:
            status = connection.execute(step.values(beat=JOBS.c.beat + 1).returning(JOBS.c.status)).scalar()
        return None if status is None else str(status)

    def status(self, job_id: str, claim: str) -> str | None:
        """The same without a sign of life."""
        with self._rows.reading.connect() as connection:
            query = select(JOBS.c.status).where(JOBS.c.id == job_id, JOBS.c.claim == claim)
            status = connection.execute(query).scalar()
        return None if status is None else str(status)

    def end(self, job_id: str, claim: str, status: str, values: Mapping[str, Any]) -> str | None:
        """Let go of a job, which is in a state from now on; None where it is not under this claim any more.

        A job that was cancelled meanwhile ends as cancelled, whatever it came to: that is no error.

        Returns:
            The state that it is in.
        """
        free = {**values, "owner": None, "claim": None}
        for source, target in ((RUNNING, status), (CANCELLING, CANCELLED)):
            ends: dict[str, Any] = {"ended": True} if target != QUEUED else {}
            if target == CANCELLED:
                ends["error"] = None
            if self._rows.move(job_id, (source,), target, claim=claim, values={**free, **ends}):
                return target
        return None
