"""The number of threads that a worker computes with."""

from __future__ import annotations

import functools
import os

from recsweep.common.cores import cores
from recsweep.common.errors import InputError
from recsweep.common.files import counted
from recsweep.common.others import cores_of_others, spare_cores
from recsweep.sweeps.config import WorkersConfig

MOST_THREADS = 4096


def threads_of(workers: WorkersConfig) -> int:
    """Threads of each worker: what the config says, or the user's OMP_NUM_THREADS, or its share of the cores.

    Raises:
        InputError: the variable is no number.
    """
    if workers.threads == "spare":
        return max(1, spare_cores(_others()) // workers.count)
    if workers.threads is not None:
        return workers.threads
    given = os.environ.get("OMP_NUM_THREADS", "").strip()
    if not given:
        return max(1, cores() // workers.count)
    first = given.split(",")[0].strip()  # of a list, the outermost level
    if not (first.isascii() and first.isdigit() and 0 < int(first) <= MOST_THREADS):
        raise InputError(
            "OMP_NUM_THREADS", f"must be a whole number from 1, but got {given!r}", "correct or unset it"
        )
    return int(first)


def spared(workers: WorkersConfig) -> str:
    """The number that `spare` came to and why, in words; empty where it was not asked for."""
    if workers.threads != "spare":
        return ""
    used, most = _others(), counted(cores(), "core")
    seen = f"cannot be counted here, of {most}" if used is None else f"use {used:.1f} of {most}"
    return f"other programs {seen}: {counted(threads_of(workers), 'thread')} a worker"


@functools.cache
def _others() -> float | None:
    """The cores of other programs, looked at once: all workers of a process compute alike."""
    return cores_of_others()
