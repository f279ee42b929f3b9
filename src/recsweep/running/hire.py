"""Where the workers of a run are, by its config."""

from __future__ import annotations

from recsweep.running.local_workers import LocalWorkers
from recsweep.running.ray_tuner import RayTuner
from recsweep.running.ray_workers import RayWorkers
from recsweep.running.workers import Workers
from recsweep.sweeps.config import SweepConfig
from recsweep.sweeps.engine_table import RAY


def workers_of(config: SweepConfig, *, joining: bool = False) -> Workers:
    """The workers that a sweep asks for; none is started yet.

    Args:
        joining: they fill slots of a search that another process drives, each by itself.
    """
    if config.search.engine == RAY and not joining:
        return RayTuner()
    return RayWorkers() if config.workers.on == "ray" else LocalWorkers()
