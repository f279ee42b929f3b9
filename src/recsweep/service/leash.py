"""A job worker that a server has started ends with it, however that ended."""

from __future__ import annotations

import os
import signal

from recsweep.common.surroundings import end_with

SERVER = "RECSWEEP_SERVED_BY"
"""The variable that tells a job worker the process of the server that started it."""


def follow_the_server() -> None:
    """End as at SIGTERM, slots going back, once the server that started this process is gone."""
    text = os.environ.get(SERVER, "")
    if not text.isdigit():
        return
    end_with(int(text), lambda: os.kill(os.getpid(), signal.SIGTERM), by=signal.SIGTERM)
