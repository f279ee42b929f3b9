"""The table `recsweep_studies`: what each study is, in columns that are matched exactly, and as one text.

It goes with Optuna's table of studies: a row whose study is deleted, by whatever program, is deleted with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC
from functools import cache
from importlib import import_module
from typing import Any

import sqlalchemy
from optuna.storages._rdb import models
from optuna.study import StudyDirection
from sqlalchemy import (
    Column,
    Connection,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    and_,
    func,
    or_,
    select,
    true,
    update,
)

from recsweep.study.earlier import ATTRIBUTES, Earlier
from recsweep.study.record import COLUMNS, StudyRecord
from recsweep.study.records import Records, Step, with_chains
from recsweep.study.tally import Tally, tally_tables
from recsweep.study.wholeness import read_study_json

_STUDIES: Table = models.StudyModel.__table__
_TRIALS: Table = models.TrialModel.__table__
_TRIAL_ATTRIBUTES: Table = models.TrialUserAttributeModel.__table__
_ATTRIBUTES: Table = models.StudyUserAttributeModel.__table__
_DIRECTIONS: Table = models.StudyDirectionModel.__table__
_AT_ONCE = 500

_TYPES: dict[str, Any] = {
    "budget": Integer,
    "score": Float,
    "test_score": Float,
    "slots_inherited": Integer,
}
TABLE = Table(
    "recsweep_studies",
    MetaData(),
    Column("study_id", Integer, primary_key=True, autoincrement=False),
    *(Column(name, _TYPES.get(name, String)) for name in COLUMNS),
    Column("version", Integer, nullable=False),
    Column("details", Text, nullable=False),
    Index("recsweep_parts", "sweep_name", "dataset_name", "model_name", "phase"),
)
# SQLite minds foreign keys only where a connection asks for it, and other programs do not ask.
_GOES_WITH_ITS_STUDY = {
    "sqlite": "CREATE TRIGGER IF NOT EXISTS recsweep_study_gone AFTER DELETE ON studies BEGIN "
    "DELETE FROM recsweep_studies WHERE study_id = OLD.study_id; END",
    "postgresql": "ALTER TABLE recsweep_studies ADD CONSTRAINT recsweep_study_gone FOREIGN KEY (study_id) "
    "REFERENCES studies (study_id) ON DELETE CASCADE",
}


def add_table(engine: sqlalchemy.Engine) -> None:
    """Make the table where it is not there."""
    dialect = engine.dialect.name
    there = sqlalchemy.inspect(engine).has_table(TABLE.name)
    if there and dialect != "sqlite":
        return
    if there:
        with engine.connect() as connection:
            if connection.execute(_HAS_TRIGGER).scalar():
                return
    with engine.begin() as connection:
        TABLE.create(connection, checkfirst=True)
        connection.exec_driver_sql(_GOES_WITH_ITS_STUDY[dialect])


_HAS_TRIGGER = sqlalchemy.text(
    "SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND name = 'recsweep_study_gone'"
)
MADE_WITH_IT = (TABLE.name, "recsweep_study_gone")
"""Names of what `add_table` adds to a SQLite store."""


@cache
def _put(dialect: str) -> Any:
    """The statement that writes a record, new or not."""
    spoken = "sqlite" if dialect == "sqlite" else "postgresql"
    insert: Any = import_module(f"sqlalchemy.dialects.{spoken}").insert
    statement = insert(TABLE)
    new = {column.name: statement.excluded[column.name] for column in TABLE.c if not column.primary_key}
    return statement.on_conflict_do_update(index_elements=["study_id"], set_=new)


class TableRecords(Records):
    """Records in the table.

    Args:
        engine: transactions of it write.
        reading: those of it only read.
    """

    def __init__(self, engine: sqlalchemy.Engine, reading: sqlalchemy.Engine) -> None:
        self._engine, self._reading = engine, reading
        self._put = _put(engine.dialect.name)

    def find(self, *, brief: bool = False, **parts: str) -> Iterator[tuple[int, StudyRecord]]:
        wanted = and_(true(), *(TABLE.c[name] == value for name, value in parts.items()))
        query = (
            (_BRIEF if brief else _ALL)
            .where(or_(TABLE.c.study_id.is_(None), wanted))
            .order_by(_STUDIES.c.study_id)
        )
        with self._reading.connect() as connection:
            rows = connection.execute(query).all()
            before = dict(_earlier(connection, [(row[0], row[1]) for row in rows if row.version is None]))
        made = dict(with_chains(list(before.items())))
        names = () if not rows else rows[0]._fields
        version = names.index("version") if rows else 0
        for row in rows:
            if row[version] is not None:
                yield row[0], StudyRecord.from_row(dict(zip(names, row, strict=True)))
            elif (record := made.get(row[0])) is not None:
                if all(getattr(record, name) == value for name, value in parts.items()):
                    yield row[0], record

    def one(self, study_id: int) -> StudyRecord | None:
        with self._reading.connect() as connection:
            row = connection.execute(_ALL.where(_STUDIES.c.study_id == study_id)).first()
        if row is None or row.version is not None:
            return None if row is None else StudyRecord.from_row(row._asdict())
        return dict(self.find()).get(study_id)  # with the phases that its model has

    def change(self, study_id: int, step: Step) -> StudyRecord | None:
        with self._engine.begin() as connection:
            lock = select(_STUDIES.c.study_id).where(_STUDIES.c.study_id == study_id).with_for_update()
            if connection.execute(lock).first() is None:
                return None
            row = connection.execute(_ALL.where(_STUDIES.c.study_id == study_id)).one()
            record: StudyRecord | None = None
            if row.version is not None:
                record = StudyRecord.from_row(row._asdict())
            else:
                before = list(_earlier(connection, [(row[0], row[1])]))
                record = dict(with_chains(before)).get(study_id)
            new = step(record)
            if new is not None and (row.version is None or new != record):
                connection.execute(self._put, {"study_id": study_id, **new.to_row()})
        return new

    def rename(self, study_id: int, name: str) -> bool:
        self.change(study_id, lambda record: record)  # a study that was made before gets its row
        with self._engine.begin() as connection:
            ours = update(TABLE).where(TABLE.c.study_id == study_id).values(study=name)
            connection.execute(ours)
            connection.execute(
                update(_STUDIES).where(_STUDIES.c.study_id == study_id).values(study_name=name)
            )
        return True

    def tallies(self) -> dict[int, Tally]:
        with self._reading.connect() as connection:
            return tally_tables(connection)


# Our row of a study that was deleted, and whose id another one has, would have another name.
_JOINED = _STUDIES.outerjoin(
    TABLE, and_(TABLE.c.study_id == _STUDIES.c.study_id, TABLE.c.study == _STUDIES.c.study_name)
)
_COLUMNS = tuple(column for column in TABLE.c if not column.primary_key)
_NAMED = (_STUDIES.c.study_id.label("id"), _STUDIES.c.study_name)
_ALL = select(*_NAMED, *_COLUMNS).select_from(_JOINED)
_BRIEF = select(*_NAMED, *(c for c in _COLUMNS if c.name != "details")).select_from(_JOINED)


def _earlier(connection: Connection, found: Sequence[tuple[int, str]]) -> Iterator[tuple[int, Earlier]]:
    """The facts known of studies that have no row, in a few queries for hundreds of them."""
    for begin in range(0, len(found), _AT_ONCE):
        part = dict(found[begin : begin + _AT_ONCE])
        yield from _some_earlier(connection, part)


def _some_earlier(connection: Connection, names: dict[int, str]) -> Iterator[tuple[int, Earlier]]:
    attributes: dict[int, dict[str, Any]] = {}
    columns = (_ATTRIBUTES.c.study_id, _ATTRIBUTES.c.key, _ATTRIBUTES.c.value_json)
    query = select(*columns).where(_ATTRIBUTES.c.study_id.in_(names), _ATTRIBUTES.c.key.in_(ATTRIBUTES))
    for study_id, key, text in connection.execute(query):
        attributes.setdefault(study_id, {})[key] = read_study_json(text, names[study_id], key)
    directions: dict[int, list[bool]] = {}
    query = select(_DIRECTIONS.c.study_id, _DIRECTIONS.c.direction).where(_DIRECTIONS.c.study_id.in_(names))
    for study_id, direction in connection.execute(query.order_by(_DIRECTIONS.c.objective)):
        directions.setdefault(study_id, []).append(direction == StudyDirection.MAXIMIZE)
    distinct = func.count(_TRIAL_ATTRIBUTES.c.value_json.distinct())
    slots = _by_study(connection, _of_trials("slot", distinct, names))
    inherited = _by_study(connection, _of_trials("inherited", func.count(), names))
    starts = select(_TRIALS.c.study_id, func.min(_TRIALS.c.datetime_start))
    starts = starts.where(_TRIALS.c.study_id.in_(names)).group_by(_TRIALS.c.study_id)
    begun = _by_study(connection, starts)
    for study_id, name in names.items():
        first = begun.get(study_id)
        yield (
            study_id,
            Earlier(
                name,
                attributes.get(study_id, {}),
                directions.get(study_id, []),
                slots.get(study_id, 0),
                bool(inherited.get(study_id)),
                first.replace(tzinfo=UTC) if first else None,
            ),
        )


def _by_study(connection: Connection, query: Any) -> dict[int, Any]:
    return dict(connection.execute(query).tuples().all())


def _of_trials(key: str, number: Any, names: dict[int, str]) -> Any:
    """Counts an attribute of the trials of each study."""
    joined = _TRIALS.join(_TRIAL_ATTRIBUTES, _TRIALS.c.trial_id == _TRIAL_ATTRIBUTES.c.trial_id)
    ours = (_TRIALS.c.study_id.in_(names), _TRIAL_ATTRIBUTES.c.key == key)
    return select(_TRIALS.c.study_id, number).select_from(joined).where(*ours).group_by(_TRIALS.c.study_id)
