"""The resources that a study's job asks a scheduler for: SLURM, Kubernetes, or Snakemake itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import Field

from recsweep.sweeps.sections import Frozen
from recsweep.sweeps.values import Real, Whole

MOST_GIB = 65_536
DEFAULT_GIB = 8.0
"""Memory of a job where nobody says how much."""
CPUS_ELSEWHERE = 4
"""Cores of a job on a cluster, where nobody says how many."""


class ResourcesConfig(Frozen):
    """Resources of each job that trains a study. They decide nothing about what a trial computes."""

    cpus: Whole | None = Field(None, ge=1, le=4096)
    """Cores of a job. None: all of the machine, where Snakemake runs its jobs on it; 4 elsewhere."""
    mem_gib: Real | None = Field(None, gt=0, le=MOST_GIB)
    """Memory of a job in GiB. None: 8."""
    gpus: Whole | None = Field(None, ge=0, le=64)
    """GPUs of a job. None: one, unless `training.device` is `cpu`."""
    minutes: Whole | None = Field(None, ge=1, le=527_040)
    """Time limit of a job. None: the scheduler's default. Its trials are saved before it ends, and go on in
    the next job."""

    def over(self, other: ResourcesConfig) -> ResourcesConfig:
        """These, and what they do not say from others."""
        return other.model_copy(update=self.model_dump(exclude_none=True))

    @property
    def mebibytes(self) -> int:
        """Memory of a job in MiB."""
        return round((self.mem_gib or DEFAULT_GIB) * 1024)


def largest(several: Iterable[ResourcesConfig]) -> ResourcesConfig:
    """Enough of each resource for any of several models."""
    found: dict[str, Any] = {}
    for one in several:
        for name, value in one.model_dump(exclude_none=True).items():
            found[name] = max(value, found.get(name, value))
    return ResourcesConfig(**found)
