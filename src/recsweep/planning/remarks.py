"""Remarks on a sweep: no mistakes, but perhaps not meant; what of its data, see `datasets/remarks.py`."""

from __future__ import annotations

import os
from collections.abc import Iterator

from recsweep.planning.checks import single_models
from recsweep.planning.heads import misfits
from recsweep.recbole_api import catalog
from recsweep.recbole_api.source import overall_defaults
from recsweep.sweeps.config import ModelConfig
from recsweep.sweeps.loading import Sweep
from recsweep.sweeps.own_names import in_short, is_own

_THREADS = "OMP_NUM_THREADS"


def remarks(sweep: Sweep) -> list[str]:
    """A line for each."""
    models = [model for _, model in single_models(sweep)]
    return [
        *_threads(sweep),
        *(line for model in models for line in (*misfits(model), *_without_value(model))),
    ]


def _without_value(model: ModelConfig) -> Iterator[str]:
    """Settings that a model of one's own reads, and nobody gives: RecBole has None for them."""
    if is_own(model.model):
        shipped = {*overall_defaults(), *catalog.published_defaults(model.model)}
        given = {*model.fixed, *model.space, *shipped}
        if lacking := sorted(catalog.parameters(model.model) - given):
            names = " and ".join(f"`{name}`" for name in lacking)
            yield (
                f"{in_short(model.model)}: its code reads {names}, which nothing gives a value: it gets "
                "None; put it into `fixed` or `space` of its model file, where it needs one"
            )


def _threads(sweep: Sweep) -> Iterator[str]:
    """The config's threads, where the user's environment says others."""
    threads, given = sweep.config.workers.threads, os.environ.get(_THREADS, "").strip()
    if threads and given and given.split(",")[0].strip() != str(threads):
        yield f"workers.threads={threads} of the sweep holds, and not {_THREADS}={given} of the environment"
