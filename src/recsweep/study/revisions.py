"""The revision of Optuna's tables in a database: read and written by one statement, where it is the newest.

Optuna asks Alembic, a quarter of a second of imports for each process that opens a store.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import sqlalchemy
from optuna.storages import RDBStorage
from optuna.storages._rdb import storage

_TABLE = sqlalchemy.Table(
    "alembic_version",
    sqlalchemy.MetaData(),
    sqlalchemy.Column("version_num", sqlalchemy.String(32), nullable=False),
    sqlalchemy.PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
"""As Alembic makes it (`alembic.runtime.migration.MigrationContext`)."""
_MIGRATION = re.compile(r"v(\d+)\.(\d+)\.(\d+)\.([a-z]+)_?")
"""The name of a migration's file, which is that of the revision it leads to."""
_fitting: set[str] = set()
"""Revisions that Optuna itself has found to be its own; one, as a rule."""


class _Revisions(storage._VersionManager):
    """Optuna's own, that asks Alembic only where another version of Optuna made the tables."""

    def _init_alembic(self) -> None:
        if self._written() is not None:
            return
        if newest() is None or not self._is_alembic_supported():
            super()._init_alembic()
            return
        with self.engine.begin() as connection:
            _TABLE.create(connection, checkfirst=True)
            if connection.execute(sqlalchemy.select(_TABLE)).first() is None:  # it may have been away before
                connection.execute(_TABLE.insert().values(version_num=newest()))

    def get_current_version(self) -> str:
        return self._written() or super().get_current_version()

    def _written(self) -> str | None:
        try:
            with self.engine.connect() as connection:
                found = connection.execute(sqlalchemy.select(_TABLE)).scalar()
        except sqlalchemy.exc.DBAPIError:  # there is no such table, or no database; Optuna finds out which
            return None
        return None if found is None else str(found)


setattr(storage, "_VersionManager", _Revisions)  # noqa: B010  # mypy: a type


def require_fitting(opened: RDBStorage) -> None:
    """See that the tables are of this Optuna.

    Raises:
        RuntimeError: they are of another one; the message is Optuna's.
    """
    revision = opened.get_current_version()
    if revision != newest() and revision not in _fitting:
        opened._version_manager.check_table_schema_compatibility()
        _fitting.add(revision)


@cache
def newest() -> str | None:
    """The revision that the newest of Optuna's migrations leads to; None: their names do not say."""
    files = (Path(storage.__file__).parent / "alembic" / "versions").glob("v*.py")
    found = [match for file in files if (match := _MIGRATION.fullmatch(file.stem))]
    ordered = sorted((*map(int, match.groups()[:3]), match.group(4)) for match in found)
    return "v{}.{}.{}.{}".format(*ordered[-1]) if ordered else None
