"""The workers of a supervisor: who there is, and what each of them does now."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from recsweep.common.errors import SweepPaused
from recsweep.common.owner import this_process
from recsweep.planning.plan import StudyPlan
from recsweep.running.commands import Command, Stop
from recsweep.running.events import Broken, Died, Event, Interrupted, Left, PutBack, TrialDone
from recsweep.running.gpus import Seat
from recsweep.running.study_run import StudyRun
from recsweep.running.workers import Hired, Workers
from recsweep.study import Claim

GRACE_SECONDS = 8.0
"""For trials to end an epoch in when SIGTERM has come; SLURM waits for 30 before it kills, docker for 10."""
LEAST_SECONDS = 30.0
"""A trial that has run for less is not waited for."""
_LAST_WORDS = (Interrupted, Left, TrialDone, PutBack, Broken, Died)
"""Events after which a worker trains no more, or something else."""


@dataclass
class Member:
    """One worker."""

    hired: Hired
    claim: Claim | None = None
    claimed_at: float = 0.0
    heard_at: float = 0.0
    """When its trial was claimed, or last ended an epoch."""
    idle: bool = True
    ready: bool = False
    seat: Seat | None = None
    """The last one that it was given; None where no GPU is used."""

    @property
    def number(self) -> int:
        return self.hired.number

    def took(self, claim: Claim) -> None:
        """It has claimed a slot."""
        self.claim = claim
        self.claimed_at = self.heard_at = time.monotonic()


class Crew:
    """Live workers, warm from one study to the next.

    Args:
        workers: where they run.
    """

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self.members: list[Member] = []
        self.gpus: int | None = None
        """GPUs that the workers see; None before the first one said so."""

    @property
    def busy(self) -> bool:
        """True where anyone carries out a command."""
        return any(not member.idle for member in self.members)

    @property
    def seats(self) -> list[Seat]:
        """The seats of the workers that search now."""
        return [member.seat for member in self.members if member.seat is not None and not member.idle]

    def take(self, plan: StudyPlan, count: int) -> list[Member]:
        """`count` live workers; new ones where there are too few."""
        while len(self.members) < count:
            taken = {member.number for member in self.members}
            number = next(n for n in range(1, len(taken) + 2) if n not in taken)
            self.members.append(Member(self._workers.start(number, plan)))
        return self.members[:count]

    def another(self, plan: StudyPlan) -> Member:
        """A worker more than there are."""
        return self.take(plan, len(self.members) + 1)[-1]

    def for_device(self, plan: StudyPlan, device: str) -> Member:
        """An idle worker for a GPU: one that was there last, else a fresh one, else any."""
        idle = [member for member in self.members if member.idle]
        for wanted in (device, None):
            for member in idle:
                if (member.seat.device if member.seat else None) == wanted:
                    return member
        if idle and len(self.members) >= plan.sweep.workers.count:
            return idle[0]  # what CUDA keeps for it on its former GPU stays there until it ends
        return self.another(plan)

    def send(self, member: Member, command: Command, seat: Seat | None = None) -> None:
        """Give a worker something to do."""
        member.idle, member.seat = False, seat
        member.claimed_at = member.heard_at = time.monotonic()
        self._workers.send(member.number, command)

    def events(self, seconds: float, take: Callable[[Member, Event], None]) -> None:
        """Wait for something to happen, and hand over what workers told, one event after the other."""
        for number, event in self._workers.events(seconds):
            for member in self.members:
                if member.number == number:
                    take(member, event)
                    break

    def kill(self, member: Member) -> None:
        """End a worker by force; that it died is told as of any other."""
        self._workers.kill(member.number)

    def forget(self, member: Member) -> None:
        """A worker is dead."""
        self.members.remove(member)

    def let_go(self, member: Member) -> None:
        """Let a worker that waits for work go."""
        self.members.remove(member)
        self._workers.stop([member.number])

    def close(self) -> None:
        """End all workers: those that wait for work at once, the others by force."""
        idle = [member.number for member in self.members if member.idle]
        busy = [member.number for member in self.members if not member.idle]
        self.members.clear()
        self._workers.stop(busy, force=True)
        self._workers.stop(idle)
        self._workers.close()

    def end_epochs(self, seconds: float = GRACE_SECONDS) -> None:
        """Let trials that have run for long end their epoch, so that their slots go on from there.

        Others have little to lose: nobody waits for them.

        Args:
            seconds: they have at most.
        """
        now = time.monotonic()
        long = {
            member.number
            for member in self.members
            if member.claim is not None and now - member.claimed_at >= LEAST_SECONDS
        }
        for number in long:
            self._workers.send(number, Stop(now=True))
        until = now + seconds
        while long and (left := until - time.monotonic()) > 0:
            for number, event in self._workers.events(left):
                if isinstance(event, _LAST_WORDS):
                    long.discard(number)

    def abandon(self, run: StudyRun, message: str) -> None:
        """Stop all at once; the trials that ran go back for free."""
        self.close()
        run.study.hurry()  # whoever stops a sweep is not to wait for a store that is away
        with suppress(SweepPaused):  # the store is away; the next run finds the orphans
            run.study.put_back_owned(this_process(), message)
