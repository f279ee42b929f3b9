"""The seconds or epochs that trials have used of a budget that is counted in these; pure."""

from __future__ import annotations

from collections.abc import Iterable

from recsweep.study import State, Trial
from recsweep.sweeps.sections import EPOCHS


def used(trials: Iterable[Trial], unit: str) -> float:
    """Seconds or epochs that trials have trained for, those that run included.

    What was inherited was used by another study, and an attempt that was put back counts as far as the next
    one goes on from it.
    """
    own = [one for one in trials if not one.inherited and (one.counted or one.state == State.RUNNING)]
    return sum(map(epochs_of if unit == EPOCHS else seconds_of, own))


def epochs_of(trial: Trial) -> float:
    """Epochs of a trial until now, those of a pre-training that it did included."""
    own = trial.result.epochs or max(trial.curve, default=0)
    return float(own + (trial.result.pretraining or 0))


def seconds_of(trial: Trial) -> float:
    """Seconds of a trial until now, as it says itself or its process last did."""
    if trial.result.seconds is not None:
        return float(trial.result.seconds)
    ran = trial.owner.ran if trial.owner is not None and trial.state == State.RUNNING else None
    return float(ran or 0.0)
