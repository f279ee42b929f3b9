"""Configurations of a study trained for a moment each, in a worker: what they take of time and memory."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator
from typing import Protocol

import torch

from recsweep.datasets.prepare import Prepared
from recsweep.estimating.probe import DEFAULTS, LARGE, SMALL, Point, Probe
from recsweep.planning.plan import StudyPlan
from recsweep.running import gpu_memory
from recsweep.running.commands import Gauge
from recsweep.running.events import Gauged
from recsweep.running.failures import classify
from recsweep.sweeps.space import Params
from recsweep.training import probe

_OF_DEFAULTS = 0.4
"""The share of the time that the search's start has: it is trained on to see when it stops."""
_OF_CORNER = 0.1
_UNIT = 1 if sys.platform == "darwin" else 1024


class Data(Protocol):
    """Whoever holds the data of studies."""

    def prepared(
        self,
        plan: StudyPlan,
        device: torch.device,
        params: Params | None = None,
        split_seed: int | None = None,
    ) -> Prepared: ...


def gauge(data: Data, command: Gauge, device: torch.device) -> Iterator[Gauged]:
    """Train each configuration of a command for its share of the time that is left, the first ones surely."""
    gpu_memory.start(device)
    deadline = time.perf_counter() + command.seconds
    waiting = list(command.points)
    while waiting:
        point = waiting.pop(0)
        left = deadline - time.perf_counter()
        if left <= 0 and point.name not in (DEFAULTS, LARGE):
            return
        found = _probed(data, command.plan, point, device, _share(point, left, len(waiting)))
        on_gpu = gpu_memory.measured(device)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT
        yield Gauged(found, peak, on_gpu.peak if on_gpu is not None else None)


def _share(point: Point, left: float, waiting: int) -> float:
    """Seconds for a configuration."""
    if point.name == DEFAULTS:
        return left * _OF_DEFAULTS if waiting else left
    return left * _OF_CORNER if point.name in (LARGE, SMALL) else left / (1 + waiting)


def _probed(data: Data, plan: StudyPlan, point: Point, device: torch.device, seconds: float) -> Probe:
    """A configuration with its numbers; why it failed, where it did."""
    params = dict(point.params)
    try:
        split = data.prepared(plan, device, params, point.split_seed).split
        settings = plan.settings(params, point.seed, point.split_seed)
        to_its_end = point.name not in (LARGE, SMALL)
        return probe.probe(settings, split, device, point, max(seconds, 0.5), to_its_end=to_its_end)
    except Exception as error:  # classify raises what is no trial's fault
        return Probe(point.name, params, failure=classify(error)[1])
