"""A worker process from its first line to its last, as its supervisor starts it.

torch is imported only after its settings are made, and never in the parent, which imports this file.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from recsweep.common import errors, scratch
from recsweep.common.errors import RecsweepError, UserError, disk_trouble
from recsweep.common.interrupts import leave_to_parent
from recsweep.common.masking import mask_traceback
from recsweep.common.owner import Owner

if TYPE_CHECKING:  # all else is imported by the process itself: see `_without_collections`
    from recsweep.planning.plan import StudyPlan
    from recsweep.running.commands import Command, Gauge, Stop, Train, Word
    from recsweep.running.events import Broken, Event
    from recsweep.running.gpus import Seat
    from recsweep.running.worker import Worker


def child_main(
    pipe: Connection, parent: Owner, log: str, threads: int, temporary: str, owner: Owner | None = None
) -> None:
    """A worker process from its first line to its last. Imports torch only after its settings.

    Args:
        owner: who answers for its trials, where that is not the process that started it.
    """
    leave_to_parent()
    _redirect(log)
    with breaking_told(pipe, log), scratch.used(Path(temporary)):
        inbox = Inbox(pipe)
        with _without_collections():
            worker = _make_worker(pipe, inbox, owner or replace(parent, worker=os.getpid()), threads)
        with closing(worker):
            serve(inbox, worker)


@contextmanager
def breaking_told(pipe: Connection, log: str) -> Iterator[None]:
    """Tell the supervisor what ends the worker within, as the last thing that it hears."""
    try:
        yield
    except Exception as caught:
        error = disk_trouble(caught) or caught
        sys.stderr.write(mask_traceback(caught))
        from recsweep.running.events import Broken

        with suppress(OSError):  # nobody listens any more
            pipe.send(Broken.of(error, f" (traceback in {log})"))


@contextmanager
def _without_collections() -> Iterator[None]:
    """Imports make a million objects and little garbage, for which Python would look again and again.

    What they made stays until the process ends, so no later collection looks through it either.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


class Inbox:
    """The commands for a worker, one after the other. `stop` is asked for while one is carried out.

    Args:
        pipe: its end of the pipe from the supervisor.
    """

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._waiting: deque[Command] = deque()
        self._stop: Stop | None = None

    def next(self) -> Command | None:
        """The next command, once there is one; None: nobody gives any more."""
        if self._stop is not None:
            return self._stop
        try:
            return self._waiting.popleft() if self._waiting else self._pipe.recv()
        except (EOFError, OSError):
            return None

    def stop(self) -> Stop | None:
        """The order to stop, where it has come meanwhile."""
        from recsweep.running.commands import Stop

        with suppress(EOFError, OSError):  # nobody is there any more; the next command is none
            while self._stop is None and self._pipe.poll():
                command = self._pipe.recv()
                if isinstance(command, Stop):
                    self._stop = command
                else:
                    self._waiting.append(command)
        return self._stop

    def word(self) -> Word | None:
        """Wait for the word on a trial after its epoch; None: there is none, as all is to stop."""
        from recsweep.running.commands import Continue, Prune, Save, Stop

        while self.stop() is None:
            command = self.next()
            if command is None or isinstance(command, Continue | Prune | Save):
                return command
            if isinstance(command, Stop):
                self._stop = command
        return None


class Obeying(Protocol):
    """The worker that carries commands out."""

    def search(self, plan: StudyPlan, seat: Seat | None = None) -> None: ...

    def evaluate(self, plan: StudyPlan, seat: Seat | None = None, *, users: bool = False) -> None: ...

    def train(self, command: Train) -> None: ...

    def gauge(self, command: Gauge) -> None: ...


def serve(inbox: Inbox, worker: Obeying) -> None:
    """Carry out commands until a worker is told to stop, or nobody is left to tell it anything.

    Raises:
        RecsweepError: a command that is none of those there are.
    """
    from recsweep.running.commands import (
        Continue,
        Evaluate,
        Gauge,
        Prune,
        Save,
        Search,
        Stop,
        Train,
        unknown,
    )

    while (command := inbox.next()) is not None:
        match command:
            case Search(plan, seat):
                worker.search(plan, seat)
            case Evaluate(plan, seat, users):
                worker.evaluate(plan, seat, users=users)
            case Train():
                worker.train(command)
            case Gauge():
                worker.gauge(command)
            case Continue() | Prune() | Save():
                pass  # of a trial that has ended meanwhile
            case Stop():
                return
            case _:
                raise unknown(command)


def _make_worker(pipe: Connection, inbox: Inbox, owner: Owner, threads: int) -> Worker:
    from recsweep.recbole_api import lazy

    lazy.load_torch()
    import torch
    from tqdm import tqdm

    from recsweep.running.events import Started

    tqdm.set_lock(threading.RLock())  # its own would be a semaphore that outlives a killed worker
    torch.set_num_threads(threads)
    with suppress(OSError):  # the parent went on without this worker; its end of the pipe will tell
        pipe.send(Started(torch.cuda.device_count()))  # counts without taking memory of any

    from recsweep.recbole_api import compat
    from recsweep.running.worker import Worker

    compat.apply()  # here, so that no trial waits for it
    return Worker(owner, lambda event: _tell(pipe, event), inbox.stop, inbox.word)


def _tell(pipe: Connection, event: Event) -> None:
    """Tell the supervisor, and the worker's own log."""
    from recsweep.running.events import said

    if text := said(event):
        with suppress(OSError):  # a full disk: what it is to do with a trial is decided elsewhere
            sys.stdout.write(f"{datetime.now().isoformat(timespec='seconds')} {text}\n")
            sys.stdout.flush()
    try:
        pipe.send(event)
    except OSError:  # the supervisor is gone, by no fault of the trial: whoever comes next puts it back
        os._exit(1)


def _redirect(log: str) -> None:
    """Send what RecBole and HyperOpt print to the worker's log."""
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (1, 2):
        os.dup2(handle, stream)
    os.close(handle)


def error_of(broken: Broken) -> Exception:
    """A worker's error on this side; one about input carries its place in its message already."""
    named = getattr(errors, broken.kind, None)
    kind = named if isinstance(named, type) and issubclass(named, RecsweepError) else RecsweepError
    error = (UserError if issubclass(kind, errors.InputError) else kind)(broken.message)
    if broken.traceback:
        error.add_note(f"In the worker:\n{broken.traceback}")
    return error
