"""Where the workers of a run are, by its config."""

from __future__ import annotations

from recsweep.running.local_workers import LocalWorkers
from recsweep.running.ray_workers import RayWorkers
from recsweep.running.workers import Workers
from recsweep.sweeps.config import WorkersConfig


def workers_of(config: WorkersConfig) -> Workers:
    """The workers that a sweep asks for; none is started yet."""
    return RayWorkers() if config.on == "ray" else LocalWorkers()
