"""Who runs a trial, and whether that process still lives."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import psutil

_CLOCK_TOLERANCE = 1.0


@dataclass(frozen=True)
class Owner:
    """A process, named so that no other process, now or later, has the same name.

    A worker's trials are owned by its supervisor, which notices at once when the worker dies.

    Attributes:
        place: machine, boot and process-number space; only processes of one place can see each other.
        pid: process number within the place.
        started: its start in seconds since 1970; numbers are reused, start times are not.
        worker: the process, under this one, that runs the trial.
    """

    place: str
    pid: int
    started: float
    worker: int | None = None

    def to_dict(self) -> dict[str, Any]:
        return {"place": self.place, "pid": self.pid, "started": self.started, "worker": self.worker}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Owner:
        return cls(str(data["place"]), int(data["pid"]), float(data["started"]), data.get("worker"))

    def alive(self) -> bool | None:
        """Whether the process lives; None where it cannot be seen from here."""
        if self.place != this_place():
            return None
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < _CLOCK_TOLERANCE
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False
        except psutil.AccessDenied:
            return None


def this_process(pid: int | None = None) -> Owner:
    """This process, or another of the same place."""
    number = os.getpid() if pid is None else pid
    return Owner(this_place(), number, psutil.Process(number).create_time())


@cache
def this_place() -> str:
    """Host name, boot and process-number space (containers share the first two)."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    namespace = Path("/proc/self/ns/pid")
    parts = [socket.gethostname()]
    parts.append(boot.read_text().strip() if boot.is_file() else str(int(psutil.boot_time())))
    try:
        parts.append(os.readlink(namespace))
    except OSError:
        parts.append("-")
    return "/".join(parts)
