"""How much of a study a tracker has: pure. It moves on when a send was acknowledged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from recsweep.tracking.events import Begun, Ended, Epoch, Event, Summary, Tested


@dataclass(frozen=True)
class Cursor:
    """The part of a study that was sent.

    Attributes:
        done: the last attempt at each slot whose end was sent.
        open: of slots that were begun since then, the attempt and its last epoch (0: none).
        summary: the state of the study that was last summed up; see `summing.mark_of`.
        tested: the slot of the winner whose test metrics were sent.
    """

    done: Mapping[int, int] = field(default_factory=dict)
    open: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    summary: str = ""
    tested: int | None = None

    def after(self, events: Iterable[Event]) -> Cursor:
        """The cursor once these were sent, too."""
        done, open_ = dict(self.done), dict(self.open)
        moved = self
        for event in events:
            match event:
                case Begun(run, attempt):
                    open_[run.slot] = (attempt, 0)
                case Epoch(run, attempt, epoch):
                    open_[run.slot] = (attempt, epoch)
                case Ended(run, attempt):
                    open_.pop(run.slot, None)
                    done[run.slot] = attempt
                case Summary(_, mark):
                    moved = replace(moved, summary=mark)
                case Tested(run):
                    moved = replace(moved, tested=run.slot)
        return replace(moved, done=done, open=open_)

    def whole(self) -> Cursor:
        """Without what was sent of trials that have not ended: a tracker that keeps only whole ones."""
        return replace(self, open={})

    def to_plain(self) -> dict[str, Any]:
        """For the store: slots with one attempt as ranges, the others by themselves."""
        return {
            "done": _ranges(slot for slot, attempt in self.done.items() if not attempt),
            "again": {str(slot): attempt for slot, attempt in self.done.items() if attempt},
            "open": {str(slot): list(found) for slot, found in self.open.items()},
            "summary": self.summary,
            "tested": self.tested,
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Cursor:
        """From what `to_plain` gives.

        Raises:
            ValueError, TypeError, KeyError: it is something else.
        """
        done = {slot: 0 for first, last in plain["done"] for slot in range(first, last + 1)}
        done |= {int(slot): int(attempt) for slot, attempt in plain["again"].items()}
        open_ = {int(slot): (int(attempt), int(epoch)) for slot, (attempt, epoch) in plain["open"].items()}
        tested = plain["tested"]
        return cls(done, open_, str(plain["summary"]), None if tested is None else int(tested))


def _ranges(numbers: Iterable[int]) -> list[list[int]]:
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return found
