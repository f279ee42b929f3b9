"""Stores whose tables are copied, since to make them takes a quarter of a second each time."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from optuna.storages import RDBStorage

from recsweep.common.address import StoreAddress
from recsweep.study import database


@contextmanager
def copied_tables(made: Path) -> Iterator[None]:
    """Within, a SQLite store that is not there yet begins as a copy of one whose tables recsweep has made.

    Args:
        made: such a store, which nobody has opened.
    """
    opened = database._open_database

    def opening(address: StoreAddress) -> RDBStorage:
        if address.kind == "sqlite" and address.file is not None and not address.file.exists():
            _copy(made, address.file)
        return opened(address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "_open_database", opening)
        yield


def _copy(made: Path, wanted: Path) -> None:
    """Whole or not at all, and never over what somebody else has made meanwhile."""
    own = wanted.with_name(f"{wanted.name}.{os.getpid()}.copy")
    try:
        shutil.copyfile(made, own)
        os.link(own, wanted)
    except OSError:
        return  # what cannot be written is found out by recsweep, in its own way
    finally:
        own.unlink(missing_ok=True)
