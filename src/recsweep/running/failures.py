"""The meaning of a trial's error: a kind and a line, or a pause where it is no trial's fault."""

from __future__ import annotations

import traceback

import torch

from recsweep.common.errors import SweepPaused, TrialDiverged, disk_trouble
from recsweep.common.masking import mask
from recsweep.study import Reason

_NO_MEMORY = (
    "can't allocate memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)
"""Words of libraries, in an error of no class of its own, when there is no memory left."""


def classify(error: Exception) -> tuple[Reason, str]:
    """Kind and message of a trial's failure.

    Raises:
        SweepPaused: when the error is no trial's fault.
    """
    if isinstance(error, SweepPaused):
        raise error
    if (pause := disk_trouble(error)) is not None:
        raise pause from error
    if isinstance(error, TrialDiverged):
        return Reason.DIVERGED, str(error)
    no_memory = isinstance(error, torch.cuda.OutOfMemoryError | MemoryError)
    if no_memory or any(words in str(error) for words in _NO_MEMORY):
        return Reason.OUT_OF_MEMORY, f"out of memory: {_first_line(error)}"
    frame = traceback.extract_tb(error.__traceback__)[-1]
    file_and_line = f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}"
    return Reason.ERROR, f"{type(error).__name__} at {file_and_line}: {_first_line(error)}"


def _first_line(error: BaseException) -> str:
    return mask((str(error).splitlines() or [""])[0])[:300]
