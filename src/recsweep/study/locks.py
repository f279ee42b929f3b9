"""Locks of a database: processes that do the same thing to it queue."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy
from sqlalchemy import func, select

from recsweep.common.address import StoreAddress


@contextmanager
def server_lock(engine: sqlalchemy.Engine, name: str) -> Iterator[None]:
    """A lock that PostgreSQL holds until this process is done, or gone."""
    with engine.connect() as connection:
        key = func.hashtext(f"recsweep {name}")
        connection.execute(select(func.pg_advisory_xact_lock(key)))
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


@contextmanager
def schema_lock(address: StoreAddress) -> Iterator[None]:
    """Processes that create the tables of one database together crash; let them queue."""
    if address.kind == "sqlite":
        with file_lock(str(address.file)):
            yield
    elif address.kind == "postgresql":
        engine = sqlalchemy.create_engine(address.reveal(), poolclass=sqlalchemy.pool.NullPool)
        with server_lock(engine, "schema"):
            yield
    else:
        yield
