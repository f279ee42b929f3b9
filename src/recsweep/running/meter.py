"""The energy of a worker's trials: its share of what the machine took meanwhile.

What a processor takes is shared by processor time: a worker has as much of the joules as of the seconds in
which the machine's cores computed, so the shares of all processes come to what was read, and none is counted
twice. What a GPU takes is shared in equal parts by the processes that compute on it. Where nothing can be
read it is estimated.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from recsweep.running import nvml, power
from recsweep.study import Energy
from recsweep.sweeps.energy import OFF, EnergyConfig

LOOK_SECONDS = 10.0
"""So often counters are read while a trial runs: they begin again after minutes of full load."""
_JOULES_PER_KWH = 3.6e6
RAPL, NVML, ESTIMATE = "rapl", "nvml", "estimate"


@dataclass(frozen=True)
class Readers:
    """Where the counters are read; others in tests."""

    zones: Callable[[], dict[str, tuple[float, float]]] = power.joules_by_zone
    machine: Callable[[], float | None] = power.machine_seconds
    own: Callable[[], float] = power.own_seconds
    gpu: Callable[[str], tuple[float, int] | None] = nvml.gpu_joules


@dataclass
class _Look:
    """The counters at one moment."""

    zones: dict[str, tuple[float, float]]
    machine: float | None
    own: float
    gpu: tuple[float, int] | None


@dataclass
class _Sum:
    """The joules of the trial that runs, so far."""

    processor: float = 0.0
    gpu: float = 0.0
    read: set[str] = field(default_factory=set)


class Meter:
    """Measures one trial after the other.

    Args:
        device: that the trials are trained on.
    """

    def __init__(self, config: EnergyConfig, device: torch.device, readers: Readers | None = None) -> None:
        self._config, self._readers = config, readers or Readers()
        self._on_gpu, self._gpu = device.type == "cuda", _uuid(device)
        self._lock = threading.Lock()
        self._last: _Look | None = None
        self._sum = _Sum()
        self._held: dict[int, _Sum] = {}
        self._ended = threading.Event()

    def start(self, trial_id: int = -1) -> None:
        """A trial begins, or goes on that was held here."""
        if self._config.measure == OFF:
            return
        with self._lock:
            self._last, self._ended = self._look(), threading.Event()
            self._sum = self._held.pop(trial_id, _Sum())
            counters = bool(self._last.zones or self._last.gpu)
        if counters:
            threading.Thread(target=self._watch, args=(self._ended,), name="energy", daemon=True).start()

    def hold(self, trial_id: int) -> None:
        """Keep what the trial that was stopped last has taken: it goes on later."""
        self._held[trial_id] = self._sum

    def stop(self) -> Energy | None:
        """The trial is over: what it took; None where that is not asked for."""
        with self._lock:
            if self._last is None:
                return None
            self._ended.set()
            self._add()
            self._last = None
        joules, config = self._sum.processor + self._sum.gpu, self._config
        kwh, price = joules / _JOULES_PER_KWH, config.price_per_kwh
        return Energy(
            kwh=kwh,
            co2_g=kwh * config.grams_per_kwh,
            read="+".join(sorted(self._sum.read)),
            estimated=ESTIMATE in self._sum.read,
            cost=None if price is None else kwh * price,
        )

    def _watch(self, ended: threading.Event) -> None:
        while not ended.wait(LOOK_SECONDS):
            with self._lock:
                if not ended.is_set():
                    self._add()

    def _look(self) -> _Look:
        readers = self._readers
        gpu = readers.gpu(self._gpu) if self._gpu else None
        return _Look(readers.zones(), readers.machine(), readers.own(), gpu)

    def _add(self) -> None:
        """Count what was taken since the last look."""
        before, now = self._last, self._look()
        if before is None:
            return
        self._last = now
        own, sum_ = now.own - before.own, self._sum
        if before.zones and now.zones and before.machine is not None and now.machine is not None:
            every = max(own, now.machine - before.machine)
            share = own / every if every > 0 else 0.0
            sum_.processor += share * power.joules_between(before.zones, now.zones)
            sum_.read.add(RAPL)
        else:
            sum_.processor += own * self._config.watts_per_core
            sum_.read.add(ESTIMATE)
        if before.gpu and now.gpu:
            sum_.gpu += (now.gpu[0] - before.gpu[0]) / max(1, before.gpu[1], now.gpu[1])
            sum_.read.add(NVML)
        elif self._on_gpu:
            sum_.read.add(ESTIMATE)  # without what the GPU took


def _uuid(device: torch.device) -> str:
    """The driver's name of a GPU; empty for another device."""
    if device.type != "cuda":
        return ""
    about: Any = torch.cuda.get_device_properties(device)
    uuid = str(getattr(about, "uuid", ""))
    return uuid if not uuid or uuid.startswith("GPU-") else f"GPU-{uuid}"
