"""Opening a store by its URL, waiting for one that is away, and its errors in one line."""

from __future__ import annotations

import contextlib
import random
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import optuna
import sqlalchemy
from optuna.exceptions import StorageInternalError
from optuna.storages import JournalStorage, RDBStorage

from recsweep.errors import InputError, StoreUnavailable
from recsweep.study.backend import Backend
from recsweep.study.generic import Generic
from recsweep.study.journal import WholeJournal
from recsweep.study.postgres import Postgres
from recsweep.study.tables import INDEXES, Tables, advisory_lock, file_lock
from recsweep.study.wholeness import check_sqlite, damaged, is_damage, other_schema

LOCK_TIMEOUT_SECONDS = 60
JOURNAL = "journal:///"
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_T = TypeVar("_T")


def open_backend(url: str) -> Backend:
    """The store at a URL; its tables are made where there are none.

    Raises:
        InputError: not a URL that is known here.
    """
    if url.startswith(JOURNAL):
        path = Path(url.removeprefix(JOURNAL))
        path.parent.mkdir(parents=True, exist_ok=True)
        return Generic(JournalStorage(WholeJournal(path)), url, f"{path}.slots")
    try:
        storage = _open_database(url)
    except (sqlalchemy.exc.ArgumentError, ImportError) as error:
        raise InputError(
            "storage",
            f"cannot be opened: {error}",
            "use sqlite:///FILE, postgresql+psycopg://… or journal:///FILE",
        ) from None
    if storage.engine.dialect.name == "postgresql":
        return Postgres(storage)
    return Tables(storage) if storage.engine.dialect.name == "sqlite" else Generic(storage, url, None)


def _open_database(url: str) -> RDBStorage:
    dialect = sqlalchemy.engine.make_url(url)
    is_sqlite = dialect.get_backend_name() == "sqlite"
    if is_sqlite:
        if dialect.database:
            Path(dialect.database).parent.mkdir(parents=True, exist_ok=True)
            check_sqlite(Path(dialect.database), url)
        arguments: dict[str, Any] = {"connect_args": {"timeout": LOCK_TIMEOUT_SECONDS}}
    else:  # a connection that broke is found when it is used, and the step tried again (`Patience`)
        arguments = {"pool_pre_ping": False}
    with warnings.catch_warnings(), schema_lock(url):
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        try:
            storage = RDBStorage(url, engine_kwargs=arguments)
        except RuntimeError as error:
            raise other_schema(dialect.render_as_string(hide_password=True), str(error)) from None
        if is_sqlite:
            _tune_sqlite(storage.engine)
        _add_indexes(storage.engine)
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
        reads = connection.get_execution_options().get("recsweep_reads")
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    sqlalchemy.event.listen(engine, "connect", connect)
    sqlalchemy.event.listen(engine, "begin", begin)
    engine.dispose()  # connections made before the listeners


def _add_indexes(engine: sqlalchemy.engine.Engine) -> None:
    if engine.dialect.name not in ("sqlite", "postgresql"):
        return
    known = {
        index["name"]
        for table in ("trials", "trial_user_attributes")
        for index in sqlalchemy.inspect(engine).get_indexes(table)
    }
    for name, statement in INDEXES.items():
        if name not in known:
            with engine.begin() as connection:
                connection.exec_driver_sql(statement)


@contextlib.contextmanager
def schema_lock(url: str) -> Iterator[None]:
    """Processes that create the tables of one database together crash; let them queue."""
    parsed = sqlalchemy.engine.make_url(url)
    if parsed.get_backend_name() == "sqlite":
        with file_lock(parsed.database):
            yield
    elif parsed.get_backend_name() == "postgresql":
        engine = sqlalchemy.create_engine(parsed, poolclass=sqlalchemy.pool.NullPool)
        with advisory_lock(engine, "schema"):
            yield
    else:
        yield


class Patience:
    """Waits for a store that is away: a database server that is restarted, a lock that is held.

    Args:
        url: of the store.
        seconds: how long one step is tried again before its error is let through.
        tell: takes a line where the wait is longer than a moment.
    """

    def __init__(self, url: str, seconds: float = 0.0, tell: Callable[[str], None] | None = None) -> None:
        self.url, self.seconds, self._tell = url, seconds, tell
        self.outages = 0
        """How often the store was away so far."""

    def call(self, step: Callable[[bool], _T]) -> _T:
        """What a step gives; it is told whether it may have been carried out before.

        Raises:
            StoreUnavailable: the store stayed away, or cannot be used at all.
        """
        with store_errors(self.url):
            away: float | None = None
            pause = _FIRST_PAUSE
            while True:
                try:
                    found = step(away is not None)
                except Exception as error:
                    now = time.monotonic()
                    if away is None:
                        away = now
                        self.outages += is_transient(error)
                    if not is_transient(error) or now - away >= self.seconds:
                        raise
                    if pause == _FIRST_PAUSE:
                        self._say(f"the store is away ({_reason(error)}); waiting up to {self.seconds:g} s")
                    # At random, so that many workers do not come back all at once.
                    time.sleep(pause * random.uniform(0.5, 1.0))
                    pause = min(pause * 2, _LONGEST_PAUSE)
                else:
                    if away is not None:
                        self._say(f"the store is back after {time.monotonic() - away:.0f} s")
                    return found

    def _say(self, text: str) -> None:
        if self._tell is not None:
            self._tell(text)


_PASSING = ("08", "57P", "40001", "40P01", "53300", "55P03")
"""How PostgreSQL's error codes begin when the same statement may work later: no connection, shutdown
or start-up, a deadlock, too many connections, a lock."""


def is_transient(error: BaseException) -> bool:
    """Whether the same step may work a little later."""
    cause = error.__cause__ if isinstance(error, StorageInternalError) else error
    if not isinstance(cause, sqlalchemy.exc.DBAPIError):
        return False
    code = getattr(cause.orig, "sqlstate", None)
    if code is not None:
        return str(code).startswith(_PASSING)
    if "sqlite" in type(cause.orig).__module__:
        return "locked" in str(cause.orig) or "busy" in str(cause.orig)
    # psycopg gives no code where there is no connection.
    return cause.connection_invalidated or isinstance(
        cause, sqlalchemy.exc.OperationalError | sqlalchemy.exc.InterfaceError
    )


def _reason(error: BaseException) -> str:
    cause = error.__cause__ or error
    return (str(getattr(cause, "orig", None) or cause).strip().splitlines() or [type(error).__name__])[0]


@contextlib.contextmanager
def store_errors(url: str) -> Iterator[None]:
    """Whatever the database throws becomes one line that says what to do."""
    try:
        yield
    except (StorageInternalError, sqlalchemy.exc.SQLAlchemyError, OSError) as error:
        text = _reason(error)
        is_url = "://" in url and not url.startswith(JOURNAL)
        place = sqlalchemy.engine.make_url(url).render_as_string(hide_password=True) if is_url else url
        if is_damage(text):
            raise damaged(place, text) from error
        full = any(word in text for word in ("full", "No space", "disk I/O"))
        advice = "free some disk space" if full else "make it reachable"
        raise StoreUnavailable(
            f"the store {place} cannot be used; {text}; {advice} and run the same command again, "
            "no trial is lost"
        ) from error
