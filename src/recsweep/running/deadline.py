"""The end of the job that this process is part of, as a scheduler will bring it about: SLURM says when."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Mapping

MARGIN_SECONDS = 60.0
"""Before the end of a job its work is put in order, at most a tenth of what it had at the start."""
RESERVE_SECONDS = 15.0
"""Of the margin, for all that is left to do once trials have ended their epochs."""
_ASK_SECONDS = 20.0
_LEFT = re.compile(r"(?:(?:(\d+)-)?(\d+):)?(\d+):(\d+)")
"""Time left, as `squeue` says it: `1-02:03:04`, `2:03:04`, `3:04`."""


class Deadline:
    """When the work of this process is to be put in order, by a clock that nobody sets.

    Args:
        left: seconds from now until the end; None: nobody ends it.
    """

    def __init__(self, left: float | None) -> None:
        self._end = None if left is None else time.monotonic() + left
        self._margin = min(MARGIN_SECONDS, 0.1 * (left or 0.0))

    @classmethod
    def of_this_job(cls, environment: Mapping[str, str] = os.environ) -> Deadline:
        """The deadline of the job of SLURM that this is; none elsewhere."""
        job = environment.get("SLURM_JOB_ID", "")
        if not (job.isascii() and job.isdigit()):
            return cls(None)
        end = environment.get("SLURM_JOB_END_TIME", "")  # since SLURM 23.02
        if end.isascii() and end.isdigit():
            return cls(int(end) - time.time())
        return cls(_asked(job))

    def left(self) -> float | None:
        """Seconds until the end; None: nobody ends it."""
        return None if self._end is None else self._end - time.monotonic()

    def near(self) -> bool:
        """True where it is time to put things in order."""
        left = self.left()
        return left is not None and left <= self._margin


def _asked(job: str) -> float | None:
    """Seconds that SLURM still gives a job; None where it does not say, or gives any number."""
    command = ["squeue", "--noheader", "--jobs", job, "--format", "%L"]
    try:
        told = subprocess.run(
            command, capture_output=True, text=True, timeout=_ASK_SECONDS, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return seconds_of(told.strip())


def seconds_of(text: str) -> float | None:
    """A span of time as SLURM writes it; None where it is none, as `UNLIMITED`."""
    found = _LEFT.fullmatch(text)
    if found is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
