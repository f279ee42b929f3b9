"""Remarks on a sweep: no mistakes, but perhaps not meant; what of its data, see `datasets/remarks.py`."""

from __future__ import annotations

import os
from collections.abc import Iterator

from recsweep.planning.checks import single_models
from recsweep.planning.heads import misfits
from recsweep.sweeps.loading import Sweep

_THREADS = "OMP_NUM_THREADS"


def remarks(sweep: Sweep) -> list[str]:
    """A line for each."""
    return [*_threads(sweep), *(line for _, model in single_models(sweep) for line in misfits(model))]


def _threads(sweep: Sweep) -> Iterator[str]:
    """The config's threads, where the user's environment says others."""
    threads, given = sweep.config.workers.threads, os.environ.get(_THREADS, "").strip()
    if threads and given and given.split(",")[0].strip() != str(threads):
        yield f"workers.threads={threads} of the sweep holds, and not {_THREADS}={given} of the environment"
