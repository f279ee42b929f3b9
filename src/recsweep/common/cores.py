"""How many processors this process may use: as the system, a container or a scheduler allows."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_SLURM = "SLURM_CPUS_PER_TASK"
"""Set in SLURM's jobs that asked for cores; not on each cluster does SLURM bind them to these."""


def cores() -> int:
    """The least of what the system, a container's limit and SLURM say; at least 1."""
    own: int = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([own, *_container(), *_scheduler()]))


def _container() -> list[int]:
    """The limit of the container, where it has one: a part of a core counts as one."""
    for quota in (_version_2, _version_1):
        with suppress(OSError, ValueError, ZeroDivisionError, IndexError):
            allowed, period = quota()
            return [math.ceil(allowed / period)] if allowed > 0 else []
    return []


def _version_2() -> tuple[int, int]:
    allowed, period = (_CGROUP / "cpu.max").read_text().split()
    return (0 if allowed == "max" else int(allowed)), int(period)


def _version_1() -> tuple[int, int]:
    allowed, period = (
        int((_CGROUP / "cpu" / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period")
    )
    return allowed, period


def _scheduler() -> list[int]:
    given = os.environ.get(_SLURM, "").strip()
    return [int(given)] if given.isascii() and given.isdigit() and int(given) > 0 else []
