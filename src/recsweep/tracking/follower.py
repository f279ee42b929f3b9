"""The process that sends a sweep's studies to its trackers, while they are worked on and after it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from recsweep.common.errors import StudyForeign, UserError
from recsweep.common.files import counted
from recsweep.common.owner import this_process
from recsweep.study import Store, StudyRecord
from recsweep.tracking.destinations import Destination
from recsweep.tracking.events import Event
from recsweep.tracking.following import Followed
from recsweep.tracking.link import HANGS_AFTER_SECONDS, Link
from recsweep.tracking.wanted import Wanted

LOOK_SECONDS = 2.0
"""Between two looks at the store."""
_TICK_SECONDS = 0.1


class Patience(NamedTuple):
    """How long a tracker is waited for at the end."""

    still: float = 1.5
    """Seconds in which it neither acknowledges anything nor computes."""
    most: float = 20.0
    """Seconds in all."""


A_PERSON_WAITS = Patience(HANGS_AFTER_SECONDS + 1, float("inf"))
"""Of a command that does nothing else."""
HOW_TO_SEND = "`recsweep track sync` sends them"


@dataclass
class _OnItsWay:
    """A batch that a tracker was given."""

    followed: Followed
    events: list[Event]


class Follower:
    """Sends what is new of some studies to some trackers.

    Args:
        store: they are in.
        wanted: which studies, and where they go.
        destinations: the trackers.
        tell: takes a line for people.
        patience: at the end.
        clock: seconds that nobody sets.
    """

    def __init__(
        self,
        store: Store,
        wanted: Wanted,
        destinations: Sequence[Destination],
        tell: Callable[[str], None],
        patience: Patience = Patience(),  # noqa: B008
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._wanted, self._tell, self._clock = store, wanted, tell, clock
        self._patience = patience
        self._destinations = {one.row.name: one for one in destinations}
        self._links = {name: Link(one.row, one.given, clock) for name, one in self._destinations.items()}
        self._away: dict[str, _OnItsWay] = {}
        self._followed: dict[str, Followed] = {}
        self._me = this_process()
        self._looked = float("-inf")
        self._said: set[str] = set()
        self.sent = dict.fromkeys(self._links, 0)
        """Events that each tracker has acknowledged."""

    def run(self, over: Callable[[], bool]) -> int:
        """Send until it is over, then what there is within a short time.

        Args:
            over: True once nobody works on the studies any more.

        Returns:
            How many events could not be sent.
        """
        try:
            while not over():
                if self._clock() - self._looked >= LOOK_SECONDS:
                    self.look()
                self.step(sum_up=False)
                time.sleep(_TICK_SECONDS)
            self.look()
            self._to_the_end()
            return self._left_over()
        finally:
            for link in self._links.values():
                link.close(self._patience.still)
            for followed in self._followed.values():
                for kept in followed.kept.values():
                    kept.release()

    def look(self) -> None:
        """Read what is new in the store."""
        for record in self._wanted_records():
            if record.study not in self._followed:
                destinations = {name: one.key for name, one in self._destinations.items()}
                keeps = {name: one.row.keeps_epochs for name, one in self._destinations.items()}
                followed = Followed(self._store, record, self._wanted, destinations, self._me, keeps)
                self._followed[record.study] = followed
        for followed in self._followed.values():
            followed.look()
        self._looked = self._clock()

    def step(self, *, sum_up: bool) -> bool:
        """Hear each tracker, and give it what is next; True where something is on its way.

        Args:
            sum_up: also sum up studies that have not ended.
        """
        for name, link in self._links.items():
            self._hear(name, link)
            if link.free:
                self._give(name, link, sum_up=sum_up)
        return bool(self._away)

    def _hear(self, name: str, link: Link) -> None:
        if link.look():
            away = self._away.pop(name)
            away.followed.sent(name, away.events)
            self.sent[name] += len(away.events)
        elif name in self._away and not link.waits:
            del self._away[name]
            for followed in self._followed.values():
                followed.start_again(name)
            self._say_once(name, f"{name}: {link.trouble}; what is not sent is kept, and tried again")

    def _give(self, name: str, link: Link, *, sum_up: bool) -> None:
        for followed in self._followed.values():
            kept = followed.kept[name]
            if kept.is_new and followed.record.study in self._wanted.not_new:
                continue
            if not followed.new(name, sum_up=sum_up):
                continue
            if not followed.take(name):
                continue
            if not (events := followed.new(name, sum_up=sum_up)):
                continue
            link.give(events)
            self._away[name] = _OnItsWay(followed, events)
            return

    def _to_the_end(self) -> None:
        """Send what there is, as long as it moves."""
        began = self._clock()
        moved, sent = dict.fromkeys(self._links, began), dict(self.sent)
        while self.step(sum_up=True) and self._clock() - began < self._patience.most:
            for name in self._away:
                if self.sent[name] > sent[name] or self._links[name].computes():
                    moved[name] = self._clock()
            sent = dict(self.sent)
            if all(self._clock() - moved[name] > self._patience.still for name in self._away):
                return
            time.sleep(_TICK_SECONDS)

    def _left_over(self) -> int:
        """Say what could not be sent; how many events that are. What another process sends is its matter."""
        total = 0
        for name, link in self._links.items():
            left = sum(one.left(name) for one in self._followed.values() if one.kept[name].held)
            if left:
                why = f" ({link.trouble})" if link.trouble else ""
                self._tell(f"{counted(left, 'event')} not sent to {name}{why}; {HOW_TO_SEND}")
            total += left
        return total

    def holders(self) -> Iterator[tuple[str, str, str]]:
        """Study, tracker and process where another one sends."""
        for followed in self._followed.values():
            for name, kept in followed.kept.items():
                if kept.holder and not kept.held:
                    yield followed.record.study, name, kept.holder

    def _wanted_records(self) -> Iterator[StudyRecord]:
        for name in self._wanted.studies:
            if name not in self._followed:
                with suppress(StudyForeign, UserError):
                    record = self._store.find_record(name)
                    if record is not None and record.begun is not None:
                        yield record

    def _say_once(self, about: str, line: str) -> None:
        if about not in self._said:
            self._said.add(about)
            self._tell(line)
