"""Jobs in a database: made, found, listed page by page, moved from one state to another, removed.

Every change of a job's state is one statement that changes the row only where it is as it is thought to be,
in one transaction with the event that tells of it. States are mere words here; which may follow which is
decided in `service/states.py`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import sqlalchemy
from sqlalchemy import Connection, and_, bindparam, delete, func, select, update
from sqlalchemy.exc import IntegrityError

from recsweep.common.address import StoreAddress
from recsweep.common.errors import InputError
from recsweep.study.job_schema import bring_up_to_date
from recsweep.study.job_table import DATASET, EVENTS, JOBS, MODEL, PARTS, PROGRESS
from recsweep.study.store import Store

Row = Mapping[str, Any]
"""A job: the columns of its table, and `models` and `datasets`; in a page `counted`, how far it is, where
that is known."""
STATUS_EVENT = "job"
_KINDS = ("sqlite", "postgresql")
_KEPT = tuple(column for column in JOBS.c if column.name not in ("request_hash", "idempotency_key"))
_COUNTED = (
    select(PROGRESS.c.progress)
    .where(PROGRESS.c.job_id == JOBS.c.id, PROGRESS.c.counted == PROGRESS.c.changed)
    .scalar_subquery()
    .label("counted")
)
"""Looked up for each job of a page. PostgreSQL takes few rows to be counted, and would read all of them for
a join."""
_STATE = select(
    *(JOBS.c[name] for name in ("status", "events", "queued", "started", "ended", "error"))
).where(JOBS.c.id == bindparam("id"))
_PARTS = (
    select(PARTS.c.job_id, PARTS.c.kind, PARTS.c.name)
    .where(PARTS.c.job_id.in_(bindparam("ids", expanding=True)))
    .order_by(PARTS.c.job_id, PARTS.c.kind, PARTS.c.position)
)


class JobRows:
    """The jobs of one store.

    Args:
        store: opened; its tables for jobs are made or brought up to date.

    Raises:
        InputError: it is of a kind that keeps no jobs.
        UserError: its tables are of a later version.
    """

    def __init__(self, store: Store) -> None:
        address = store.address
        if address.kind not in _KINDS:
            raise _keeps_no_jobs(address)
        self.store = store
        self.engine: sqlalchemy.Engine = store.optuna_storage.engine  # type: ignore[attr-defined]
        self.is_sqlite = address.kind == "sqlite"
        reading = {"recsweep_reads": True} if self.is_sqlite else {"isolation_level": "AUTOCOMMIT"}
        self.reading = self.engine.execution_options(**reading)
        store.patience.call(lambda again: bring_up_to_date(address, self.engine))

    # -- made and removed --------------------------------------------------------------------------

    def insert(self, job: Mapping[str, Any], models: Sequence[str], datasets: Sequence[str]) -> str | None:
        """Put a job there; None where there is one with its idempotency key.

        Args:
            job: the columns that whoever made it decides on.
        """
        parts = [
            {"job_id": job["id"], "kind": kind, "position": position, "name": name}
            for kind, names in ((MODEL, models), (DATASET, datasets))
            for position, name in enumerate(names)
        ]
        try:
            with self.engine.begin() as connection:
                now = self.now(connection)
                row = {"created": now, "beat": 0, "deaths": 0, "events": 1, **job}
                connection.execute(JOBS.insert(), row)
                connection.execute(PROGRESS.insert(), {"job_id": job["id"], "changed": 0})
                if parts:
                    connection.execute(PARTS.insert(), parts)
                connection.execute(EVENTS.insert(), _status_event(job["id"], 1, str(job["status"]), now))
        except IntegrityError:
            if job.get("idempotency_key") is None:
                raise
            return None
        return str(job["id"])

    def of_key(self, key: str) -> tuple[str, str] | None:
        """The job that was made with an idempotency key, and the hash of its request."""
        with self.reading.connect() as connection:
            query = select(JOBS.c.id, JOBS.c.request_hash).where(JOBS.c.idempotency_key == key)
            row = connection.execute(query).first()
        return None if row is None else (str(row.id), str(row.request_hash))

    def delete(self, job_id: str, sources: Collection[str]) -> bool:
        """Remove a job that is in one of these states; its trials are not touched."""
        with self.engine.begin() as connection:
            gone = delete(JOBS).where(JOBS.c.id == job_id, JOBS.c.status.in_(sources))
            if not connection.execute(gone).rowcount:
                return False
            for table in (PARTS, EVENTS, PROGRESS):
                connection.execute(delete(table).where(table.c.job_id == job_id))
        return True

    # -- found -------------------------------------------------------------------------------------

    def get(self, job_id: str) -> Row | None:
        """One job; None where there is none of that id."""
        with self.reading.connect() as connection:
            rows = connection.execute(select(*_KEPT).where(JOBS.c.id == job_id)).all()
            return next(iter(_whole(connection, rows)), None)

    def state(self, job_id: str) -> tuple[Any, ...] | None:
        """The columns that are others once something has happened in a job; None where there is none."""
        with self.reading.connect() as connection:
            row = connection.execute(_STATE, {"id": job_id}).first()
        return None if row is None else tuple(row)

    def page(
        self,
        limit: int,
        after: str | None = None,
        status: str | None = None,
        model: str | None = None,
        dataset: str | None = None,
    ) -> list[Row]:
        """Jobs, the newest first, from behind the one with the id `after`.

        The place in the list is found by an index, so the last page costs what the first one does.
        """
        query = select(*_KEPT, _COUNTED).order_by(JOBS.c.id.desc()).limit(limit)
        if after is not None:
            query = query.where(JOBS.c.id < after)
        if status is not None:
            query = query.where(JOBS.c.status == status)
        for kind, name in ((MODEL, model), (DATASET, dataset)):
            if name is not None:
                part = and_(PARTS.c.job_id == JOBS.c.id, PARTS.c.kind == kind, PARTS.c.name == name)
                query = query.where(select(PARTS.c.job_id).where(part).exists())
        with self.reading.connect() as connection:
            return list(_whole(connection, connection.execute(query).all()))

    def counts(self) -> dict[str, int]:
        """How many jobs are in each state."""
        query = select(JOBS.c.status, func.count()).group_by(JOBS.c.status)
        with self.reading.connect() as connection:
            return dict(connection.execute(query).tuples().all())

    # -- moved -------------------------------------------------------------------------------------

    def move(
        self,
        job_id: str,
        sources: Collection[str],
        *targets: str,
        claim: str | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> bool:
        """Bring a job from one of these states to another; False where it is in none of them.

        Args:
            targets: the states that it comes through, told one after the other; it stays in the last one.
            claim: the word of the claim that it has to be under.
            values: columns that are written with it; a time is called by the name of its column.
        """
        with self.engine.begin() as connection:
            return self.moved(connection, job_id, sources, targets, claim, values or {})

    def moved(
        self,
        connection: Connection,
        job_id: str,
        sources: Collection[str],
        targets: Sequence[str],
        claim: str | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> bool:
        """`move`, within a transaction."""
        own, now = dict(values or {}), self.now(connection)
        times = {name: now for name in ("queued", "started", "ended") if own.get(name) is True}
        step = update(JOBS).where(JOBS.c.id == job_id, JOBS.c.status.in_(sources))
        if claim is not None:
            step = step.where(JOBS.c.claim == claim)
        step = step.values(status=targets[-1], events=JOBS.c.events + len(targets), **{**own, **times})
        last = connection.execute(step.returning(JOBS.c.events)).scalar()
        if last is None:
            return False
        first = last - len(targets) + 1
        reason = own.get("error")
        told = [
            _status_event(job_id, first + number, target, now, reason if target == targets[-1] else None)
            for number, target in enumerate(targets)
        ]
        connection.execute(EVENTS.insert(), told)
        return True

    # -- helpers -----------------------------------------------------------------------------------

    def now(self, connection: Connection) -> datetime:
        """The time by the clock that all times of the store are by: UTC, without saying so."""
        if self.is_sqlite:
            return datetime.now(UTC).replace(tzinfo=None)
        found: datetime = connection.execute(_NOW).scalar_one()
        return found

    @contextmanager
    def alone(self, job_id: str) -> Iterator[tuple[Connection, int | None]]:
        """A transaction in which nobody else changes the job; with the number of its last event."""
        query = select(JOBS.c.events).where(JOBS.c.id == job_id)
        with self.engine.begin() as connection:
            yield (
                connection,
                connection.execute(query if self.is_sqlite else query.with_for_update()).scalar(),
            )


_NOW = sqlalchemy.text("SELECT clock_timestamp() AT TIME ZONE 'UTC'")


def _keeps_no_jobs(address: StoreAddress) -> InputError:
    return InputError(
        "storage",
        f"a store of the kind `{address.kind}` keeps no jobs of the service",
        "give it sqlite:///FILE or postgresql+psycopg://HOST/DATABASE; `recsweep merge` brings studies there",
    )


def _status_event(job_id: str, n: int, status: str, at: datetime, reason: Any = None) -> dict[str, Any]:
    data = {"status": status} if reason is None else {"status": status, "reason": reason}
    return {"job_id": job_id, "n": n, "kind": STATUS_EVENT, "data": json.dumps(data), "at": at, "mark": None}


def _whole(connection: Connection, rows: Sequence[Any]) -> Iterator[Row]:
    """Jobs with the names of their models and data sets, in the order of the rows."""
    parts: dict[tuple[str, str], list[str]] = {}
    if rows:
        for job_id, kind, name in connection.execute(_PARTS, {"ids": [row.id for row in rows]}):
            parts.setdefault((job_id, kind), []).append(name)
    for row in rows:
        named = {f"{kind}s": parts.get((row.id, kind), []) for kind in (MODEL, DATASET)}
        yield {**row._mapping, **named}
