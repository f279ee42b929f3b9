"""Triggers that mark a job whose trials or studies have changed: what was counted of it holds no longer.

They stand in the database, so that nobody can change a trial without it: a sweep that is tuned from outside
into a job's studies, an earlier recsweep, another program of Optuna's. A mark is made in the transaction that
makes the change. On PostgreSQL that is when it ends, once for all of its rows: so nobody waits for the job's
row while he holds another one that somebody else wants.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from recsweep.study.job_table import SWEEP

_BY_TRIALS = ("INSERT", "DELETE", "UPDATE OF state")
_BY_STUDIES = ("INSERT", "DELETE", "UPDATE")
_NAME = "recsweep_job"
_THERE = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'recsweep_job_%'",
    "postgresql": "SELECT tgname FROM pg_trigger WHERE tgname LIKE 'recsweep_job_%'",
}
_OF_TRIAL = (
    "SELECT substr(sweep_name, {behind}) FROM recsweep_studies "
    "WHERE study_id = {row}.study_id AND substr(sweep_name, 1, {length}) = '{sweep}'"
)
_OF_STUDY = (
    "SELECT substr({row}.sweep_name, {behind}) WHERE substr({row}.sweep_name, 1, {length}) = '{sweep}'"
)
# `xmin` is the transaction that wrote a row: of a thousand trials that one adds the first marks the job.
_MARK = {
    "sqlite": "UPDATE tuning_progress SET changed = changed + 1 WHERE job_id = ({job});",
    "postgresql": "UPDATE tuning_progress SET changed = changed + 1 "
    "WHERE job_id = ({job}) AND xmin <> pg_current_xact_id()::xid;",
}


def make_marks(connection: Connection) -> None:
    """Make the triggers that are not there; what was counted before is not heeded then.

    Args:
        connection: in a transaction that writes.
    """
    missing = {name: made for name, made in _made(connection).items() if name not in _there(connection)}
    for statement in (statement for made in missing.values() for statement in made):
        connection.execute(text(statement))
    if missing:
        connection.execute(text("UPDATE tuning_progress SET counted = NULL"))


def has_marks(connection: Connection) -> bool:
    """True where all triggers are there. Who makes a table anew, as an upgrade may, leaves them away."""
    return _made(connection).keys() <= _there(connection)


def _there(connection: Connection) -> set[str]:
    return set(connection.execute(text(_THERE[connection.dialect.name])).scalars())


def _made(connection: Connection) -> dict[str, tuple[str, ...]]:
    """The triggers by name, with the statements that make each."""
    dialect = connection.dialect.name
    form = _sqlite if dialect == "sqlite" else _postgresql
    found: dict[str, tuple[str, ...]] = {}
    for table, events in (("trials", _BY_TRIALS), ("recsweep_studies", _BY_STUDIES)):
        for event in events:
            name = f"{_NAME}_{table}_{event.split()[0].lower()}"
            marks = " ".join(_MARK[dialect].format(job=_job(table, row)) for row in _rows(table, event))
            found[name] = form(name, f"AFTER {event} ON {table}", marks)
    return found


def _job(table: str, row: str) -> str:
    """The id of the job that a row belongs to, as a query; nothing, where it is no job's."""
    form = _OF_TRIAL if table == "trials" else _OF_STUDY
    return form.format(row=row, behind=len(SWEEP) + 1, length=len(SWEEP), sweep=SWEEP)


def _rows(table: str, event: str) -> tuple[str, ...]:
    """The rows of an event whose jobs are marked. A study may go from one sweep to another one."""
    if event == "UPDATE" and table != "trials":
        return ("OLD", "NEW")
    return ("OLD",) if event == "DELETE" else ("NEW",)


def _sqlite(name: str, when: str, marks: str) -> tuple[str, ...]:
    return (f"CREATE TRIGGER {name} {when} BEGIN {marks} END",)


def _postgresql(name: str, when: str, marks: str) -> tuple[str, ...]:
    return (
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN {marks} RETURN NULL; END $$",
        f"CREATE CONSTRAINT TRIGGER {name} {when} DEFERRABLE INITIALLY DEFERRED "
        f"FOR EACH ROW EXECUTE FUNCTION {name}()",
    )
