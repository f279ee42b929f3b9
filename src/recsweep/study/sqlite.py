"""A store in a SQLite file: its transactions are one after the other, so nothing else needs a lock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from optuna.storages import RDBStorage
from optuna.trial import TrialState
from sqlalchemy import Connection
from sqlalchemy.dialects import sqlite

from recsweep.study import statements as sql
from recsweep.study.backend import Change
from recsweep.study.locks import file_lock
from recsweep.study.states import State
from recsweep.study.tables import Tables
from recsweep.study.trial import Trial


class Sqlite(Tables):
    """SQLite.

    Args:
        storage: opened (`database.open_backend`).
    """

    def __init__(self, storage: RDBStorage) -> None:
        super().__init__(storage, sqlite.insert)

    @contextmanager
    def exclusive(self, study_id: int) -> Iterator[None]:
        with file_lock(self._engine.url.database):
            yield

    def claim(
        self, study_id: int, budget: int, owner: Mapping[str, Any], *, shared: bool, again: bool
    ) -> Trial | None:
        if again and (mine := self._claimed_before(study_id, owner)) is not None:
            return mine
        while True:
            with self._engine.begin() as connection:
                found = self._lowest(connection, study_id, budget, shared)
                if found is None:
                    return None
                taken = connection.execute(sql.TAKE, {"id": found.id, "now": self._now(connection)}).rowcount
                if not taken:
                    continue  # another process was faster
                self._write(connection, found.id, Change(attributes={"owner": owner}))
                return found

    def _lowest(self, connection: Connection, study_id: int, budget: int, shared: bool) -> Trial | None:
        """The waiting trial of the lowest slot."""
        retries = self._retries(connection, study_id, (TrialState.WAITING,))
        fitting = [t for t in retries if t.slot < budget and not (shared and t.alone)]
        first = min(fitting, key=lambda t: (t.slot, t.number), default=None)
        query = sql.FIRST_WAITING
        if retries:
            query = query.where(sql.TRIALS.c.trial_id.not_in([trial.id for trial in retries]))
        row = connection.execute(query, {"study": study_id}).first()
        if row is None:
            return first
        text = connection.execute(sql.SLOT, {"id": row.trial_id}).scalar()
        fresh = Trial(row.trial_id, row.number, int(text) if text is not None else row.number, State.WAITING)
        if fresh.slot >= budget or (first is not None and first.slot <= fresh.slot):
            return first
        return fresh

    def _now(self, connection: Connection) -> datetime:
        return datetime.now(UTC).replace(tzinfo=None)

    def _locking(self, query: Any) -> Any:
        return query
