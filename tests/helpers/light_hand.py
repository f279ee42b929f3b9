"""A worker that trains nothing: it carries out commands by the word that stands where their plan should."""

from __future__ import annotations

import os
import time
from multiprocessing.connection import Connection
from typing import Any

from recsweep.running.child import Inbox, breaking_told, serve
from recsweep.running.events import EpochDone, Evaluated, Idle, Note, Started


class Gone(BaseException):
    """Ends a thread at once, as a signal ends a process."""


class Hand:
    """Carries out `Search("talk")`, `Search("work")`, `Search("die")` and `Evaluate(...)`."""

    def __init__(self, pipe: Connection, inbox: Inbox, *, is_process: bool) -> None:
        self._send, self._inbox, self._is_process = pipe.send, inbox, is_process

    def search(self, plan: Any, seat: Any = None) -> None:
        if plan == "work":
            self._work()
        for number in range(3):
            self._send(Note(f"{plan} {number}"))
        if plan == "die":
            os._exit(7) if self._is_process else self._vanish()
        self._send(Idle())

    def _vanish(self) -> None:
        raise Gone

    def _work(self) -> None:
        """Epochs without end, until it is told to stop."""
        deadline = time.monotonic() + 60
        for epoch in range(1, 10**6):
            self._send(EpochDone(0, epoch, 0.5))
            time.sleep(0.02)
            if (stop := self._inbox.stop()) is not None:
                self._send(Note(f"stopped, now={stop.now}"))
                return
            if time.monotonic() > deadline:
                raise TimeoutError("nobody stopped it")

    def evaluate(self, plan: Any, seat: Any = None, *, users: bool = False) -> None:
        self._send(Evaluated({"ndcg@10": 0.5}))


def thread_main(pipe: Connection) -> None:
    """A hand's life in a thread."""
    _live(pipe, is_process=False)


def process_main(pipe: Connection, *_: Any, **__: Any) -> None:
    """A hand's life in a process, with the arguments of `child.child_main`."""
    _live(pipe, is_process=True)


def _live(pipe: Connection, *, is_process: bool) -> None:
    try:
        with breaking_told(pipe, "worker.log"):
            inbox = Inbox(pipe)
            pipe.send(Started(0))
            serve(inbox, Hand(pipe, inbox, is_process=is_process))
    except Gone:
        return
