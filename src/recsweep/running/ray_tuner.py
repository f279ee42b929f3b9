"""Workers of a study that Ray Tune drives (`engine: ray`): each is a seat for one trial at once."""

from __future__ import annotations

import itertools
import queue
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from recsweep.common.owner import Owner, this_process
from recsweep.planning.plan import StudyPlan
from recsweep.running.child import child_main
from recsweep.running.commands import Command, Evaluate, Search, Stop
from recsweep.running.events import Died, Event, Started
from recsweep.running.ray_data import Sent
from recsweep.running.ray_hand import terms_of
from recsweep.running.ray_link import Link
from recsweep.running.ray_workers import RayWorkers, cpus_of
from recsweep.running.workers import Hired, Workers

if TYPE_CHECKING:
    from recsweep.running.ray_drive import Drive, Setting

_TESTER = 0
"""The number of the worker that tests winners."""


class RayTuner(Workers):
    """Seats. Ray Tune fills them in a thread of its own while slots wait; winners are tested by an actor.

    Args:
        main: what a process runs, with the arguments of `child.child_main`.
        link: the connection to Ray.
    """

    def __init__(self, main: Callable[..., None] = child_main, link: Link | None = None) -> None:
        self._main, self._link = main, link or Link()
        self._sent = Sent(self._link)
        self._owners: dict[int, Owner] = {}
        self._told: queue.SimpleQueue[tuple[int, Event]] = queue.SimpleQueue()
        self._ids = itertools.count(1)
        self._drive: Drive | None = None
        self._tester: RayWorkers | None = None
        self._tests = 0
        """The seat whose worker tests a winner; 0: none does."""

    def start(self, number: int, plan: StudyPlan) -> Hired:
        config = plan.sweep.workers
        self._link.open(plan.outputs.scratch, cpus_of(config) * config.count)
        self._link.require_shared(plan.storage_url)
        log = plan.outputs.worker_log(plan.dataset_name, plan.model_name, number)
        self._owners[number] = replace(this_process(), worker=next(self._ids))
        self._told.put((number, Started(0)))  # Ray gives GPUs
        return Hired(number, self._owners[number], log)

    def send(self, number: int, command: Command) -> None:
        if number not in self._owners:
            return
        match command:
            case Search(plan):
                self._search(number, plan)
            case Evaluate(plan):
                self._end_drive()
                self._tests = number
                self._tester = RayWorkers(self._main, self._link, self._sent)
                self._tester.start(_TESTER, plan)
                self._tester.send(_TESTER, command)
            case Stop():
                self.stop([number])

    def _search(self, number: int, plan: StudyPlan) -> None:
        self._end_test()
        if self._drive is not None and self._drive.plan.name == plan.name:
            if self._drive.seat(number, self._owners[number]):
                return
        self._end_drive()
        from recsweep.running.ray_drive import Drive

        told = self._told
        self._drive = Drive(
            plan, self._setting(plan, number), self._link.ray, lambda seat, event: told.put((seat, event))
        )
        self._drive.seat(number, self._owners[number])

    def _setting(self, plan: StudyPlan, number: int) -> Setting:
        """How Ray runs the trials of a study."""
        from recsweep.running.ray_drive import Setting, trainable

        config, terms = plan.sweep.workers, terms_of(plan, number, self._owners[number], self._main)
        resources = {"cpu": cpus_of(config), "gpu": config.gpus}
        return Setting(
            trainable(terms, self._sent.fetch(plan)),
            resources,
            plan.outputs.ray_results(*plan.folder_names),
            _room(self._link.ray, resources),
        )

    def events(self, seconds: float) -> list[tuple[int, Event]]:
        found: list[tuple[int, Event]] = []
        if self._tester is not None:
            for _, event in self._tester.events(seconds):
                if not isinstance(event, Started):
                    found.append((self._tests, event))
        elif self._told.empty():
            with suppress(queue.Empty):
                found.append(self._told.get(timeout=seconds) if seconds else self._told.get_nowait())
        while not self._told.empty():
            found.append(self._told.get())
        return [(number, event) for number, event in found if self._is_heard(number, event)]

    def _is_heard(self, number: int, event: Event) -> bool:
        """True for a worker that was not let go; a dead one is free from its death on."""
        heard = number in self._owners
        if heard and isinstance(event, Died):
            del self._owners[number]
        return heard

    def kill(self, number: int) -> None:
        if self._tester is not None and number == self._tests:
            self._tester.kill(_TESTER)
        elif self._drive is not None:
            self._drive.kill(number)

    def stop(self, numbers: Sequence[int], *, force: bool = False) -> None:
        for number in numbers:
            self._owners.pop(number, None)
            if self._drive is not None:
                self._drive.leave(number)
            if self._tester is not None and number == self._tests:
                self._end_test()

    def _end_drive(self, *, force: bool = False) -> None:
        if self._drive is not None:
            self._drive.close(force=force)
            self._drive = None

    def _end_test(self) -> None:
        if self._tester is not None:
            self._tester.stop([_TESTER], force=True)
            self._tester = None

    def close(self) -> None:
        self._end_drive(force=True)
        if self._link.ray is not None:
            self._end_test()
        self._owners.clear()
        self._told = queue.SimpleQueue()
        self._sent.clear()
        self._link.close()


def _room(ray: Any, resources: dict[str, float]) -> int:
    """How many trials Ray has room for at once; at least one, for a cluster may grow."""
    there = ray.cluster_resources()
    rooms = [
        int(there.get(name.upper(), 0.0) / wanted + 1e-9) for name, wanted in resources.items() if wanted
    ]
    return max(1, min(rooms))
