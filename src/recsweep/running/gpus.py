"""Which worker trains on which GPU, and how many share one. Decisions only: no torch, no NVML."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from recsweep.running.throughput import Throughput

KEPT_FREE = 0.1
"""Share of a GPU's memory that is planned for nothing: later trials may need more than the first."""
CONTEXT_BYTES = 600 * 2**20
"""Bytes that CUDA itself takes for each process. torch does not count it; an estimate on the high side."""


@dataclass(frozen=True)
class Seat:
    """Where a worker trains, and on which terms, until its search ends."""

    device: str
    shared: bool = False
    """Others may train there meanwhile: out of memory is then no fault of the parameters."""
    measure: bool = False
    """The search ends once one trial has shown how much memory it takes."""
    brief: bool = False
    """The search ends with its trial: how many are to train there is not decided yet."""


@dataclass(frozen=True)
class Memory:
    """Bytes that a trial took that had a GPU to itself."""

    peak: int
    free: int
    """Bytes that trials may have: not in use, or in use by the worker that measured."""
    total: int


def fitting(memory: Memory, contexts: int = 1) -> int:
    """How many such trials fit at once; at least the one that was measured.

    Args:
        contexts: our processes that hold CUDA's own share already, so that it is not counted twice.
    """
    room = memory.free + contexts * CONTEXT_BYTES - KEPT_FREE * memory.total
    return max(1, int(room // (memory.peak + CONTEXT_BYTES)))


class Gpus:
    """The GPUs of one study, and how many trials each of them takes at once.

    Args:
        count: GPUs that the workers see.
        per_gpu: trials at once on each; `auto`: one more while the GPU trains more batches a second by it,
            as far as memory goes.
        workers: processes that train at once, on all of them together.
    """

    def __init__(self, count: int, per_gpu: int | Literal["auto"], workers: int) -> None:
        self.devices = [f"cuda:{number}" for number in range(count)]
        self._workers = workers
        # Workers are spread evenly, so with a GPU for each of them none is ever shared.
        self._most = 1 if workers <= count else workers
        self._limits: dict[str, int] = {}
        self._beside: dict[str, set[int]] = {}
        """Workers that trained beside a trial that did not fit, and have ended no epoch since."""
        self._paces: dict[str, Throughput] = {}
        if per_gpu != "auto" or self._most == 1:
            limit = self._most if per_gpu == "auto" else min(per_gpu, self._most)
            self._limits = dict.fromkeys(self.devices, limit)
        else:
            self._paces = {device: Throughput(self._most) for device in self.devices}

    def measured(self, device: str, memory: Memory, contexts: int = 1) -> int:
        """Take note of a GPU's first trial; how many fit there at once from now on."""
        self._limits[device] = min(fitting(memory, contexts), self._most)
        if device in self._paces:
            self._paces[device].bind(self._limits[device])
        return self._limits[device]

    def heard(self, device: str, worker: int, batches: int, moment: float) -> Throughput | None:
        """Take note of an epoch that a worker has ended there; what is known, where that decided anything."""
        self._beside.get(device, set()).discard(worker)
        pace = self._paces.get(device)
        return pace if pace is not None and pace.heard(worker, batches, moment) else None

    def out_of_memory(self, device: str, worker: int, beside: Collection[int]) -> Throughput | None:
        """Trials that shared a GPU did not fit: one fewer from now on; what is known, where that is tried.

        Several that fail at once say the same thing, that so many do not fit: the first of them is counted.
        Whoever has ended an epoch since, among the fewer, and fails then, is the first of another failure.

        Args:
            worker: number of the one whose trial failed.
            beside: numbers of the others that train there now.
        """
        failed = self._beside.setdefault(device, set())
        if worker in failed:
            failed.discard(worker)
            return None
        self._beside[device] = set(beside)
        at_once, _ = self._at_once(device)
        self._limits[device] = max(1, (at_once or 1) - 1)
        pace = self._paces.get(device)
        if pace is not None:
            pace.bind(self._limits[device])
        return pace

    def _at_once(self, device: str) -> tuple[int | None, bool]:
        """Trials at once now, None before memory is known; and whether that is still tried."""
        limit, pace = self._limits.get(device), self._paces.get(device)
        if limit is None or pace is None:
            return limit, False
        return min(limit, pace.at_once), limit > 1 and not pace.settled

    def next_seat(self, taken: Sequence[Seat], waiting: int, alone: int) -> Seat | None:
        """Where one more worker may train now: on the emptiest GPU that takes one, or nowhere.

        Args:
            taken: seats of the workers that search now.
            waiting: slots for anyone.
            alone: slots that need a GPU to themselves. They are left until the others are done.
        """
        if len(taken) >= self._workers:
            return None
        here = {device: [seat for seat in taken if seat.device == device] for device in self.devices}
        for device in sorted(self.devices, key=lambda device: len(here[device])):
            seat = self._seat(device, here[device], waiting, alone)
            if seat is not None:
                return seat
        return None

    def _seat(self, device: str, here: Sequence[Seat], waiting: int, alone: int) -> Seat | None:
        limit, tried = self._at_once(device)
        if tried and waiting:
            fits = len(here) < (limit or 1) and all(seat.shared for seat in here)
            return Seat(device, shared=True, brief=True) if fits else None
        if not here and ((waiting and limit == 1) or (alone and not waiting)):
            return Seat(device)
        if not waiting or limit == 1:
            return None
        if limit is None:
            return None if here else Seat(device, measure=True)
        if len(here) < limit and all(seat.shared for seat in here):
            return Seat(device, shared=True)
        return None
