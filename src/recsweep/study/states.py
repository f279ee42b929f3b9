"""The states of a trial, and why it came to no score or was stopped: the words that the store holds.

Each member is its word, so that files and messages say it as it is.
"""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Where a trial is in its life."""

    WAITING = "waiting"
    RUNNING = "running"
    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "failed"

    @property
    def closed(self) -> bool:
        """The trial is over, and so immutable."""
        return self not in (State.WAITING, State.RUNNING)

    @property
    def scored(self) -> bool:
        """The trial came to a score: it fills its slot whatever else is tried there."""
        return self in (State.COMPLETE, State.PRUNED)


class Reason(StrEnum):
    """Why a trial failed, or was stopped early."""

    INTERRUPTED = "interrupted"
    """Its process or its machine ended it."""
    DUPLICATE = "duplicate"
    """Another trial fills its slot."""
    DIVERGED = "diverged"
    OUT_OF_MEMORY = "out_of_memory"
    ERROR = "error"
    TIMEOUT = "timeout"
    CRASH = "crash"
    """Its process died, and died again when it was run again."""
    PRUNED = "pruned"
    """No failure, but kept where a failure's reason is."""

    @property
    def is_result(self) -> bool:
        """It says something of the trial, which then fills its slot; else the slot goes back."""
        return self not in (Reason.INTERRUPTED, Reason.DUPLICATE)
