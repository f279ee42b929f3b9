"""The worker processes of a supervisor: started, given work, let go."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path

from recsweep.common import scratch
from recsweep.common.errors import InputError
from recsweep.common.owner import Owner, this_process
from recsweep.common.scratch import PREPARING
from recsweep.planning.plan import StudyPlan
from recsweep.running.child import child_main
from recsweep.running.gpus import Seat
from recsweep.study import Claim
from recsweep.sweeps.config import WorkersConfig
from recsweep.sweeps.overrides import cores

_GOODBYE_SECONDS = 5.0
MOST_THREADS = 4096


@dataclass
class Child:
    """One worker process."""

    number: int
    process: SpawnProcess
    pipe: Connection
    owner: Owner
    log: Path
    claim: Claim | None = None
    claimed_at: float = 0.0
    heard_at: float = 0.0
    """When its trial was claimed, or last ended an epoch."""
    idle: bool = True
    ready: bool = False
    seat: Seat | None = None
    """The last one that it was given; None where no GPU is used."""


class Pool:
    """Live workers, warm from one study to the next."""

    def __init__(self) -> None:
        self.children: list[Child] = []
        self.gpus: int | None = None
        """GPUs that the workers see; None before the first one said so."""
        self._scratch: Path | None = None

    def take(self, plan: StudyPlan, count: int) -> list[Child]:
        """`count` live workers; new ones where there are too few."""
        while len(self.children) < count:
            self.children.append(self._start(plan))
        return self.children[:count]

    def _start(self, plan: StudyPlan) -> Child:
        taken = {child.number for child in self.children}
        number = next(n for n in range(1, len(taken) + 2) if n not in taken)
        log = plan.outputs.worker_log(plan.dataset_name, plan.model_name, number)
        log.parent.mkdir(parents=True, exist_ok=True)
        threads = threads_of(plan.sweep.workers)
        ours, theirs = get_context("spawn").Pipe()
        self._scratch = plan.outputs.scratch
        scratch.clear(self._scratch)
        scratch.clear(plan.outputs.cache, PREPARING)
        arguments = (theirs, this_process(), str(log), threads, str(self._scratch.resolve()))
        process = get_context("spawn").Process(target=child_main, args=arguments, daemon=True)
        with _without_main_module(), _environment(worker_environment(threads)):
            process.start()
        theirs.close()
        owner = replace(this_process(), worker=process.pid)
        return Child(number, process, ours, owner, log)

    @property
    def seats(self) -> list[Seat]:
        """The seats of the workers that search now."""
        return [child.seat for child in self.children if child.seat is not None and not child.idle]

    def for_device(self, plan: StudyPlan, device: str) -> Child:
        """An idle worker for a GPU: one that was there last, else a fresh one, else any."""
        idle = [child for child in self.children if child.idle]
        for wanted in (device, None):
            for child in idle:
                if (child.seat.device if child.seat else None) == wanted:
                    return child
        if idle and len(self.children) >= plan.sweep.workers.count:
            return idle[0]  # what CUDA keeps for it on its former GPU stays there until it ends
        return self.take(plan, len(self.children) + 1)[-1]

    def send(self, child: Child, message: tuple[str, StudyPlan], seat: Seat | None = None) -> None:
        """Give a worker something to do."""
        child.idle, child.seat = False, seat
        child.claimed_at = child.heard_at = time.monotonic()
        with suppress(OSError):  # it died while it waited; its sentinel tells
            child.pipe.send((*message, seat))

    def remove(self, child: Child) -> None:
        """Let a worker go, dead or alive."""
        self.children.remove(child)
        child.pipe.close()
        child.process.join(timeout=_GOODBYE_SECONDS)
        if child.process.is_alive():
            child.process.kill()
            child.process.join()

    def close(self) -> None:
        """End all workers: those that wait for work at once, the others by force."""
        for child in self.children:
            child.pipe.close()
            if not child.idle:
                child.process.kill()
        for child in self.children:
            child.process.join(timeout=_GOODBYE_SECONDS)
            if child.process.is_alive():
                child.process.kill()
                child.process.join()
        self.children.clear()
        if self._scratch is not None:  # of those that could not do so themselves
            scratch.clear(self._scratch)


def threads_of(workers: WorkersConfig) -> int:
    """Threads of each worker: what the config says, or the user's OMP_NUM_THREADS, or its share of the cores.

    Raises:
        InputError: the variable is no number.
    """
    if workers.threads:
        return workers.threads
    given = os.environ.get("OMP_NUM_THREADS", "").strip()
    if not given:
        return max(1, cores() // workers.count)
    first = given.split(",")[0].strip()  # of a list, the outermost level
    if not (first.isascii() and first.isdigit() and 0 < int(first) <= MOST_THREADS):
        raise InputError(
            "OMP_NUM_THREADS", f"must be a whole number from 1, but got {given!r}", "correct or unset it"
        )
    return int(first)


def worker_environment(threads: int) -> dict[str, str]:
    """What a worker's libraries read when they are loaded; what the user has set stays as it is.

    None of it changes a result. Threads are counted out, so that workers do not fight for cores.
    OpenMP's idle threads spin for a millisecond by default; where another process wants the core,
    that slows small models many times, and this much less spinning costs a few per cent. The
    allocator keeps what it has got: large tensors come and go with every batch, and pages that are
    given back have to be cleared again.
    """
    count = {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    defaults = {
        "GOMP_SPINCOUNT": "10000",
        "MALLOC_MMAP_MAX_": "0",
        "MALLOC_TRIM_THRESHOLD_": str(32 << 30),
    }
    own = {name: value for name, value in defaults.items() if name not in os.environ}
    return {**count, **own, "TQDM_DISABLE": "1"}


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Set variables for a process that is started meanwhile, and put the old ones back."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _without_main_module() -> Iterator[None]:
    """A spawned process would import the parent's main script again; our workers need none of it."""
    main = sys.modules["__main__"]
    spec, path = getattr(main, "__spec__", None), getattr(main, "__file__", None)
    main.__spec__ = None
    if path is not None:
        del main.__file__
    try:
        yield
    finally:
        main.__spec__ = spec
        if path is not None:
            main.__file__ = path
