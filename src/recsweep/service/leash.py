"""A job worker that a server has started ends with it, however that ended."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time

SERVER = "RECSWEEP_SERVED_BY"
"""The variable that tells a job worker the process of the server that started it."""
_LOOK_SECONDS = 1.0
_PR_SET_PDEATHSIG = 1


def follow_the_server() -> None:
    """End as at SIGTERM, slots going back, once the server that started this process is gone."""
    text = os.environ.get(SERVER, "")
    if not text.isdigit():
        return
    server = int(text)
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

    def watch() -> None:
        while os.getppid() == server:
            time.sleep(_LOOK_SECONDS)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="leash", daemon=True).start()
