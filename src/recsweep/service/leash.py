"""A job worker that a server has started gives way to it, and ends with it, however that ended."""

from __future__ import annotations

import os
import signal

from recsweep.common.surroundings import end_with

SERVER = "RECSWEEP_SERVED_BY"
"""The variable that tells a job worker the process of the server that started it."""
NICER = 5
"""By so much more willing than the server a job worker and its trials are to wait for a processor: an answer
takes a few milliseconds, and a trial loses no more than those."""


def follow_the_server() -> None:
    """Give way to the server that started this process, and end as at SIGTERM once it is gone."""
    text = os.environ.get(SERVER, "")
    if not text.isdigit():
        return
    os.nice(NICER)
    end_with(int(text), lambda: os.kill(os.getpid(), signal.SIGTERM), by=signal.SIGTERM)
