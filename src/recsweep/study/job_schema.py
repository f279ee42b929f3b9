"""The service's tables brought to the version that this recsweep knows. The only user of Alembic.

Only the service does so: a store that no service has opened stays without them, whoever else opens it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sqlalchemy
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory

from recsweep.common.address import StoreAddress
from recsweep.common.errors import UserError
from recsweep.study.job_marks import has_marks, make_marks
from recsweep.study.locks import schema_lock

VERSION_TABLE = "tuning_version"
"""Optuna keeps its own version in `alembic_version`."""
FOLDER = Path(__file__).parent / "migrations"


def bring_up_to_date(address: StoreAddress, engine: sqlalchemy.Engine) -> None:
    """Make the tables where they are not there, and change those of an earlier version.

    Args:
        engine: of the store, whose transactions write.

    Raises:
        UserError: the tables are of a later version than ours.
    """
    scripts = ScriptDirectory(str(FOLDER))
    newest = scripts.get_current_head()
    if _version(engine) == newest and _is_marked(engine):
        return
    with schema_lock(address):
        found = _version(engine)
        if found is not None and found not in {script.revision for script in scripts.walk_revisions()}:
            raise UserError(
                f"the store {address} has the service's tables of a later recsweep (version {found}, ours is "
                f"{newest}); they are left alone; update recsweep here, or give the service another store"
            )
        with engine.begin() as connection:
            _upgrade(scripts, connection)
            make_marks(connection)


def has_tables(engine: sqlalchemy.Engine) -> bool:
    """True where a service has opened the store before."""
    return bool(sqlalchemy.inspect(engine).has_table(VERSION_TABLE))


def _version(engine: sqlalchemy.Engine) -> str | None:
    if not has_tables(engine):
        return None
    with engine.connect() as connection:
        found = connection.execute(sqlalchemy.text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608
    return None if found is None else str(found)


def _is_marked(engine: sqlalchemy.Engine) -> bool:
    with engine.connect() as connection:
        return has_marks(connection)


def _upgrade(scripts: ScriptDirectory, connection: sqlalchemy.Connection) -> None:
    def steps(revision: Any, context: Any) -> Sequence[Any]:
        return scripts._upgrade_revs("head", revision)

    with EnvironmentContext(Config(), scripts, fn=steps) as environment:
        environment.configure(connection=connection, version_table=VERSION_TABLE)
        environment.run_migrations()
