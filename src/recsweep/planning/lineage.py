"""The training that leads to a trial's weights: one set of settings, or several, one after the other."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from recsweep.planning.definition import study_settings
from recsweep.study import Lineage, Trial
from recsweep.study.description import Description


def training_of(study: Description, trial: Trial) -> tuple[dict[str, Any], list[tuple[int, dict[str, Any]]]]:
    """The complete RecBole config that a trial began with, and what changed from which epoch on.

    A trial that took up another one's weights began as the first of its lineage, with that one's seed.
    """
    lineage = trial.result.lineage
    if lineage is None:
        return study_settings(study, trial.params, trial.seed or 0), []
    return training_along(study, lineage)


def training_along(
    study: Description, lineage: Lineage, split_seed: int | None = None
) -> tuple[dict[str, Any], list[tuple[int, dict[str, Any]]]]:
    """The same of a lineage.

    Args:
        split_seed: of the split; None: the search's.
    """
    settings = [
        study_settings(study, stretch.params, lineage.seed, split_seed) for stretch in lineage.stretches
    ]
    changes = [_changes(before, after) for before, after in pairwise(settings)]
    begins = [stretch.from_epoch for stretch in lineage.stretches[1:]]
    return settings[0], [(first, changed) for first, changed in zip(begins, changes, strict=True) if changed]


def _changes(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """All settings with another value afterwards; one that is no more is null, which is RecBole's own way."""
    names = {**before, **after}
    return {name: after.get(name) for name in names if before.get(name) != after.get(name)}
