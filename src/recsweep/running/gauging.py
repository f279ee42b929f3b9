"""Configurations of a study trained for a moment each, in a worker: what they take of time and memory."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator

import torch

from recsweep.estimating.epochs import stops_early
from recsweep.estimating.probe import LARGE, SMALL, Point, Probe
from recsweep.planning.plan import StudyPlan
from recsweep.running import gpu_memory
from recsweep.running.bench import Data
from recsweep.running.commands import Gauge
from recsweep.running.events import Gauged
from recsweep.running.failures import classify
from recsweep.training import probe

_TO_LOOK = 0.6
"""The share of the time in which each configuration is looked at; in the rest some are trained on."""
_SURELY = 3
"""So many configurations are looked at however long that takes."""
_LEAST_SECONDS = 0.5
_MORE_EPOCHS = 3
"""So many epochs of it must fit for a configuration to be trained on."""
_UNIT = 1 if sys.platform == "darwin" else 1024


def gauge(data: Data, command: Gauge, device: torch.device) -> Iterator[Gauged]:
    """Train configurations for a moment each, the first ones surely; then, while there is time, to their end.

    A configuration that is trained on is told of again.
    """
    gpu_memory.start(device)
    tries = _Tries(data, command.plan, device, command.seconds)
    looked_at: list[tuple[Point, Probe]] = []
    for position, point in enumerate(command.points):
        left = tries.left - (1 - _TO_LOOK) * command.seconds
        if left <= 0 and position >= _SURELY:
            break
        found = tries.take(point, left / (len(command.points) - position), to_its_end=False)
        looked_at.append((point, found.probe))
        yield found
    if stops_early(command.plan.training):
        drawn = [one for one in looked_at if one[0].name not in (LARGE, SMALL) and not one[1].failure]
        for position, (point, probe) in enumerate(drawn):
            seconds = tries.left / (len(drawn) - position)
            if not probe.finished and seconds > probe.setup_seconds + _MORE_EPOCHS * probe.epoch_seconds:
                yield tries.take(point, seconds, to_its_end=True)


class _Tries:
    """Configurations of a study, tried one after the other.

    Args:
        data: holds the study's data.
        plan: the study.
        device: where to train.
        seconds: for all of them.
    """

    def __init__(self, data: Data, plan: StudyPlan, device: torch.device, seconds: float) -> None:
        self._data, self._plan, self._device = data, plan, device
        self._deadline = time.perf_counter() + seconds

    @property
    def left(self) -> float:
        """Seconds."""
        return self._deadline - time.perf_counter()

    def take(self, point: Point, seconds: float, *, to_its_end: bool) -> Gauged:
        """One of them, and the memory until then."""
        found = self._probed(point, max(seconds, _LEAST_SECONDS), to_its_end=to_its_end)
        on_gpu = gpu_memory.measured(self._device)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT
        return Gauged(found, peak, on_gpu.peak if on_gpu is not None else None)

    def _probed(self, point: Point, seconds: float, *, to_its_end: bool) -> Probe:
        params = dict(point.params)
        try:
            split = self._data.prepared(self._plan, self._device, params, point.split_seed).split
            settings = self._plan.settings(params, point.seed, point.split_seed)
            return probe.probe(settings, split, self._device, point, seconds, to_its_end=to_its_end)
        except Exception as error:  # classify raises what is no trial's fault
            return Probe(point.name, params, failure=classify(error)[1])
