"""A thread that carries out steps while its process trains: writing to a disk, sending to a bucket."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from recsweep.common.escape import for_terminal
from recsweep.common.masking import mask

AnswerT = TypeVar("AnswerT")

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
"""Seconds after a step that failed; each failure in a row doubles them."""


class Background:
    """Carries out steps one after the other. It ends with its process, which it never holds up.

    Args:
        name: of the thread.
        again: a step that raises is tried again until it succeeds; else it is left.
    """

    def __init__(self, name: str, *, again: bool = False) -> None:
        self._name, self._again = name, again
        self._changed = threading.Condition()
        self._waiting: dict[str, Callable[[], None]] = {}
        self._busy = self._closed = False
        self._thread: threading.Thread | None = None
        self._failures = 0
        self.trouble: BaseException | None = None
        """The error of the last step; None where it went well."""

    def do(self, key: str, step: Callable[[], None]) -> None:
        """Have a step carried out; one with the same key that still waits is not carried out any more."""
        with self._changed:
            self._waiting[key] = step
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def settle(self, seconds: float) -> bool:
        """Wait until nothing is left to do, at most so long; False where something is."""
        until = time.monotonic() + seconds
        with self._changed:
            while self._waiting or self._busy:
                left = until - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left)
        return True

    def close(self) -> None:
        """Carry out nothing more; what is being done is left to its end."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()

    def _run(self) -> None:
        while (found := self._next()) is not None:
            key, step = found
            try:
                step()
            except Exception as error:
                self._failed(key, step, error)
            else:
                self.trouble, self._failures = None, 0
            del found, step  # which may hold the last reference to a trial's weights
            with self._changed:
                self._busy = False
                self._changed.notify_all()

    def _next(self) -> tuple[str, Callable[[], None]] | None:
        """The step that waits longest; None once it is closed."""
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            if self._closed:
                return None
            key = next(iter(self._waiting))
            self._busy = True
            return key, self._waiting.pop(key)

    def _failed(self, key: str, step: Callable[[], None], error: Exception) -> None:
        self.trouble, self._failures = error, self._failures + 1
        if not self._again:
            return
        with self._changed:
            if not self._closed:
                self._waiting.setdefault(key, step)  # a newer one of that key goes before it
        time.sleep(min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(self._failures - 1, 10)))


def within(seconds: float, ask: Callable[[], AnswerT]) -> AnswerT:
    """The answer to what may fail, or take for ever; it is asked again and again until then.

    Raises:
        OSError: there was none in that time.
    """
    answers: list[AnswerT] = []
    asking = Background("ask", again=True)
    asking.do("", lambda: answers.append(ask()))
    asking.settle(seconds)
    asking.close()
    if answers:
        return answers[0]
    raise OSError(reason_of(asking.trouble) if asking.trouble else f"no answer in {seconds:g} s")


def reason_of(error: BaseException | None) -> str:
    """An error of somebody else's in a few words, without a secret."""
    if error is None:
        return "it does not answer"
    first = (mask(str(error)).splitlines() or [""])[0][:200]
    return for_terminal(f"{type(error).__name__}: {first}" if first else type(error).__name__)
