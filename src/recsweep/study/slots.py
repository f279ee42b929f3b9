"""The slots of a study: which are to wait, and which of several trials fills one; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from recsweep.study.states import State
from recsweep.study.trial import Trial

POINTS = "points"
"""Attribute of a study of evidence: what each of its slots is. It only grows: a slot stays what it was."""


@dataclass(frozen=True)
class Slot:
    """A trial that is to wait for a slot."""

    slot: int
    attempt: int = 0
    crashes: int = 0
    alone: bool = False

    @property
    def attributes(self) -> dict[str, Any]:
        """Values that are written with the trial, but for those that are as they mostly are."""
        attributes: dict[str, Any] = {"slot": self.slot}
        if self.attempt or self.crashes or self.alone:
            attributes |= {"attempt": self.attempt, "crashes": self.crashes}
        if self.alone:
            attributes["alone"] = True
        return attributes


def next_slot(trial: Trial) -> Slot:
    """The slot of a trial, to wait once more."""
    return Slot(trial.slot, trial.attempt + 1, trial.crashes, trial.alone)


def missing_slots(slots: Mapping[int, Trial], budget: int) -> dict[int, Slot]:
    """The slots of the budget that are neither filled nor running nor waiting, by number.

    Args:
        slots: the latest trial of each.
    """
    missing: dict[int, Slot] = {}
    for number in range(budget):
        trial = slots.get(number)
        if trial is None:
            missing[number] = Slot(number)
        elif trial.state == State.FAILED and not trial.counted:
            # Its process died after closing the trial and before putting the slot back.
            missing[number] = next_slot(trial)
    return missing


def is_duplicate(trial: Trial, trials: Iterable[Trial]) -> bool:
    """True where another trial fills the slot of one that was just claimed.

    Two processes that put one slot back at once make two trials; the first one counts.
    """
    others = [other for other in trials if other.slot == trial.slot and other.id != trial.id]
    return any(
        other.state.scored
        # A retry has a higher attempt than the failure before it; a second trial has the same.
        or (other.number < trial.number and not other.state.closed)
        or (other.number < trial.number and other.counted and other.attempt == trial.attempt)
        for other in others
    )
