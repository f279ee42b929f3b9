"""Settings that hold from an epoch on: which parts a training has, and which settings may change at all.

A part goes on from the state that the one before left, in a model and a trainer of its own. So a schedule
is the same as a chain of trainings that were taken up again with other settings.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from recsweep.common.errors import ScheduleRefused
from recsweep.common.files import to_plain
from recsweep.recbole_api import model as recbole
from recsweep.recbole_api.config import TypedConfig
from recsweep.recbole_api.data import Split, data_key
from recsweep.recbole_api.settings import SPLIT_SEED, TIME_ORDER, TRAIN_ON, placed
from recsweep.training import live
from recsweep.training.state import TrialState

Schedule = Sequence[tuple[int, Mapping[str, Any]]]
"""From which epoch on, counted from 1, which settings are others. They hold until something else does."""

_FIXED = {
    **dict.fromkeys(
        ("model", "dataset", "data_path", TIME_ORDER, SPLIT_SEED, TRAIN_ON), "it is another trial"
    ),
    **dict.fromkeys(("seed", "reproducibility"), "the random numbers go on as they are"),
    **dict.fromkeys(("eval_step", "train_stage"), "epochs are counted by it"),
    **dict.fromkeys(
        ("valid_metric", "metrics", "topk", "metric_decimal_place"), "scores would not be comparable"
    ),
    "learner": "an optimizer cannot go on from the state of another",
}
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Part:
    """A training under one set of settings."""

    first: int
    """Its first epoch, from 1."""
    last: int | None
    """Its last one; None where it goes on to the end."""
    settings: dict[str, Any]


def parts(settings: Mapping[str, Any], schedule: Schedule) -> list[Part]:
    """The parts of a training, in their order.

    Raises:
        ScheduleRefused: an epoch at which nothing can change.
    """
    found = [Part(1, None, dict(settings))]
    for number, (first, changes) in enumerate(schedule):
        before = found.pop()
        step, epochs = int(settings.get("eval_step", 1)), int(before.settings.get("epochs", 300))
        if first <= before.first:
            raise ScheduleRefused.at(number, "from_epoch", f"{first} must be after epoch {before.first}")
        if first > epochs:
            raise ScheduleRefused.at(number, "from_epoch", f"{first} is after the last epoch, {epochs}")
        if step > 0 and (first - 1) % step:
            raise ScheduleRefused.at(
                number, "from_epoch", f"{first} must follow a validation, which is every {step} epochs"
            )
        found += [
            Part(before.first, first - 1, before.settings),
            Part(first, None, {**before.settings, **changes}),
        ]
    return found


def settings_at(settings: Mapping[str, Any], schedule: Schedule, epoch: int) -> dict[str, Any]:
    """The settings that an epoch was trained with."""
    return next(
        part.settings for part in parts(settings, schedule) if part.last is None or epoch <= part.last
    )


def check(found: Sequence[Part], split: Split, resume: TrialState | None = None) -> None:
    """See that the model of each part can go on from the one before.

    Args:
        found: the parts of a training.
        split: the data that all of them are trained on.
        resume: a state that one of them goes on from.

    Raises:
        ScheduleRefused: a setting that may not change.
    """
    if resume is not None:
        now = next(part for part in found if part.last is None or resume.epoch < part.last)
        _check_change(-1, resume.settings, now.settings, split)
    for number, (before, after) in enumerate(pairwise(found)):
        if resume is None or after.first > resume.epoch + 1:  # what lies before the state is not trained
            _check_change(number, before.settings, after.settings, split)


def _check_change(number: int, before: Mapping[str, Any], after: Mapping[str, Any], split: Split) -> None:
    if number < 0:
        before = placed(before, after)
    was, will_be = to_plain(dict(before)), to_plain(dict(after))
    changed = [name for name in {**was, **will_be} if was.get(name) != will_be.get(name)]
    if not changed:
        return
    for name in changed:
        if name in _FIXED:
            raise ScheduleRefused.at(number, name, f"it may not change within a training: {_FIXED[name]}")
    with recbole.clean_globals(), tempfile.TemporaryDirectory(prefix="recsweep-") as scratch:
        _check_shapes(number, before, after, changed, split, Path(scratch))


def _check_shapes(
    number: int,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    changed: Sequence[str],
    split: Split,
    scratch: Path,
) -> None:
    if data_key(TypedConfig(before, _CPU, scratch)) != data_key(TypedConfig(after, _CPU, scratch)):
        raise ScheduleRefused.at(number, changed[0], "the data would be others")
    had, has = (live.shapes(settings, split, scratch) for settings in (before, after))
    if had == has:
        return
    for name in changed:
        alone = {**before, name: after[name]} if name in after else before
        if (differs := _different(had, live.shapes(alone, split, scratch))) is not None:
            raise ScheduleRefused.at(number, name, f"{after[name]} gives {differs} another shape")
    raise ScheduleRefused.at(number, changed[0], f"{_different(had, has)} would have another shape")


def _different(one: Mapping[str, Any], other: Mapping[str, Any]) -> str | None:
    """The first weights that are not alike."""
    return next((name for name in {**one, **other} if one.get(name) != other.get(name)), None)
