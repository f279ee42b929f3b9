"""A store that is a database: SQLite or PostgreSQL, asked in SQL over Optuna's own tables.

Optuna's storage takes a transaction, and several queries through an object mapper, for each attribute
and each parameter: some fifty milliseconds a trial, more than a worker's share where many train short
trials. Here a step of a trial is one transaction of a few statements, and its cost does not grow with
the trials that a study has. What is written is what Optuna would write.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Container, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from sqlalchemy import Connection, Table, func, select

from recsweep.study import statements as sql
from recsweep.study.backend import Backend, Change
from recsweep.study.record_table import TableRecords
from recsweep.study.records import Records
from recsweep.study.rows import attribute_rows, light_trials, read_attributes, rows_of, whole_trials
from recsweep.study.slots import Slot
from recsweep.study.states import State
from recsweep.study.trial import CLOSED, ENDED, OPEN, Trial


class Tables(Backend):
    """A database.

    Args:
        storage: opened (`database.open_backend`).
        insert: of the database's dialect.
    """

    def __init__(self, storage: RDBStorage, insert: Callable[[Table], Any]) -> None:
        self.storage = storage
        self._engine: sqlalchemy.Engine = storage.engine
        self._reading = self._engine.execution_options(recsweep_reads=True)
        self.records: Records = TableRecords(self._engine, self._reading)
        self._upserts = sql.upserts(insert)

    # -- what each database does in its own way --------------------------------------------------

    @abstractmethod
    def _now(self, connection: Connection) -> datetime:
        """The time by the clock that all times of this store are by: UTC, without saying so."""

    @abstractmethod
    def _locking(self, query: Any) -> Any:
        """The query, keeping the rows that it finds from other changes until the transaction ends."""

    # -- changes ---------------------------------------------------------------------------------

    def apply(self, study_id: int, trial_id: int, change: Change, *, again: bool) -> bool:
        with self._engine.begin() as connection:
            row = connection.execute(self._locking(sql.STATE), {"id": trial_id}).first()
            if row is None:
                return False
            if row.state in CLOSED:
                stored = read_attributes(connection, [trial_id])[trial_id]
                return again and row.state == change.state and change.is_written(stored)
            self._write(connection, trial_id, change)
            if change.state is not None:
                closing = {"id": trial_id, "now": self._now(connection), "new_state": change.state}
                connection.execute(sql.CLOSE, closing)
            if change.ends:
                ended = int(connection.execute(sql.COUNT_END, {"study": study_id}).scalar_one())
                self._write(connection, trial_id, Change({ENDED: ended}))
            if change.then is not None:
                self._insert(connection, study_id, [change.then])
        return True

    def _write(self, connection: Connection, trial_id: int, change: Change) -> None:
        for table, rows in rows_of(trial_id, change).items():
            if rows:
                connection.execute(self._upserts[table], rows)

    def add(self, study_id: int, slots: Sequence[Slot]) -> None:
        if slots:
            with self._engine.begin() as connection:
                self._insert(connection, study_id, slots)

    def _insert(self, connection: Connection, study_id: int, slots: Sequence[Slot]) -> None:
        # The row of the study orders those that add trials, as in Optuna: numbers must not repeat.
        study = select(sql.STUDIES.c.study_id).where(sql.STUDIES.c.study_id == study_id)
        connection.execute(self._locking(study))
        count = select(func.count()).select_from(sql.TRIALS).where(sql.TRIALS.c.study_id == study_id)
        number = connection.execute(count).scalar_one()
        rows = [
            {"number": number + position, "study_id": study_id, "state": TrialState.WAITING}
            for position in range(len(slots))
        ]
        ids = connection.execute(
            sql.TRIALS.insert().returning(sql.TRIALS.c.trial_id, sort_by_parameter_order=True), rows
        ).scalars()
        attributes = [
            row
            for trial_id, slot in zip(ids.all(), slots, strict=True)
            for row in attribute_rows(trial_id, slot.attributes)
        ]
        connection.execute(sql.ATTRIBUTES.insert(), attributes)

    # -- reading ---------------------------------------------------------------------------------

    def waiting(self, study_id: int) -> list[Trial]:
        with self._reading.connect() as connection:
            rows = connection.execute(sql.WAITING, {"study": study_id}).all()
            retries = {t.id: t for t in self._retries(connection, study_id, (TrialState.WAITING,))}
        return [
            retries.get(row.trial_id)
            or Trial(row.trial_id, row.number, int(row.value_json or row.number), State.WAITING)
            for row in rows
        ]

    def retried(self, study_id: int) -> list[Trial]:
        with self._reading.connect() as connection:
            return self._retries(connection, study_id, OPEN)

    def running(self, study_id: int) -> list[Trial]:
        with self._reading.connect() as connection:
            ids = connection.execute(sql.RUNNING, {"study": study_id}).scalars().all()
            return whole_trials(connection, ids)

    def at_work(self) -> list[int]:
        with self._reading.connect() as connection:
            return list(connection.execute(sql.AT_WORK).scalars().all())

    def finished(self, study_id: int, since: int, read: Container[int]) -> tuple[list[Trial], int]:
        with self._reading.connect() as connection:
            next_since = self._frontier(connection, study_id)
            ids = connection.execute(sql.FINISHED, {"study": study_id, "since": since}).scalars().all()
            trials = whole_trials(connection, [id_ for id_ in ids if id_ not in read])
        return trials, next_since

    def _frontier(self, connection: Connection, study_id: int) -> int:
        """The lowest id that may close later; everything below it is closed."""
        firsts = (connection.execute(query, {"study": study_id}).scalar() for query in sql.FIRST_OPEN)
        ids = [first for first in firsts if first is not None]
        return min(ids) if ids else (connection.execute(sql.LAST, {"study": study_id}).scalar() or 0) + 1

    def _retries(self, connection: Connection, study_id: int, states: Sequence[TrialState]) -> list[Trial]:
        rows = connection.execute(sql.RETRIES[tuple(states)], {"study": study_id}).all()
        return light_trials(connection, rows)

    def _claimed_before(self, study_id: int, owner: Mapping[str, Any]) -> Trial | None:
        mine = (t for t in self.running(study_id) if t.owner is not None and t.owner.claim == owner["claim"])
        return next(mine, None)

    def now(self) -> datetime:
        with self._reading.connect() as connection:
            connection.execute(select(1))
            return self._now(connection)

    def close(self) -> None:
        self.storage.remove_session()
        self._engine.dispose()
