"""The place of a population's members: the store, and the seats that they leave and take again."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Any

from recsweep.common.owner import Owner, this_process
from recsweep.running.events import Claimed, Event, Note
from recsweep.running.population import ATTRIBUTE, Population, keep_only
from recsweep.running.ray_seats import RaySeats
from recsweep.running.study_run import StudyRun
from recsweep.study import HEARTBEAT_SECONDS, Claim


class Floor:
    """Members are trials of Ray's; the slot of each stays taken from its claim to its end.

    Args:
        run: the study, opened by the thread that asks.
        seats: where trials train.
        tell: takes what a seat's worker would tell.
    """

    def __init__(self, run: StudyRun, seats: RaySeats, tell: Callable[[int, Event], None]) -> None:
        self._run, self._seats, self._tell = run, seats, tell
        found = Population.from_dict(run.study.attributes.get(ATTRIBUTE))
        filled = {trial.slot for trial in run.results()}
        self.found = found if found.members.keys() - filled else Population()
        """The members when they were compared last, in a run before; where all of them have ended, none."""
        self._parked: dict[int, Claim] = {}
        """Members without a seat, by slot."""
        self._beats, self._beaten = 0, time.monotonic()

    def park(self, trial: Any) -> None:
        """A member waits for the others: its seat is free, and this process itself holds its slot."""
        claim = Claim(**trial.config["claim"])
        if claim.slot in self._parked:
            return
        self._parked[claim.slot] = claim
        if (seat := self._seats.get(trial.config["seat"])) is not None:
            seat.free()
        self._hold(claim, this_process())

    def seat(self, trial: Any) -> int | None:
        """The number of a seat for a member that goes on; None where none is free."""
        seat = self._seats.next()
        if seat is None:
            return None
        claim = self._parked.pop(trial.config["slot"])
        seat.take(claim.slot)
        self._hold(claim, seat.owner)
        self._tell(seat.number, Claimed(claim))
        return seat.number

    def beat(self) -> None:
        """Signs of life for those that wait: no worker has them."""
        if time.monotonic() - self._beaten >= HEARTBEAT_SECONDS:
            self._beaten = time.monotonic()
            for claim in self._parked.values():
                self._hold(claim, this_process())

    def _hold(self, claim: Claim, owner: Owner) -> None:
        self._beats += 1
        self._run.study.beat(claim.trial_id, owner, self._beats)

    def is_to_stop(self) -> bool:
        return self._run.stop_asked() is not None

    def put_back(self, trial: Any) -> None:
        """A member that waits goes on in another run."""
        claim = self._parked.pop(trial.config["slot"])
        self._run.study.put_back(claim, "the study was stopped")

    def is_whole(self, slots: Collection[int]) -> bool:
        """True where no other trial is to be compared with those of these slots."""
        filled = {trial.slot for trial in self._run.results()}
        open_slots = {*range(self._run.plan.budget)} - filled - {*slots}
        return not open_slots or self._run.closed() is not None

    def keep(self, population: Population) -> None:
        """The members go on so from now on, also after a kill."""
        self._run.study.set_attribute(ATTRIBUTE, population.to_dict())
        keep_only(self._run.plan, population)

    def clear(self) -> None:
        """Leave no states of a study whose slots are filled."""
        if not self._run.open_slots() and not self._run.running():
            keep_only(self._run.plan, Population())

    def say(self, text: str) -> None:
        self._tell(self._seats.first, Note(f"{self._run.label} {text}"))
