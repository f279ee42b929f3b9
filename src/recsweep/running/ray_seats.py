"""The seats of a study that Ray Tune drives: each is room for one trial at once, as a supervisor sees it."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from enum import Enum
from typing import Any

from recsweep.common.owner import Owner


class Doing(Enum):
    """The state of a seat."""

    SEARCHING = "searching"
    """It takes the next slot, or whatever trial goes on."""
    TRAINING = "training"
    RESTING = "resting"
    """No slot was left for it."""


@dataclass
class RaySeat:
    """One seat.

    Attributes:
        slot: of the trial that has it.
        trial: Ray Tune's, from the start of its actor on.
        killed: by its supervisor.
    """

    number: int
    owner: Owner
    doing: Doing = Doing.SEARCHING
    slot: int | None = None
    trial: Any = None
    killed: bool = False

    def take(self, slot: int) -> None:
        """A slot's trial is about to be trained here."""
        self.doing, self.slot = Doing.TRAINING, slot

    def free(self) -> None:
        """The trial is over, or goes on elsewhere later."""
        self.doing, self.slot, self.trial = Doing.SEARCHING, None, None


class RaySeats:
    """All of them; any thread may ask.

    Args:
        room: how many trials Ray has room for.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._seats: dict[int, RaySeat] = {}
        self._lock = threading.RLock()

    def add(self, number: int, owner: Owner) -> None:
        """One more."""
        with self._lock:
            self._seats[number] = RaySeat(number, owner)

    def remove(self, number: int) -> RaySeat | None:
        """That seat, which is none any more."""
        with self._lock:
            return self._seats.pop(number, None)

    def get(self, number: int) -> RaySeat | None:
        return self._seats.get(number)

    def all(self) -> list[RaySeat]:
        with self._lock:
            return list(self._seats.values())

    def searching(self) -> list[RaySeat]:
        """Those that a trial may be given, in the order of their numbers."""
        return sorted(
            (seat for seat in self.all() if seat.doing == Doing.SEARCHING), key=lambda seat: seat.number
        )

    def next(self) -> RaySeat | None:
        """A seat for a trial; None where none is free, or Ray has no room."""
        searching = self.searching()
        return searching[0] if searching and self.busy < self._room else None

    @property
    def busy(self) -> int:
        """How many have a trial."""
        return sum(seat.doing == Doing.TRAINING for seat in self.all())

    @property
    def first(self) -> int:
        """The number of any seat, for what is said of no one; 0 where there is none."""
        return next((seat.number for seat in self.all()), 0)
