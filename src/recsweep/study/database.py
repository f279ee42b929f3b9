"""The database under the store: opened so that a claim is atomic; its errors in one line."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage

from recsweep.errors import StoreUnavailable

LOCK_TIMEOUT_SECONDS = 60


def open_database(url: str) -> RDBStorage:
    """Open a database and make its tables where there are none."""
    if url.startswith("sqlite"):
        database = sqlalchemy.engine.make_url(url).database
        if database:
            Path(database).parent.mkdir(parents=True, exist_ok=True)
        storage_arguments: dict[str, Any] = {"connect_args": {"timeout": LOCK_TIMEOUT_SECONDS}}
    else:
        storage_arguments = {"pool_pre_ping": True}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        storage = RDBStorage(url, engine_kwargs=storage_arguments)
    if url.startswith("sqlite"):
        _tune_sqlite(storage.engine)
    return storage


def _tune_sqlite(engine: sqlalchemy.engine.Engine) -> None:
    """Write-ahead log, so that readers do not block the writer, and transactions that take the
    write lock when they begin: only then is read-check-write, and with it a claim, atomic.
    """

    def connect(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # we begin transactions ourselves
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        # Loses nothing when a process dies; a power cut may cost the last transactions, never the file.
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.close()

    def begin(connection: sqlalchemy.engine.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    sqlalchemy.event.listen(engine, "connect", connect)
    sqlalchemy.event.listen(engine, "begin", begin)
    engine.dispose()  # connections made before the listeners


@contextlib.contextmanager
def schema_lock(url: str) -> Iterator[None]:
    """Processes that create the tables of one SQLite file together crash; let them queue."""
    database = sqlalchemy.engine.make_url(url).database if url.startswith("sqlite:///") else None
    if not database or database == ":memory:":
        yield
        return
    import fcntl

    Path(database).parent.mkdir(parents=True, exist_ok=True)
    with Path(f"{database}.lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def store_errors(url: str) -> Iterator[None]:
    """Whatever the database throws becomes one line that says what to do."""
    try:
        yield
    except (StorageInternalError, sqlalchemy.exc.SQLAlchemyError, OSError) as error:
        cause = error.__cause__ or error
        text = str(getattr(cause, "orig", None) or cause).splitlines()[0]
        place = sqlalchemy.engine.make_url(url).render_as_string(hide_password=True) if "://" in url else url
        full = any(word in text for word in ("full", "No space", "disk I/O"))
        advice = "free some disk space" if full else "make it reachable"
        raise StoreUnavailable(
            f"the store {place} cannot be used; {text}; {advice} and run the same command again, "
            "no trial is lost"
        ) from error
