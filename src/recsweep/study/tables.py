"""A store that is a database: SQLite or PostgreSQL, asked in SQL over Optuna's own tables.

Optuna's storage takes a transaction, and several queries through an object mapper, for each attribute
and each parameter: some fifty milliseconds a trial, more than a worker's share where many train short
trials. Here a step of a trial is one transaction of a few statements, and its cost does not grow with
the trials that a study has. What is written is what Optuna would write.
"""

from __future__ import annotations

import json
import math
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy
from optuna.distributions import distribution_to_json
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.trial import TrialState
from sqlalchemy import Connection, Table, and_, bindparam, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from recsweep.study.backend import Backend, Change, Slot
from recsweep.study.record_table import TableRecords
from recsweep.study.states import State
from recsweep.study.trial import STATES, Trial, from_attributes
from recsweep.study.wholeness import read_json

_TRIALS: Table = models.TrialModel.__table__
_ATTRIBUTES: Table = models.TrialUserAttributeModel.__table__
_PARAMS: Table = models.TrialParamModel.__table__
_VALUES: Table = models.TrialValueModel.__table__
_SCORES: Table = models.TrialIntermediateValueModel.__table__
_STUDIES: Table = models.StudyModel.__table__
_FINITE = models.TrialValueModel.TrialValueType.FINITE
_ScoreType = models.TrialIntermediateValueModel.TrialIntermediateValueType

_CLOSED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
_OPEN = (TrialState.WAITING, TrialState.RUNNING)
_AT_ONCE = 500
"""Trials that are read in one query: SQLite allows 999 values in one."""

INDEXES = {
    "recsweep_states": "CREATE INDEX recsweep_states ON trials (study_id, state, trial_id)",
    "recsweep_retries": (
        "CREATE INDEX recsweep_retries ON trial_user_attributes (trial_id) WHERE key = 'attempt'"
    ),
}
"""What makes the cost of a claim independent of the number of trials. Optuna does not mind them."""


class Tables(Backend):
    """A database.

    Args:
        storage: opened (`database.open_database`).
    """

    def __init__(self, storage: RDBStorage) -> None:
        self.storage = storage
        self._engine: sqlalchemy.Engine = storage.engine
        self._reading = self._engine.execution_options(recsweep_reads=True)
        self.records = TableRecords(self._engine, self._reading)
        self._is_sqlite = self._engine.dialect.name == "sqlite"
        insert = sqlite.insert if self._is_sqlite else postgresql.insert
        self._put = {
            table: _upsert(insert, table, keys, columns)
            for table, keys, columns in (
                (_ATTRIBUTES, ("trial_id", "key"), ("value_json",)),
                (_PARAMS, ("trial_id", "param_name"), ("param_value", "distribution_json")),
                (_VALUES, ("trial_id", "objective"), ("value", "value_type")),
                (_SCORES, ("trial_id", "step"), ("intermediate_value", "intermediate_value_type")),
            )
        }

    # -- claims ----------------------------------------------------------------------------------

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
                taken = connection.execute(_TAKE, {"id": found.id, "now": self._now(connection)}).rowcount
                if not taken:
                    continue  # another process was faster
                self._write(connection, found.id, Change(attributes={"owner": owner}))
                return found

    def _claimed_before(self, study_id: int, owner: Mapping[str, Any]) -> Trial | None:
        mine = (t for t in self.running(study_id) if t.owner is not None and t.owner.claim == owner["claim"])
        return next(mine, None)

    def _lowest(self, connection: Connection, study_id: int, budget: int, shared: bool) -> Trial | None:
        """The waiting trial of the lowest slot, kept from other claims until the transaction ends."""
        retries = self._retries(connection, study_id, (TrialState.WAITING,))
        fitting = [t for t in retries if t.slot < budget and not (shared and t.alone)]
        first = min(fitting, key=lambda t: (t.slot, t.number), default=None)
        query = _FIRST_WAITING
        if retries:
            query = query.where(_TRIALS.c.trial_id.not_in([trial.id for trial in retries]))
        if not self._is_sqlite:  # whose transactions are one after the other
            query = query.with_for_update(skip_locked=True)
        row = connection.execute(query, {"study": study_id}).first()
        if row is None:
            return first
        text = connection.execute(_SLOT, {"id": row.trial_id}).scalar()
        fresh = Trial(row.trial_id, row.number, int(text) if text is not None else row.number, State.WAITING)
        if fresh.slot >= budget or (first is not None and first.slot <= fresh.slot):
            return first
        return fresh

    def _retries(self, connection: Connection, study_id: int, states: Sequence[TrialState]) -> list[Trial]:
        rows = connection.execute(_RETRIES[tuple(states)], {"study": study_id}).all()
        return _light(connection, rows)

    # -- changes ---------------------------------------------------------------------------------

    def apply(self, study_id: int, trial_id: int, change: Change, *, again: bool) -> bool:
        with self._engine.begin() as connection:
            row = connection.execute(self._locked, {"id": trial_id}).first()
            if row is None:
                return False
            if row.state in _CLOSED:
                return again and row.state == change.state and self._is_written(connection, trial_id, change)
            self._write(connection, trial_id, change)
            if change.state is not None:
                closing = {"id": trial_id, "now": self._now(connection), "new_state": change.state}
                connection.execute(_CLOSE, closing)
            if change.then is not None:
                self._insert(connection, study_id, [change.then])
        return True

    def _now(self, connection: Connection) -> datetime:
        """The time by the clock that all times of this store are by."""
        return now_utc()

    @property
    def _locked(self) -> Any:
        """A trial's state, kept from other changes until the transaction ends."""
        return _STATE if self._is_sqlite else _STATE.with_for_update()

    def _is_written(self, connection: Connection, trial_id: int, change: Change) -> bool:
        """Whether a closed trial was closed by this very change."""
        stored = _attributes(connection, [trial_id])[trial_id]
        return all(stored.get(name) == json.loads(_json(value)) for name, value in change.attributes.items())

    def _write(self, connection: Connection, trial_id: int, change: Change) -> None:
        rows: dict[Table, list[dict[str, Any]]] = {
            _ATTRIBUTES: [
                {"trial_id": trial_id, "key": name, "value_json": _json(value)}
                for name, value in change.attributes.items()
            ],
            _PARAMS: [
                {
                    "trial_id": trial_id,
                    "param_name": name,
                    "param_value": distribution.to_internal_repr(value),
                    "distribution_json": distribution_to_json(distribution),
                }
                for name, (distribution, value) in change.params.items()
            ],
            _VALUES: [
                {"trial_id": trial_id, "objective": number, "value": value, "value_type": _FINITE}
                for number, value in enumerate(change.values)
            ],
            _SCORES: [
                {
                    "trial_id": trial_id,
                    "step": step,
                    "intermediate_value": score if math.isfinite(score) else None,
                    "intermediate_value_type": score_type(score),
                }
                for step, score in change.scores.items()
            ],
        }
        for table, new in rows.items():
            if new:
                connection.execute(self._put[table], new)

    def add(self, study_id: int, slots: Sequence[Slot]) -> None:
        if slots:
            with self._engine.begin() as connection:
                self._insert(connection, study_id, slots)

    def _insert(self, connection: Connection, study_id: int, slots: Sequence[Slot]) -> None:
        # The row of the study orders those that add trials, as in Optuna: numbers must not repeat.
        lock = select(_STUDIES.c.study_id).where(_STUDIES.c.study_id == study_id)
        connection.execute(lock if self._is_sqlite else lock.with_for_update())
        count = select(func.count()).select_from(_TRIALS).where(_TRIALS.c.study_id == study_id)
        number = connection.execute(count).scalar_one()
        rows = [
            {"number": number + position, "study_id": study_id, "state": TrialState.WAITING}
            for position in range(len(slots))
        ]
        ids = connection.execute(
            _TRIALS.insert().returning(_TRIALS.c.trial_id, sort_by_parameter_order=True), rows
        ).scalars()
        attributes = [
            {"trial_id": trial_id, "key": name, "value_json": _json(value)}
            for trial_id, slot in zip(ids.all(), slots, strict=True)
            for name, value in slot.attributes.items()
        ]
        connection.execute(_ATTRIBUTES.insert(), attributes)

    @contextmanager
    def exclusive(self, study_id: int) -> Iterator[None]:
        with advisory_lock(self._engine, f"slots of {study_id}"):
            yield

    # -- reading ---------------------------------------------------------------------------------

    def waiting(self, study_id: int) -> list[Trial]:
        with self._reading.connect() as connection:
            rows = connection.execute(_WAITING, {"study": study_id}).all()
            retries = {t.id: t for t in self._retries(connection, study_id, (TrialState.WAITING,))}
        return [
            retries.get(row.trial_id)
            or Trial(row.trial_id, row.number, int(row.value_json or row.number), State.WAITING)
            for row in rows
        ]

    def retried(self, study_id: int) -> list[Trial]:
        with self._reading.connect() as connection:
            return self._retries(connection, study_id, _OPEN)

    def running(self, study_id: int) -> list[Trial]:
        with self._reading.connect() as connection:
            ids = connection.execute(_RUNNING, {"study": study_id}).scalars().all()
            return _whole(connection, ids)

    def at_work(self) -> list[int]:
        with self._reading.connect() as connection:
            return list(connection.execute(_AT_WORK).scalars().all())

    def finished(self, study_id: int, since: int, known: Container[int]) -> tuple[list[Trial], int]:
        with self._reading.connect() as connection:
            next_since = self._frontier(connection, study_id)
            ids = connection.execute(_FINISHED, {"study": study_id, "since": since}).scalars().all()
            trials = _whole(connection, [id_ for id_ in ids if id_ not in known])
        return trials, next_since

    def _frontier(self, connection: Connection, study_id: int) -> int:
        """The lowest id that may close later; everything below it is closed."""
        firsts = (connection.execute(query, {"study": study_id}).scalar() for query in _FIRST_OPEN)
        known = [first for first in firsts if first is not None]
        return min(known) if known else (connection.execute(_LAST, {"study": study_id}).scalar() or 0) + 1

    def close(self) -> None:
        self.storage.remove_session()
        self._engine.dispose()


# -- statements ----------------------------------------------------------------------------------


def _of_study(*states: TrialState) -> Any:
    return and_(_TRIALS.c.study_id == bindparam("study"), _TRIALS.c.state.in_(states))


def _upsert(insert: Any, table: Table, keys: Sequence[str], columns: Sequence[str]) -> Any:
    statement = insert(table).values({name: bindparam(name) for name in (*keys, *columns)})
    new = {name: statement.excluded[name] for name in columns}
    return statement.on_conflict_do_update(index_elements=list(keys), set_=new)


_SLOT = select(_ATTRIBUTES.c.value_json).where(
    _ATTRIBUTES.c.trial_id == bindparam("id"), _ATTRIBUTES.c.key == "slot"
)
_FIRST_WAITING = (
    select(_TRIALS.c.trial_id, _TRIALS.c.number)
    .where(_TRIALS.c.study_id == bindparam("study"), _TRIALS.c.state == TrialState.WAITING)
    .order_by(_TRIALS.c.trial_id)
    .limit(1)
)
_WAITING = (
    select(_TRIALS.c.trial_id, _TRIALS.c.number, _ATTRIBUTES.c.value_json)
    .select_from(
        _TRIALS.outerjoin(
            _ATTRIBUTES, and_(_ATTRIBUTES.c.trial_id == _TRIALS.c.trial_id, _ATTRIBUTES.c.key == "slot")
        )
    )
    .where(_of_study(TrialState.WAITING))
    .order_by(_TRIALS.c.trial_id)
)
_AT_WORK = select(_TRIALS.c.study_id).where(_TRIALS.c.state == TrialState.RUNNING).distinct()
_RUNNING = select(_TRIALS.c.trial_id).where(_of_study(TrialState.RUNNING)).order_by(_TRIALS.c.trial_id)
_FINISHED = (
    select(_TRIALS.c.trial_id)
    .where(_of_study(*_CLOSED), _TRIALS.c.trial_id >= bindparam("since"))
    .order_by(_TRIALS.c.trial_id)
)
# The literal, and not a parameter: only so the planner takes the small index of retries.
_RETRIES: dict[tuple[TrialState, ...], Any] = {
    states: select(_TRIALS.c.trial_id, _TRIALS.c.number, _TRIALS.c.state)
    .select_from(_ATTRIBUTES.join(_TRIALS, _TRIALS.c.trial_id == _ATTRIBUTES.c.trial_id))
    .where(
        sqlalchemy.literal_column("trial_user_attributes.key") == sqlalchemy.literal_column("'attempt'"),
        # An expression, and not the column, and ordered by the index of retries: else SQLite goes
        # through all trials of the study first.
        _TRIALS.c.study_id + 0 == bindparam("study"),
        _TRIALS.c.state.in_(states),
    )
    .order_by(_ATTRIBUTES.c.trial_id)
    for states in ((TrialState.WAITING,), _OPEN)
}


_OF_STUDY = select(_TRIALS.c.trial_id).where(_TRIALS.c.study_id == bindparam("study"))
# `ORDER BY … LIMIT 1` and not `MIN`, for which SQLite walks through all trials of the study.
_FIRST_OPEN = [
    _OF_STUDY.where(_TRIALS.c.state == state).order_by(_TRIALS.c.trial_id).limit(1) for state in _OPEN
]
_LAST = _OF_STUDY.order_by(_TRIALS.c.trial_id.desc()).limit(1)
_STATE = select(_TRIALS.c.state).where(_TRIALS.c.trial_id == bindparam("id"))
_TAKE = (
    update(_TRIALS)
    .where(_TRIALS.c.trial_id == bindparam("id"), _TRIALS.c.state == TrialState.WAITING)
    .values(state=TrialState.RUNNING, datetime_start=bindparam("now"))
)
_CLOSE = (
    update(_TRIALS)
    .where(_TRIALS.c.trial_id == bindparam("id"))
    .values(state=bindparam("new_state"), datetime_complete=bindparam("now"))
)


# -- rows and trials -----------------------------------------------------------------------------


def now_utc() -> datetime:
    """As Optuna's tables hold times: UTC, without saying so."""
    return datetime.now(UTC).replace(tzinfo=None)


def _local(time: datetime | None) -> datetime | None:
    return time.replace(tzinfo=UTC).astimezone().replace(tzinfo=None) if time else None


def _json(value: Any) -> str:
    return json.dumps(value)


def score_type(score: float) -> Any:
    """Which of Optuna's kinds of numbers a score is."""
    if math.isnan(score):
        return _ScoreType.NAN
    if math.isinf(score):
        return _ScoreType.INF_POS if score > 0 else _ScoreType.INF_NEG
    return _ScoreType.FINITE


def _light(connection: Connection, rows: Sequence[Any]) -> list[Trial]:
    """Trials with what their slots need to know."""
    attributes = _attributes(
        connection, [row.trial_id for row in rows], "slot", "attempt", "crashes", "alone"
    )
    return [
        from_attributes(row.trial_id, row.number, STATES[row.state], attributes[row.trial_id]) for row in rows
    ]


def _attributes(connection: Connection, ids: Sequence[int], *names: str) -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {id_: {} for id_ in ids}
    for part in _parts(ids):
        columns = (_ATTRIBUTES.c.trial_id, _ATTRIBUTES.c.key, _ATTRIBUTES.c.value_json)
        query = select(*columns).where(_ATTRIBUTES.c.trial_id.in_(part))
        if names:
            query = query.where(_ATTRIBUTES.c.key.in_(names))
        for trial_id, name, text in connection.execute(query):
            found[trial_id][name] = read_json(text, trial_id, name)
    return found


def _whole(connection: Connection, ids: Sequence[int]) -> list[Trial]:
    """Trials with all that is known of them, in the order of their ids."""
    attributes = _attributes(connection, ids)
    values: dict[int, list[float]] = {}
    curves: dict[int, dict[int, float]] = {}
    trials: list[Trial] = []
    for part in _parts(ids):
        query = select(_VALUES.c.trial_id, _VALUES.c.value, _VALUES.c.value_type)
        ordered = query.where(_VALUES.c.trial_id.in_(part)).order_by(_VALUES.c.objective)
        for trial_id, value, kind in connection.execute(ordered):
            stored = models.TrialValueModel.stored_repr_to_value(value, kind)
            values.setdefault(trial_id, []).append(stored)
        scores = (_SCORES.c.trial_id, _SCORES.c.step, _SCORES.c.intermediate_value)
        kind_of = _SCORES.c.intermediate_value_type
        in_part = _SCORES.c.trial_id.in_(part)
        for trial_id, step, score, kind in connection.execute(select(*scores, kind_of).where(in_part)):
            stored = models.TrialIntermediateValueModel.stored_repr_to_intermediate_value(score, kind)
            curves.setdefault(trial_id, {})[step] = stored
        columns = (_TRIALS.c.trial_id, _TRIALS.c.number, _TRIALS.c.state)
        times = (_TRIALS.c.datetime_start, _TRIALS.c.datetime_complete)
        query = select(*columns, *times).where(_TRIALS.c.trial_id.in_(part)).order_by(_TRIALS.c.trial_id)
        for trial_id, number, state, started, finished in connection.execute(query):
            trials.append(
                from_attributes(
                    trial_id,
                    number,
                    STATES[state],
                    attributes[trial_id],
                    values=tuple(values.get(trial_id, ())),
                    curve=curves.get(trial_id, {}),
                    started=_local(started),
                    finished=_local(finished),
                )
            )
    return trials


def _parts(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for begin in range(0, len(ids), _AT_ONCE):
        yield ids[begin : begin + _AT_ONCE]


# -- locks ---------------------------------------------------------------------------------------


@contextmanager
def advisory_lock(engine: sqlalchemy.Engine, name: str) -> Iterator[None]:
    """Let processes that do the same thing to one database queue."""
    if engine.dialect.name == "postgresql":
        with engine.connect() as connection:
            key = func.hashtext(f"recsweep {name}")
            connection.execute(select(func.pg_advisory_xact_lock(key)))
            yield
        return
    with file_lock(engine.url.database):
        yield


@contextmanager
def file_lock(database: str | None) -> Iterator[None]:
    """A lock on a file beside a SQLite database; none for one in memory."""
    if not database or database == ":memory:":
        yield
        return
    import fcntl

    Path(database).parent.mkdir(parents=True, exist_ok=True)
    with Path(f"{database}.lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
