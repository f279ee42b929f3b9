"""A process and what is around it: variables that it sets for a while, and the process that it ends with."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

_PR_SET_PDEATHSIG = 1
_LOOK_SECONDS = 1.0


def end_with(
    starter: int,
    end: Callable[[], object],
    *,
    by: signal.Signals = signal.SIGKILL,
    unless: Callable[[], bool] = lambda: False,
) -> None:
    """End when the process that started this one ends, however it ended.

    Args:
        starter: the number of that process.
        end: ends this one, where the kernel does not.
        by: the signal that the kernel is to send then (Linux alone).
        unless: asked each second; True: end now, although the starter lives.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, by)

    def watch() -> None:
        while os.getppid() == starter and not unless():
            time.sleep(_LOOK_SECONDS)
        end()

    threading.Thread(target=watch, name="end with the starter", daemon=True).start()


@contextmanager
def variables(values: Mapping[str, str]) -> Iterator[None]:
    """Set variables of the environment for what is started meanwhile, and put the old ones back."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
