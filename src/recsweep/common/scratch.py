"""Scratch folders below the outputs: whatever a process writes for a moment, removed when it ends.

A process that is killed cannot remove its own. The folder's name says whose it is, so that a later run
can: it removes those whose process is gone.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from recsweep.common.owner import Owner, this_pid_space, this_process

_NAME = re.compile(r"(?P<space>[0-9a-f]{16})-(?P<pid>\d+)-(?P<ticks>\d+|x)(-|$)")
PREPARING = ".preparing-"
"""Start of the names of what is about to become an entry of the cache."""
_FORGOTTEN_SECONDS = 7 * 86400.0
"""A folder of another machine, whose processes cannot be seen from here, is removed when it is so old."""


def own_name() -> str:
    """A name that says which process has it."""
    me = this_process()
    return f"{_pid_space()}-{me.pid}-{'x' if me.ticks is None else me.ticks}"


def _pid_space() -> str:
    return sha256(this_pid_space().encode()).hexdigest()[:16]


@contextmanager
def used(folder: Path) -> Iterator[None]:
    """Let all temporary files of this process, whoever makes them, lie in a folder of its own below this one.

    Where none can be made there (a full disk, a folder of somebody else) they lie where the system puts them.
    """
    clear(folder)
    own = folder.resolve() / own_name()
    try:
        own.mkdir(parents=True, exist_ok=True)
    except OSError:
        yield
        return
    before, variable = tempfile.tempdir, os.environ.get("TMPDIR")
    tempfile.tempdir = os.environ["TMPDIR"] = str(own)
    try:
        yield
    finally:
        tempfile.tempdir = before
        if variable is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = variable
        shutil.rmtree(own, ignore_errors=True)


def clear(folder: Path, prefix: str = "") -> None:
    """Remove what lies in a folder under the names of processes that are gone.

    Args:
        prefix: how the names of such things begin there; nothing else is touched.
    """
    with suppress(OSError):
        for entry in folder.iterdir():
            if entry.name.startswith(prefix) and _is_forgotten(entry, entry.name.removeprefix(prefix)):
                shutil.rmtree(entry, ignore_errors=True)


def _is_forgotten(entry: Path, name: str) -> bool:
    found = _NAME.match(name)
    if found is None:
        return False
    if found["space"] != _pid_space():
        return time.time() - entry.lstat().st_mtime > _FORGOTTEN_SECONDS
    ticks = None if found["ticks"] == "x" else int(found["ticks"])
    if ticks is None:  # without its start a number may be anybody's
        return not _runs(int(found["pid"]))
    return Owner(this_pid_space(), int(found["pid"]), ticks).alive() is False


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
