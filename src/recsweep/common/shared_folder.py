"""A folder that processes and machines share: whether its locks hold, its kind of file system, its room."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

NETWORK = (
    "nfs",
    "cifs",
    "smb",
    "lustre",
    "beegfs",
    "gpfs",
    "ceph",
    "glusterfs",
    "fuse.sshfs",
    "9p",
    "afs",
    "panfs",
)
"""How the names of file systems begin that machines share over a network."""
_CHILD_SECONDS = 30.0
_TRY_LOCKS = """
import fcntl, os, sys
path, number = sys.argv[1], 0
def taken(lock):
    try:
        with open(path, "r+b") as file:
            lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    return False
def there(make):
    try:
        make()
    except FileExistsError:
        return True
    return False
print("".join(str(int(found)) for found in (
    taken(fcntl.flock), taken(fcntl.lockf), there(lambda: os.symlink(path, path + ".link")))))
"""
_KINDS = ("flock", "POSIX locks (SQLite's)", "links made once (the journal's)")


def broken_locks(folder: Path) -> list[str]:
    """The kinds of locks that do not hold in a folder between this process and another one of this machine.

    Raises:
        OSError: nothing can be written there, or it has no locks at all.
    """
    import fcntl

    handle, name = tempfile.mkstemp(prefix=".recsweep-lock-", dir=folder)
    try:
        with os.fdopen(handle, "r+b") as flocked, Path(name).open("r+b") as posix:
            fcntl.flock(flocked, fcntl.LOCK_EX)
            Path(f"{name}.link").symlink_to(name)
            held = [_as_another_sees(name)[0]]
            fcntl.flock(flocked, fcntl.LOCK_UN)
            fcntl.lockf(posix, fcntl.LOCK_EX)
            held += _as_another_sees(name)[1:]
        Path(f"{name}.link").unlink()
        free = [not taken for taken in _as_another_sees(name)]
        return [kind for kind, *found in zip(_KINDS, held, free, strict=True) if not all(found)]
    finally:
        for left in (Path(name), Path(f"{name}.link")):
            with suppress(OSError):
                left.unlink()


def _as_another_sees(name: str) -> list[bool]:
    """For each kind of lock, True where another process finds it taken."""
    command = [sys.executable, "-c", _TRY_LOCKS, name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_CHILD_SECONDS, check=True)
    except subprocess.SubprocessError as error:
        raise OSError(f"the other process did not come to an end: {error}") from None
    return [found == "1" for found in done.stdout.strip()]


def file_system(folder: Path) -> str:
    """The kind of file system that a folder lies on: `ext4`, `nfs4`; empty where it cannot be told."""
    import psutil

    folder, found, longest = folder.resolve(), "", -1
    for part in psutil.disk_partitions(all=True):
        mount = Path(part.mountpoint)
        if folder.is_relative_to(mount) and len(mount.parts) >= longest:
            found, longest = part.fstype, len(mount.parts)
    return found


def clock_ahead(folder: Path) -> float:
    """Seconds by which this machine's clock is ahead of that of the folder's file server.

    Raises:
        OSError: nothing can be written there.
    """
    handle, name = tempfile.mkstemp(prefix=".recsweep-clock-", dir=folder)
    try:
        before = time.time()
        os.write(handle, b"now")
        os.fsync(handle)
        return (before + time.time()) / 2 - os.fstat(handle).st_mtime
    finally:
        os.close(handle)
        with suppress(OSError):
            Path(name).unlink()


def room(folder: Path) -> tuple[int, int]:
    """Bytes that are free, and inodes; -1 where the file system does not count these."""
    found = os.statvfs(folder)
    return shutil.disk_usage(folder).free, found.f_favail if found.f_files else -1
