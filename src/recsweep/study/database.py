"""Opening a store at its address, waiting for one that is away, and its errors in one line."""

from __future__ import annotations

import contextlib
import random
import re
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import optuna
import sqlalchemy
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.storages._rdb import models

from recsweep.common.address import FORMS, AddressError, StoreAddress
from recsweep.common.errors import InputError, StoreUnavailable, UserError
from recsweep.common.masking import mask
from recsweep.study.backend import Backend
from recsweep.study.generic import Generic
from recsweep.study.journal import WholeJournal
from recsweep.study.journal_storage import QuickJournal
from recsweep.study.locks import schema_lock
from recsweep.study.record_table import MADE_WITH_IT, add_table
from recsweep.study.revisions import require_fitting
from recsweep.study.sqlite import Sqlite
from recsweep.study.statements import INDEXES
from recsweep.study.wholeness import check_sqlite, damaged, is_damage, other_schema

LOCK_TIMEOUT_SECONDS = 60
"""How long SQLite waits for a lock that another process holds, before it says `database is locked`."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
"""Seconds between two tries of a step: the pause doubles from the first to the longest."""
_EVERYTHING = {*models.BaseModel.metadata.tables, *INDEXES, *MADE_WITH_IT}
"""The names in a SQLite store that lacks nothing: only where one is missing each table is asked for."""
_T = TypeVar("_T")


def open_backend(address: StoreAddress, tell: Callable[[str], None] | None = None) -> Backend:
    """The store at an address; its tables are made where there are none.

    Args:
        tell: takes a line when what was left of a write had to be dropped.

    Raises:
        InputError: no store can be there.
    """
    try:
        address.check_place()
        if address.file is not None:
            address.file.parent.mkdir(parents=True, exist_ok=True)
        if address.kind == "journal" and address.file is not None:
            return Generic(QuickJournal(WholeJournal(address.file, tell)), f"{address.file}.slots")
        storage = _open_database(address)
    except AddressError as error:
        raise InputError("storage", error.problem, error.fix) from None
    except (sqlalchemy.exc.ArgumentError, ImportError) as error:
        raise InputError("storage", f"cannot be opened: {mask(str(error))}", FORMS) from None
    if address.kind == "postgresql":
        from recsweep.study.postgres import Postgres  # its dialect is imported only where it is spoken

        return Postgres(storage)
    return Sqlite(storage) if address.kind == "sqlite" else Generic(storage, None)


def _open_database(address: StoreAddress) -> RDBStorage:
    is_sqlite = address.kind == "sqlite"
    made = False
    if is_sqlite:
        made = check_sqlite(address) >= _EVERYTHING
        arguments: dict[str, Any] = {"connect_args": {"timeout": LOCK_TIMEOUT_SECONDS}}
    else:  # a connection that broke is found when it is used, and the step tried again (`Patience`)
        arguments = {"pool_pre_ping": False}
    with warnings.catch_warnings(), schema_lock(address):
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        storage = RDBStorage(
            address.reveal(),
            engine_kwargs=arguments,
            skip_compatibility_check=True,
            skip_table_creation=made,
        )
        try:
            require_fitting(storage)
        except RuntimeError as error:
            raise other_schema(address, str(error)) from None
        if is_sqlite:
            _tune_sqlite(storage.engine)
        if not made:
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
    there = {
        index["name"]
        for table in ("trials", "trial_user_attributes")
        for index in sqlalchemy.inspect(engine).get_indexes(table)
    }
    for name, statement in INDEXES.items():
        if name not in there:
            with engine.begin() as connection:
                connection.exec_driver_sql(statement)
    add_table(engine)


class Patience:
    """Waits for a store that is away: a database server that is restarted, a lock that is held.

    Args:
        address: of the store.
        seconds: how long one step is tried again before its error is let through.
        tell: takes a line where the wait is longer than a moment.
    """

    def __init__(
        self, address: StoreAddress, seconds: float = 0.0, tell: Callable[[str], None] | None = None
    ) -> None:
        self.address, self.seconds, self._tell = address, seconds, tell
        self._reached = False
        self.outages = 0
        """How often the store was away so far."""

    def call(self, step: Callable[[bool], _T]) -> _T:
        """The outcome of a step; it is told whether it may have been carried out before.

        Raises:
            StoreUnavailable: the store stayed away, or cannot be used at all.
        """
        with store_errors(self.address, reached=self._reached):
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
                    self._reached = True
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
    """True where the same step may work a little later."""
    cause = error.__cause__ if isinstance(error, StorageInternalError) else error
    if not isinstance(cause, sqlalchemy.exc.DBAPIError) or _refusal(str(cause.orig)) is not None:
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
    lines = str(getattr(cause, "orig", None) or cause).strip().splitlines()
    return mask((lines or [type(error).__name__])[0])


# What a server says to those whom it does not let in, and what helps; nothing of it changes by waiting.
_REFUSALS = {
    "password authentication failed": "correct user or password (RECSWEEP_STORAGE, PGPASSWORD, ~/.pgpass)",
    "no password supplied": "give the password (RECSWEEP_STORAGE, PGPASSWORD, ~/.pgpass)",
    "no pg_hba.conf entry": "let this machine and user in, in the server's pg_hba.conf",
    "invalid connection option": "correct the options after `?` in its address",
}


def _refusal(text: str) -> str | None:
    """The advice where a server refuses; None for any other trouble."""
    if re.search(r'(database|role) "[^"]*" does not exist', text):
        return "make it on the server, or correct the address"
    return next((advice for words, advice in _REFUSALS.items() if words in text), None)


@contextlib.contextmanager
def store_errors(address: StoreAddress, *, reached: bool = False) -> Iterator[None]:
    """Whatever the database throws becomes one line that says what to do.

    Args:
        reached: it let us in before, so that what was given was right then.
    """
    try:
        yield
    except (StorageInternalError, sqlalchemy.exc.SQLAlchemyError, OSError) as error:
        text = _reason(error)
        if is_damage(text):
            raise damaged(address, text) from error
        whole = mask(str(getattr(error, "orig", None) or error.__cause__ or error))
        if (advice := _refusal(whole)) is not None and reached:
            raise StoreUnavailable(
                f"the store {address} lets nobody in so any more; {text}; {advice} and run the same command "
                "again, no trial is lost"
            ) from error
        if advice is not None:
            raise UserError(f"the store {address} lets nobody in so; {text}; {advice}") from error
        full = any(word in text for word in ("full", "No space", "disk I/O"))
        advice = (
            "make it reachable" if address.file is None else f"make {address.file} a file that can be written"
        )
        advice = "free some disk space" if full else advice
        raise StoreUnavailable(
            f"the store {address} cannot be used; {text}; {advice} and run the same command again, "
            "no trial is lost"
        ) from error
