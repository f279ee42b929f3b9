"""Signals that end a command: Ctrl-C, and those by which a system or a terminal asks us to leave.

Imported before all else, so that Ctrl-C is heard from the first moment; it imports next to nothing.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

EXIT_INTERRUPTED = 130
STOPPED = "recsweep: stopped; run the same command again to go on, no trial is lost"

_ASKED_TO_LEAVE = [
    getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1") if hasattr(signal, name)
]
"""`kill`, a terminal that was closed, Ctrl-backslash, a scheduler some time before it ends a job."""
ALONE_SECONDS = 20.0
"""How long a worker that has got SIGTERM waits for its parent, who may have got it too."""


class AskedToLeave(KeyboardInterrupt):
    """SIGTERM: whoever sends it waits some seconds before SIGKILL, so that there is time for good order."""


class EndIsNear(AskedToLeave):
    """SIGUSR1: a scheduler sends it long before it ends the job (`sbatch --signal=B:USR1@120`)."""


_Handler = Callable[[int, FrameType | None], None]


@contextmanager
def as_interrupt() -> Iterator[None]:
    """SIGTERM, SIGHUP, SIGQUIT, SIGUSR1 end what runs as Ctrl-C does: slots go back, nothing stays behind."""
    kinds = {signal.SIGTERM: AskedToLeave, getattr(signal, "SIGUSR1", None): EndIsNear}

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise kinds.get(signal.Signals(number), KeyboardInterrupt)

    with _handled(_ASKED_TO_LEAVE, interrupt):
        yield


@contextmanager
def at_once() -> Iterator[None]:
    """While modules are loaded there is nothing to put in order: say so and leave.

    An exception would come up in the middle of some library's import, which may swallow it.
    """

    def leave(number: int, frame: FrameType | None) -> None:
        say_stopped()
        os._exit(EXIT_INTERRUPTED)

    with _handled([signal.SIGINT, *_ASKED_TO_LEAVE], leave):
        yield


@contextmanager
def _handled(
    signals: list[signal.Signals], handler: Callable[[int, FrameType | None], None]
) -> Iterator[None]:
    """Handle signals so, but for those that whoever started us wants ignored (`nohup`, a shell's `&`)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in signals}
    heeded = {number: handled for number, handled in before.items() if handled not in (signal.SIG_IGN, None)}
    for number in heeded:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, handled in heeded.items():
            signal.signal(number, handled)


def leave_to_parent() -> None:
    """For a worker: what a terminal or a scheduler sends reaches the whole group, and the parent decides.

    One that alone has got SIGTERM ends by SIGALRM, once its parent could have told it.
    """
    for name in ("SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    if hasattr(signal, "setitimer"):  # by the kernel, as Python may be deep in a kernel of ours
        signal.signal(signal.SIGTERM, lambda number, frame: _end_in(ALONE_SECONDS))


def _end_in(seconds: float) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)


def say_stopped(how_to_go_on: str | None = None) -> None:
    """The one line of a command that was stopped; nobody may be there to read it."""
    try:
        sys.stdout.flush()
        if how_to_go_on:
            sys.stderr.write(f"recsweep: stopped; {how_to_go_on}\n")
            sys.stderr.flush()
        else:  # from within a handler, which may have come up in the middle of a write
            os.write(2, f"{STOPPED}\n".encode())
    except (OSError, ValueError, AttributeError):
        return
