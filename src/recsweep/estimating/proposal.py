"""Settings with which a sweep fits into a given time. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from recsweep.common.files import counted
from recsweep.estimating.estimate import StudyEstimate
from recsweep.sweeps.sections import TRIALS

FEW = 5
"""A search of fewer trials has hardly looked."""
_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)\s*h)?\s*(?:(\d+(?:\.\d+)?)\s*m(?:in)?)?", re.IGNORECASE)
_ROOM = 0.95
"""The share of the time that is planned with."""


@dataclass(frozen=True)
class Proposal:
    """A way to fit a sweep into a time.

    Attributes:
        settings: names of options, and their values.
        why: what it comes to, in words.
        seconds: that it is expected to take.
    """

    settings: dict[str, str] = field(default_factory=dict)
    why: str = ""
    seconds: float = 0.0


def seconds_of(text: str) -> float | None:
    """`8h`, `90m`, `1h30m` in seconds; None where it is no such time."""
    found = _DURATION.fullmatch(text.strip())
    if found is None or not any(found.groups()):
        return None
    hours, minutes = (float(one) if one else 0.0 for one in found.groups())
    return hours * 3600 + minutes * 60 or None


def proposals(estimates: Sequence[StudyEstimate], seconds: float) -> list[Proposal]:
    """Those that fit, the best first; none where nothing does, or nothing is known."""
    measured = [one for one in estimates if one.trials and one.trial.expected > 0]
    if not measured:
        return []
    fixed = sum(one.fixed for one in measured)
    room = (seconds - fixed) * _ROOM
    if room <= 0:
        return []
    now = sum(one.total.expected for one in measured)
    if now <= seconds:
        return [Proposal({}, "all of it fits", now)]
    search = measured[0].plan.search
    found = [_trials(measured, room, fixed)] if search.budget == TRIALS else []
    found += [_fewer_epochs(measured, room, fixed)] if not found or found[0] is None else []
    found.append(_equal_seconds(measured, room, fixed))
    return [one for one in found if one is not None]


def _per_evaluation(estimate: StudyEstimate, trial: float) -> float:
    """Seconds that one more of `max_evals` costs in a study."""
    plan = estimate.plan
    return trial * plan.budget / plan.search.max_evals / plan.sweep.workers.count


def _trials(measured: Sequence[StudyEstimate], room: float, fixed: float) -> Proposal | None:
    """Fewer trials of each model, as many for all."""
    each = sum(_per_evaluation(one, one.trial.expected) for one in measured)
    longest = max(len(one.plan.chain) for one in measured)
    number = math.floor(room / each)
    if number < max(FEW, longest):
        return None
    high = fixed + number * sum(_per_evaluation(one, one.trial.high) for one in measured)
    why = f"{number} trials of each model"
    return Proposal({"max_evals": str(number)}, _with_range(why, high), fixed + number * each)


def _fewer_epochs(measured: Sequence[StudyEstimate], room: float, fixed: float) -> Proposal | None:
    """A few trials of each model, none with more epochs than there is time for."""
    each = FEW * sum(_per_evaluation(one, one.trial.expected) for one in measured)
    usual = max(one.epochs.of_trial.expected for one in measured)
    epochs = math.floor(usual * min(1.0, room / each))
    if epochs < 2:
        return None
    share = min(1.0, epochs / usual)
    why = f"{FEW} trials of each model, of {epochs} epochs at most"
    return Proposal({"max_evals": str(FEW), "epochs": str(epochs)}, why, fixed + each * share)


def _equal_seconds(measured: Sequence[StudyEstimate], room: float, fixed: float) -> Proposal | None:
    """The same time of training for each model, whatever comes of it: it fits for certain."""
    models = {(one.plan.dataset_name, one.plan.model_name) for one in measured}
    share = math.floor(room / len(models) * measured[0].plan.sweep.workers.count)
    least = math.floor(min(share / one.trial.expected for one in measured))
    if share < 1 or least < 1:
        return None
    why = f"equal time for each model, which fits for certain; {counted(least, 'trial')} of the slowest one"
    return Proposal({"budget": "seconds", "share": str(share)}, why, fixed + room)


def _with_range(why: str, high: float) -> str:
    hours = high / 3600
    return f"{why}, at most {hours:.1f} h" if hours >= 1 else f"{why}, at most {high / 60:.0f} min"
