"""The events of jobs, in order: rows that a stream is read from, and read again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import insert, select, update

from recsweep.study.job_rows import JobRows
from recsweep.study.job_table import EVENTS, JOBS

_AT_ONCE = 500


@dataclass(frozen=True)
class JobEvent:
    """One event of a job.

    Attributes:
        n: its number in the job, from 1 without a gap.
        kind: `job`, `trial.started`, `trial.epoch`, `trial.ended` or `trial.back`.
        data: plain.
    """

    n: int
    kind: str
    data: Mapping[str, Any]
    at: datetime


@dataclass(frozen=True)
class NewEvent:
    """An event that is to be told.

    Attributes:
        mark: names what is told of; of events with the same mark a job has the first one only.
    """

    kind: str
    data: Mapping[str, Any]
    mark: str | None = None


class JobEvents:
    """The events of the jobs of one store."""

    def __init__(self, rows: JobRows) -> None:
        self._rows = rows

    def add(self, job_id: str, new: Sequence[NewEvent], *, trial_ended: bool = False) -> int:
        """Tell of what is new, in order; how many of these were not told before.

        The job's row is held meanwhile, so whoever reads on from a number misses none.

        Args:
            trial_ended: the job comes on, so the processes that died before say nothing any more.
        """
        with self._rows.alone(job_id) as (connection, last):
            if last is None:
                return 0
            told = self._told(connection, job_id, [one.mark for one in new if one.mark is not None])
            fresh = _once(new, told)
            if not fresh:
                return 0
            now = self._rows.now(connection)
            rows = [
                {"job_id": job_id, "n": n, "kind": one.kind, "data": json.dumps(one.data), "at": now}
                | {"mark": one.mark}
                for n, one in enumerate(fresh, last + 1)
            ]
            connection.execute(insert(EVENTS), rows)
            more: dict[str, int] = {"deaths": 0} if trial_ended else {}
            connection.execute(
                update(JOBS).where(JOBS.c.id == job_id).values(events=last + len(rows), **more)
            )
        return len(fresh)

    @staticmethod
    def _told(connection: Any, job_id: str, marks: Sequence[str]) -> set[str]:
        found: set[str] = set()
        for begin in range(0, len(marks), _AT_ONCE):
            part = marks[begin : begin + _AT_ONCE]
            query = select(EVENTS.c.mark).where(EVENTS.c.job_id == job_id, EVENTS.c.mark.in_(part))
            found.update(connection.execute(query).scalars())
        return found

    def marks(self, job_id: str) -> set[str]:
        """All that was told of already."""
        query = select(EVENTS.c.mark).where(EVENTS.c.job_id == job_id, EVENTS.c.mark.is_not(None))
        with self._rows.reading.connect() as connection:
            return {str(mark) for mark in connection.execute(query).scalars()}

    def read(self, job_id: str, after: int, limit: int) -> list[JobEvent]:
        """The next events behind a number."""
        columns = (EVENTS.c.n, EVENTS.c.kind, EVENTS.c.data, EVENTS.c.at)
        query = select(*columns).where(EVENTS.c.job_id == job_id, EVENTS.c.n > after)
        with self._rows.reading.connect() as connection:
            rows = connection.execute(query.order_by(EVENTS.c.n).limit(limit)).all()
        return [JobEvent(n, kind, json.loads(data), at.replace(tzinfo=UTC)) for n, kind, data, at in rows]


def _once(new: Sequence[NewEvent], told: set[str]) -> list[NewEvent]:
    fresh, marks = [], set(told)
    for one in new:
        if one.mark is None or one.mark not in marks:
            fresh.append(one)
            marks |= {one.mark} if one.mark is not None else set()
    return fresh
