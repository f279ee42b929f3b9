"""Which worker trains on which GPU, and how many share one. Decisions only: no torch, no NVML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

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
        per_gpu: trials at once on each; `auto` goes by memory.
        workers: processes that train at once, on all of them together.
    """

    def __init__(self, count: int, per_gpu: int | Literal["auto"], workers: int) -> None:
        self.devices = [f"cuda:{number}" for number in range(count)]
        self._workers = workers
        # Workers are spread evenly, so with a GPU for each of them none is ever shared.
        self._most = 1 if workers <= count else workers
        self._limits: dict[str, int] = {}
        if per_gpu != "auto" or self._most == 1:
            limit = self._most if per_gpu == "auto" else min(per_gpu, self._most)
            self._limits = dict.fromkeys(self.devices, limit)

    def measured(self, device: str, memory: Memory, contexts: int = 1) -> int:
        """Take note of a GPU's first trial; how many it takes at once from now on."""
        self._limits[device] = min(fitting(memory, contexts), self._most)
        return self._limits[device]

    def out_of_memory(self, device: str) -> None:
        """Trials that shared a GPU did not fit: one fewer from now on."""
        self._limits[device] = max(1, self._limits.get(device, 1) - 1)

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
        limit = self._limits.get(device)
        if not here and ((waiting and limit == 1) or (alone and not waiting)):
            return Seat(device)
        if not waiting or limit == 1:
            return None
        if limit is None:
            return None if here else Seat(device, measure=True)
        if len(here) < limit and all(seat.shared for seat in here):
            return Seat(device, shared=True)
        return None
