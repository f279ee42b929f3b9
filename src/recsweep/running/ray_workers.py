"""Workers on Ray: an actor each, on whichever node has room, which starts the process that is the worker."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from recsweep.common.owner import this_process
from recsweep.planning.plan import StudyPlan
from recsweep.running.child import child_main
from recsweep.running.commands import Command, Evaluate, Search, Stop
from recsweep.running.events import Died, Evaluated, Event, Idle, Note, Started
from recsweep.running.ray_data import Sent
from recsweep.running.ray_hand import Hand, terms_of
from recsweep.running.ray_link import Link
from recsweep.running.threads import threads_of
from recsweep.running.workers import Hired, Workers
from recsweep.sweeps.config import WorkersConfig

_HEAR_SECONDS = 20.0
"""A call that waits for events is answered after so long; the next one is made then."""
_GOODBYE_SECONDS = 5.0
_ROOM_SECONDS = 45.0
"""A worker that has not started for so long has no room on the cluster, for all that is known."""


@dataclass
class _Actor:
    """One worker, as it is seen from here."""

    handle: Any
    hearing: Any
    """The answer to come, of events."""
    stands: bool = False
    """True where it has room on a node and has said so."""
    busy: bool = False
    killed: bool = False
    waiting: list[Command] = field(default_factory=list)
    """Commands for one that has no room yet."""
    since: float = field(default_factory=time.monotonic)


class RayWorkers(Workers):
    """Actors. Those without room on the cluster are idle as soon as all others are: nobody waits for them.

    Args:
        main: what a process runs, with the arguments of `child.child_main`.
        link: the connection to Ray.
        sent: the files that went there.
    """

    def __init__(
        self, main: Callable[..., None] = child_main, link: Link | None = None, sent: Sent | None = None
    ) -> None:
        self._main, self._link = main, link or Link()
        self._sent = sent or Sent(self._link)
        self._actors: dict[int, _Actor] = {}
        self._ids = itertools.count(1)
        self._said = False

    def start(self, number: int, plan: StudyPlan) -> Hired:
        config = plan.sweep.workers
        cpus = cpus_of(config)
        ray = self._link.open(plan.outputs.scratch, cpus * config.count)
        self._link.require_shared(plan.storage_url)
        log = plan.outputs.worker_log(plan.dataset_name, plan.model_name, number)
        owner = replace(this_process(), worker=next(self._ids))
        terms = terms_of(plan, number, owner, self._main)
        groups = {"send": 1, "hear": 1}
        actor = ray.remote(num_cpus=cpus, num_gpus=config.gpus, max_restarts=0, concurrency_groups=groups)(
            Hand
        )
        handle = actor.remote(terms)
        self._actors[number] = _Actor(handle, _hear(handle))
        return Hired(number, owner, log)

    def send(self, number: int, command: Command) -> None:
        actor = self._actors.get(number)
        if actor is None:
            return
        actor.busy = True
        if actor.stands:
            self._hand_on(actor, command)
        else:
            actor.waiting.append(command)

    def _hand_on(self, actor: _Actor, command: Command) -> None:
        fetch = self._sent.fetch(command.plan) if isinstance(command, Search | Evaluate) else None
        actor.handle.send.options(concurrency_group="send").remote(command, fetch)

    def events(self, seconds: float) -> list[tuple[int, Event]]:
        if not self._actors:
            time.sleep(seconds)
            return []
        found = self._of_those_without_room()
        ray, numbers = self._link.ray, {actor.hearing: number for number, actor in self._actors.items()}
        ready, _ = ray.wait(list(numbers), num_returns=1, timeout=0.0 if found else seconds)
        if ready:
            ready, _ = ray.wait(list(numbers), num_returns=len(numbers), timeout=0.0)
        for answer in ready:
            found += [(numbers[answer], event) for event in self._heard(numbers[answer])]
        return found

    def _heard(self, number: int) -> list[Event]:
        """The events that a worker told; another call waits for what comes next."""
        actor, ray = self._actors[number], self._link.ray
        try:
            told: list[Event] = ray.get(actor.hearing)
        except ray.exceptions.RayError as error:  # its actor, or the node that it was on
            told = [Died("killed" if actor.killed else _why(error))]
        for event in told:
            match event:
                case Started():
                    actor.stands = True
                    for command in actor.waiting:
                        self._hand_on(actor, command)
                    actor.waiting.clear()
                case Idle() | Evaluated():
                    actor.busy = False
                case Died():
                    del self._actors[number]
                    ray.kill(actor.handle)
                    return told
        actor.hearing = _hear(actor.handle)
        return told

    def _of_those_without_room(self) -> list[tuple[int, Event]]:
        """Nobody is to wait for workers without room once all those that have it are done."""
        waiting = {number: actor for number, actor in self._actors.items() if actor.waiting}
        now, standing = time.monotonic(), [actor for actor in self._actors.values() if actor.stands]
        late = {number: actor for number, actor in waiting.items() if now - actor.since > _ROOM_SECONDS}
        if not late or any(actor.busy for actor in standing):
            return []
        if standing:
            for actor in late.values():
                actor.busy = False
                actor.waiting.clear()
            return [(number, Idle()) for number in late]
        if self._said:
            return []
        self._said = True
        return [
            (
                next(iter(late)),
                Note("no node of the Ray cluster has room for a worker yet (workers.cpus, workers.gpus)"),
            )
        ]

    def kill(self, number: int) -> None:
        if (actor := self._actors.get(number)) is not None:
            actor.killed = True
            self._link.ray.kill(actor.handle)

    def stop(self, numbers: Sequence[int], *, force: bool = False) -> None:
        leaving = [self._actors.pop(number) for number in numbers if number in self._actors]
        if not force:
            self._say_goodbye([actor for actor in leaving if actor.stands])
        for actor in leaving:
            self._link.ray.kill(actor.handle)

    def _say_goodbye(self, leaving: Sequence[_Actor]) -> None:
        """Let workers end by themselves, for as long as that may take."""
        ray, deadline = self._link.ray, time.monotonic() + _GOODBYE_SECONDS
        for actor in leaving:
            self._hand_on(actor, Stop())
        for actor in leaving:
            gone = False
            while not gone and (left := deadline - time.monotonic()) > 0:
                try:
                    told = ray.get(actor.hearing, timeout=left)
                except ray.exceptions.RayError:
                    break
                gone = any(isinstance(event, Died) for event in told)
                actor.hearing = _hear(actor.handle)

    def close(self) -> None:
        if self._link.ray is not None:
            self.stop(list(self._actors), force=True)
        self._sent.clear()
        self._link.close()


def cpus_of(config: WorkersConfig) -> float:
    """The cores that Ray gives each worker: what the config says, or as many as it has threads."""
    return config.cpus if config.cpus is not None else float(threads_of(config))


def _hear(handle: Any) -> Any:
    return handle.hear.options(concurrency_group="hear").remote(_HEAR_SECONDS)


def _why(error: Exception) -> str:
    """How an actor ended, in a line: the error of its own that it ended with, or what Ray says of it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    ours = [line for line in lines if line.startswith("recsweep.")]
    return (
        ours[-1] if ours else f"its node or its actor is gone ({lines[0] if lines else type(error).__name__})"
    )
