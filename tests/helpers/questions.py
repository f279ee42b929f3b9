"""The SQL statements that a store is asked meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event


@contextmanager
def statements() -> Iterator[list[str]]:
    """All of this process, as they are sent; what begins a transaction is none."""
    asked: list[str] = []

    def note(*args: Any) -> None:
        if not str(args[2]).startswith("BEGIN"):
            asked.append(str(args[2]))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(Engine, "before_cursor_execute", note)
