"""Trackers as runs and commands have them: the process beside a run, and sending what is left."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from recsweep.api.slots import store_of
from recsweep.common.paths import Outputs, is_made
from recsweep.common.place import sent_to
from recsweep.planning.plan import StudyPlan
from recsweep.sweeps.config import SweepConfig
from recsweep.tracking.wanted import Wanted

if TYPE_CHECKING:
    from recsweep.running.progress import Display
    from recsweep.study import Store, StudyRecord
    from recsweep.tracking.destinations import Destination

Say = Callable[[str], None]


def destinations(config: SweepConfig, tell: Say) -> list[Destination]:
    """The trackers that a sweep asks for and that can be used here.

    Args:
        tell: takes a line on each that cannot.

    Raises:
        UserError: a key is missing that its settings ask for.
    """
    on = config.tracking.on()
    if not on:
        return []
    from recsweep.tracking.destinations import destinations_of

    return destinations_of(on, Outputs(config.outputs, config.sweep), tell)


@contextmanager
def tracked(
    plans: Sequence[StudyPlan], to: Sequence[Destination], display: Display
) -> Iterator[Callable[[], None]]:
    """The studies sent to trackers by a process beside this one, for as long as they are worked on.

    Gives what says the lines that this process has for people until now.
    """
    if not to or not plans:
        yield lambda: None
        return
    from recsweep.tracking.beside import Beside

    def say(lines: Sequence[str]) -> None:
        for line in lines:
            display.line(line)

    config, names = plans[0].sweep, tuple(plan.name for plan in plans)
    wanted = Wanted(config.sweep, names, config.outputs, _depot(config), _ended(plans))
    beside = Beside(plans[0].storage_url, wanted, to)
    try:
        yield lambda: say(beside.told())
    finally:
        say(beside.end())


def _depot(config: SweepConfig) -> str:
    return sent_to(config.checkpoints.path, Outputs(config.outputs, config.sweep).all_checkpoints)


def _ended(plans: Sequence[StudyPlan]) -> frozenset[str]:
    """The names of those that have ended already: what was never sent of them is for `backfill`."""
    if not is_made(plans[0].storage_url):
        return frozenset()
    with store_of(plans[0]) as store:
        records = [store.find_record(plan.name) for plan in plans]
    return frozenset(record.study for record in records if record is not None and record.ended is not None)


@dataclass(frozen=True)
class Tracked:
    """The studies of a sweep that a store has, and where they are sent.

    Attributes:
        sweep: as its file and the options have it.
        store: opened.
        records: of the studies.
        to: the trackers.
    """

    sweep: SweepConfig
    store: Store
    records: Sequence[StudyRecord]
    to: Sequence[Destination]

    def send(self, tell: Say, *, all_of_them: bool) -> int:
        """Send what was not sent, and wait for it.

        Args:
            all_of_them: also studies of which nothing was sent before.

        Returns:
            How many events could not be sent.
        """
        from recsweep.tracking.follower import A_PERSON_WAITS, Follower

        follower = Follower(self.store, self._wanted(all_of_them), self.to, tell, A_PERSON_WAITS)
        left = follower.run(lambda: True)
        for study, name, holder in follower.holders():
            tell(f"{name}: {holder} sends {study} at this moment")
        for name, number in follower.sent.items():
            tell(f"{name}: {number} sent")
        return left

    def follow(self, tell: Say, over: Callable[[], bool]) -> int:
        """Send what is new until it is over; how many events could not be sent."""
        from recsweep.tracking.follower import Follower

        return Follower(self.store, self._wanted(True), self.to, tell).run(over)

    def rows(self) -> list[dict[str, str]]:
        """How much of each study each tracker has."""
        from recsweep.common.owner import this_process
        from recsweep.tracking.following import Followed

        found = []
        keeps = {one.row.name: one.row.keeps_epochs for one in self.to}
        where = {one.row.name: one.key for one in self.to}
        for record in self.records:
            study = Followed(self.store, record, self._wanted(True), where, this_process(), keeps)
            study.look()
            for name, kept in study.kept.items():
                state = "never sent" if kept.is_new else "sent"
                cells = {"trials": str(len(kept.cursor.done)), "left": str(study.left(name)), "state": state}
                found.append({"study": record.study, "tracker": name, **cells})
        return found

    def _wanted(self, all_of_them: bool) -> Wanted:
        names = tuple(record.study for record in self.records)
        not_new = frozenset() if all_of_them else frozenset(names)
        return Wanted(self.sweep.sweep, names, self.sweep.outputs, _depot(self.sweep), not_new)
