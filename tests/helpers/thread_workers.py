"""Workers that are threads of this process: the same contract as processes, in milliseconds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path

from recsweep.common.owner import this_process
from recsweep.planning.plan import StudyPlan
from recsweep.running.commands import Command, Stop
from recsweep.running.events import Died, Event
from recsweep.running.workers import Hired, Workers


@dataclass
class Thread:
    """A thread, and our end of the pipe to it."""

    thread: threading.Thread
    pipe: Connection
    killed: bool = False


class ThreadWorkers(Workers):
    """Threads cannot be killed: one that is, is heard no more, and ends when it next tells something.

    Args:
        main: what a worker does with its end of the pipe until it ends.
    """

    def __init__(self, main: Callable[[Connection], None]) -> None:
        self._main = main
        self._threads: dict[int, Thread] = {}

    def start(self, number: int, plan: StudyPlan) -> Hired:
        ours, theirs = Pipe()

        def run() -> None:
            with suppress(OSError), theirs:  # nobody listens any more
                self._main(theirs)

        thread = threading.Thread(target=run, daemon=True)
        self._threads[number] = Thread(thread, ours)
        thread.start()
        return Hired(number, replace(this_process(), worker=number), Path(f"worker-{number}.log"))

    def send(self, number: int, command: Command) -> None:
        if number in self._threads:
            with suppress(OSError):
                self._threads[number].pipe.send(command)

    def events(self, seconds: float) -> list[tuple[int, Event]]:
        if not any(one.killed for one in self._threads.values()):
            wait([one.pipe for one in self._threads.values()], timeout=seconds)
        found: list[tuple[int, Event]] = []
        for number, one in list(self._threads.items()):
            try:
                while not one.killed and one.pipe.poll():
                    found.append((number, one.pipe.recv()))
            except (EOFError, OSError):
                found.append((number, Died("exit code 0")))
                del self._threads[number]
            if one.killed:
                found.append((number, Died("killed by SIGKILL")))
                del self._threads[number]
        return found

    def kill(self, number: int) -> None:
        if number in self._threads:
            self._threads[number].killed = True
            self._threads[number].pipe.close()

    def stop(self, numbers: Sequence[int], *, force: bool = False) -> None:
        leaving = [self._threads.pop(number) for number in numbers if number in self._threads]
        for one in leaving:
            with suppress(OSError):
                one.pipe.send(Stop())
            one.pipe.close()
        for one in leaving:
            one.thread.join(0.0 if force else 5.0)

    def close(self) -> None:
        self.stop(list(self._threads), force=True)
