"""Who runs a trial, and whether that process still lives."""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import psutil

_OLD_TOLERANCE_SECONDS = 600.0
"""By how much the start of a process may seem to have moved, where only its wall-clock time is known."""
_STATE, _START = 0, 19
"""Places of a process's state and of its start in `/proc/<pid>/stat`, counted from behind its name."""


@dataclass(frozen=True)
class Owner:
    """A process, named so that no other process, now or later, has the same name.

    Nothing in the name moves when the machine's clock is set. A worker's trials are owned by its
    supervisor, which notices at once when the worker dies.

    Attributes:
        pid_space: machine, boot and process-number space; only processes of one can see each other.
        pid: process number within it.
        ticks: its start in the kernel's ticks since boot; numbers are reused, start times are not. None
            on a system that does not say, and in stores of earlier versions.
        started: its start in seconds since 1970, for people and for want of ticks.
        worker: the process, under this one, that runs the trial.
    """

    pid_space: str
    pid: int
    ticks: int | None
    started: float = field(default=0.0, compare=False)
    worker: int | None = None

    def to_dict(self) -> dict[str, Any]:
        return {
            "place": self.pid_space,  # as stores have called it from the first one on
            "pid": self.pid,
            "ticks": self.ticks,
            "started": self.started,
            "worker": self.worker,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Owner:
        ticks = data.get("ticks")
        return cls(
            sys.intern(str(data["place"])),  # many trials have the same
            int(data["pid"]),
            None if ticks is None else int(ticks),
            float(data.get("started", 0.0)),
            data.get("worker"),
        )

    def alive(self) -> bool | None:
        """True where the process lives; None where it cannot be seen from here."""
        if self.pid_space != this_pid_space():
            return None
        found = _process(self.pid)
        if found is None:
            return None if _is_hidden(self.pid) else False
        state, ticks = found
        if state in ("Z", "X"):  # dead, and not yet collected by its parent
            return False
        if ticks is not None and self.ticks is not None:
            return ticks == self.ticks
        try:
            return abs(psutil.Process(self.pid).create_time() - self.started) < _OLD_TOLERANCE_SECONDS
        except psutil.NoSuchProcess:
            return False
        except psutil.AccessDenied:
            return None


def this_process(pid: int | None = None) -> Owner:
    """This process, or another of the same space of process numbers."""
    number = os.getpid() if pid is None else pid
    found = _process(number)
    ticks = found[1] if found is not None else None
    return Owner(this_pid_space(), number, ticks, psutil.Process(number).create_time())


def _process(pid: int) -> tuple[str, int | None] | None:
    """A process's state and its start in ticks since boot; None where there is no such process."""
    if Path("/proc/self/stat").is_file():
        try:
            text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            return None
        fields = text[text.rindex(")") + 1 :].split()  # a name may hold spaces and brackets
        return fields[_STATE], int(fields[_START])
    try:
        return ("Z" if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE else "R"), None
    except psutil.NoSuchProcess:
        return None


def _is_hidden(pid: int) -> bool:
    """True where there is a process of which the system does not tell us (`hidepid`)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@cache
def this_pid_space() -> str:
    """Host name, boot and process-number space (containers share the first two).

    A boot that has no name is left out: when it was can only be told by the clock.
    """
    boot = Path("/proc/sys/kernel/random/boot_id")
    namespace = Path("/proc/self/ns/pid")
    parts = [socket.gethostname(), boot.read_text().strip() if boot.is_file() else "-"]
    try:
        parts.append(os.readlink(namespace))
    except OSError:
        parts.append("-")
    return "/".join(parts)
