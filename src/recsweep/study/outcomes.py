"""The outcomes of slots: of several trials in one that which says it, and the best of all. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol, TypeVar

from recsweep.study.states import Reason, State


class InSlot(Protocol):
    """A trial, as far as it has to be known for that."""

    @property
    def number(self) -> int: ...

    @property
    def slot(self) -> int: ...

    @property
    def state(self) -> State: ...

    @property
    def reason(self) -> Reason | None: ...

    @property
    def score(self) -> float | None: ...

    @property
    def counted(self) -> bool: ...


InSlotT = TypeVar("InSlotT", bound=InSlot)


class Outcome(NamedTuple):
    """A trial without its details: tens of thousands are counted."""

    id: int
    number: int
    slot: int
    state: State
    reason: Reason | None = None
    score: float | None = None

    @property
    def counted(self) -> bool:
        """True where this trial fills its slot."""
        return fills_its_slot(self.state, self.reason)


def fills_its_slot(state: State, reason: Reason | None) -> bool:
    """True where a trial is the result of its slot.

    Args:
        reason: why it failed, where it did.
    """
    if state == State.FAILED:
        return reason is None or reason.is_result
    return state.scored


def best(results: Iterable[InSlotT], *, maximize: bool) -> InSlotT | None:
    """The trial with the best score; ties go to the lower slot.

    A pruned trial wins only where none is complete: its score is what it came to, not what it can.
    """
    scored = [trial for trial in results if trial.score is not None]
    done = [trial for trial in scored if trial.state == State.COMPLETE] or scored
    if not done:
        return None
    sign = -1 if maximize else 1
    return min(done, key=lambda trial: (sign * (trial.score or 0.0), trial.slot))


def latest(trials: Iterable[InSlotT]) -> dict[int, InSlotT]:
    """The trial that says what a slot came to, by slot."""
    slots: dict[int, InSlotT] = {}
    for trial in sorted(trials, key=lambda t: t.number):
        if trial.reason == Reason.DUPLICATE:
            continue
        current = slots.get(trial.slot)
        # A finished slot stays finished, should a second trial of it ever be made.
        if current is None or not current.state.scored:
            slots[trial.slot] = trial
    return slots
