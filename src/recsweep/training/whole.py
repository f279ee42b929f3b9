"""One configuration trained once more, on the validation data too where that is wanted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch

from recsweep.common.files import counted
from recsweep.recbole_api.data import Split, joined
from recsweep.recbole_api.settings import BOTH, TRAIN, TRAIN_ON
from recsweep.training import training
from recsweep.training.schedules import Schedule

PARTS = (TRAIN, BOTH)
"""Values of `train_on`: the parts of the data that are trained on."""


def training_split(settings: Mapping[str, Any], split: Split) -> Split:
    """The split with those data for training that the settings ask for."""
    return joined(split) if settings.get(TRAIN_ON) == BOTH else split


def trained(
    settings: Mapping[str, Any],
    split: Split,
    device: torch.device,
    schedule: Schedule,
    tell: Callable[[str], None],
) -> training.Trained:
    """Train a configuration: until validation says so, or where nothing is left to validate on, to the end.

    Raises:
        ScheduleRefused: settings that cannot change while a model is trained.
    """
    metric = settings.get("valid_metric", "score")
    if settings.get(TRAIN_ON) != BOTH:
        told = lambda epoch, score: tell(f"epoch {epoch} {metric} {score:.4f}")  # noqa: E731
        return training.train(settings, split, device, told, schedule=schedule)
    epochs = int(settings["epochs"])
    tell(
        f"training on train+valid for {counted(epochs, 'epoch')}: nothing is left to validate on, and no "
        "score of validation says how good it becomes"
    )
    # Whatever is validated on was trained on: it decides nothing, and is looked at as rarely as can be.
    never = {"stopping_step": epochs, **({} if schedule else {"eval_step": epochs})}
    found = training.train({**settings, **never}, split, device, schedule=schedule)
    return replace(found, best=found.last, best_epoch=found.epochs, score=float("nan"), metrics={})
