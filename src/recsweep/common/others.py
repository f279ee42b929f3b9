"""How many of this process's cores other programs use at the moment."""

from __future__ import annotations

import os
import time
from pathlib import Path

import psutil

from recsweep.common.cores import cores

_STAT = Path("/proc/stat")
_BUSY = (0, 1, 2, 5, 6)
"""Columns of a processor's line: user, nice, system, irq, softirq; see proc(5)."""
_SECONDS = 0.5


def cores_of_others(seconds: float = _SECONDS) -> float | None:
    """Cores that other programs keep busy, of those that this one may use, as a mean over a moment.

    Args:
        seconds: how long to look.

    Returns:
        None where it cannot be known: on other systems than Linux, and where a container or a scheduler
        allows less than the processors that are seen.
    """
    if not hasattr(os, "sched_getaffinity") or cores() != len(os.sched_getaffinity(0)):
        return None
    try:
        before = _busy() - _own()
        begin = time.monotonic()
        time.sleep(seconds)
        after = _busy() - _own()
    except (OSError, ValueError, IndexError, psutil.Error):
        return None
    return max(0.0, (after - before) / (time.monotonic() - begin))


def spare_cores(used: float | None) -> int:
    """Whole cores that other programs leave, at least one; all of them where theirs are not known."""
    return max(1, cores() - round(used or 0.0))


def _busy() -> float:
    """Seconds that these processors have computed."""
    allowed = {f"cpu{number}" for number in os.sched_getaffinity(0)}
    lines = (line.split() for line in _STAT.read_text().splitlines() if line.startswith("cpu"))
    ticks = sum(int(columns[column]) for name, *columns in lines if name in allowed for column in _BUSY)
    return ticks / float(os.sysconf("SC_CLK_TCK"))


def _own() -> float:
    """Seconds that this process has computed, with its children, ended or not."""
    below = (_computed(child) for child in psutil.Process().children(recursive=True))
    return sum(os.times()[:4]) + sum(below)


def _computed(process: psutil.Process) -> float:
    try:
        return sum(process.cpu_times()[:4])
    except psutil.Error:  # it ended meanwhile, or is another user's
        return 0.0
