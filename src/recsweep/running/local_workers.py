"""Workers that are processes of this machine, each at the other end of a pipe."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from recsweep.common import scratch
from recsweep.common.owner import this_process
from recsweep.common.scratch import PREPARING
from recsweep.planning.plan import StudyPlan
from recsweep.running.child import child_main
from recsweep.running.commands import Command, Stop
from recsweep.running.events import Died, Event
from recsweep.running.processes import Process, start
from recsweep.running.threads import threads_of
from recsweep.running.workers import Hired, Workers

_GOODBYE_SECONDS = 5.0


@dataclass(frozen=True)
class _Child:
    """One worker process."""

    process: Process
    pipe: Connection


class LocalWorkers(Workers):
    """Processes of this machine, so that the parent holds no torch, and an out-of-memory kill finds one.

    Args:
        main: what a process runs, with the arguments of `child.child_main`.
    """

    def __init__(self, main: Callable[..., None] = child_main) -> None:
        self._main = main
        self._children: dict[int, _Child] = {}
        self._scratch: Path | None = None

    def start(self, number: int, plan: StudyPlan) -> Hired:
        log = plan.outputs.worker_log(plan.dataset_name, plan.model_name, number)
        log.parent.mkdir(parents=True, exist_ok=True)
        threads = threads_of(plan.sweep.workers)
        self._scratch = plan.outputs.scratch
        scratch.clear(self._scratch)
        scratch.clear(plan.outputs.cache, PREPARING)
        arguments = (this_process(), str(log), threads, str(self._scratch.resolve()))
        process, ours = start(self._main, arguments, threads)
        self._children[number] = _Child(process, ours)
        return Hired(number, replace(this_process(), worker=process.pid), log)

    def send(self, number: int, command: Command) -> None:
        child = self._children.get(number)
        if child is None:
            return
        with suppress(OSError):  # it died while it waited; its sentinel tells
            child.pipe.send(command)

    def events(self, seconds: float) -> list[tuple[int, Event]]:
        sources: list[Any] = [child.pipe for child in self._children.values()]
        sources += [child.process.sentinel for child in self._children.values()]
        wait(sources, timeout=seconds)
        found: list[tuple[int, Event]] = []
        for number, child in list(self._children.items()):
            dead = not child.process.is_alive()  # asked first: what it told before is there by then
            found += [(number, event) for event in _told(child.pipe)]
            if dead:
                child.process.join()
                found.append((number, Died(death_of(child.process.exitcode))))
                del self._children[number]
                child.pipe.close()
        return found

    def kill(self, number: int) -> None:
        if (child := self._children.get(number)) is not None:
            child.process.kill()
            child.process.join()

    def stop(self, numbers: Sequence[int], *, force: bool = False) -> None:
        leaving = [self._children.pop(number) for number in numbers if number in self._children]
        for child in leaving:
            with suppress(OSError):
                child.pipe.send(Stop())
            child.pipe.close()
            if force:
                child.process.kill()
        for child in leaving:
            child.process.join(timeout=_GOODBYE_SECONDS)
            if child.process.is_alive():
                child.process.kill()
                child.process.join()

    def close(self) -> None:
        self.stop(list(self._children), force=True)
        if self._scratch is not None:  # of those that could not do so themselves
            scratch.clear(self._scratch)


def _told(pipe: Connection) -> Iterator[Event]:
    """The events that a worker has told so far; the pipe of one that is dead ends."""
    with suppress(EOFError, OSError):
        while pipe.poll():
            yield pipe.recv()


def death_of(code: int | None) -> str:
    """How a process ended, in words. None: it was not told, as the template ended that would have."""
    if code is None:
        return "ended with the process that it was forked from"
    if code < 0:
        name = signal.Signals(-code).name
        name = "SIGTERM" if name == "SIGALRM" else name  # see `interrupts.leave_to_parent`
        hint = " (the kernel kills so when memory runs out)" if name == "SIGKILL" else ""
        return f"killed by {name}{hint}"
    return f"exit code {code}"
