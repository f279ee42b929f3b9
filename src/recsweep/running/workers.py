"""Workers as a supervisor holds them, wherever they run: processes here, later actors and jobs elsewhere."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from recsweep.common.owner import Owner
from recsweep.planning.plan import StudyPlan
from recsweep.running.commands import Command
from recsweep.running.events import Event


@dataclass(frozen=True)
class Hired:
    """A worker that was started."""

    number: int
    owner: Owner
    """The owner that its trials bear in the store."""
    log: Path
    """The file of what it says beside its events."""


class Workers(ABC):
    """Any number of workers, each known by a number that is the caller's choice.

    The contract, to which `tests/helpers/workers_contract.py` holds every implementation:

    - Threads. One thread calls, and it is never called back. `start` and `send` do not wait for the
      worker (the first `start` may, for seconds, for what workers are made from); `events` waits as long
      as it is told, `kill` and `stop` a few seconds at most.
    - Order. A worker carries its commands out one after the other, in the order in which they were sent.
      `Stop` alone is heeded while another command is carried out: at the next claim, or at the end of
      the epoch. The events of one worker come in the order in which it told them, each once. A command
      that it does not know ends it, with `Broken`.
    - Ownership. What a worker claims is owned by whoever calls, which is what `Hired.owner` says: that
      process beats for its trials and judges its deaths, so no worker may outlive it.
    - Death. However a worker ends that was not stopped by `stop`, `Died` is its last event, after all that
      it had told; it comes once, and the number is free from then on. To send to a dead worker is no
      error, as its `Died` is on its way.
    - After `stop` nothing comes from a worker any more, not even `Died`, and the number is free. What it
      ran stays as it is in the store; whoever stops a worker in the middle of a trial puts the slot back.
    """

    @abstractmethod
    def start(self, number: int, plan: StudyPlan) -> Hired:
        """Start a worker.

        Args:
            number: none that lives has it.
            plan: the study that it is started for; its outputs say where the log is.
        """

    @abstractmethod
    def send(self, number: int, command: Command) -> None:
        """Give a worker something to do once it has done all else; `Stop` at once."""

    @abstractmethod
    def events(self, seconds: float) -> list[tuple[int, Event]]:
        """The events of workers since the last call; waits so long where there is nothing yet."""

    @abstractmethod
    def kill(self, number: int) -> None:
        """End a worker by force; its `Died` comes as that of any other."""

    @abstractmethod
    def stop(self, numbers: Sequence[int], *, force: bool = False) -> None:
        """Let workers go: in good order if they wait for work, by force where they do not leave.

        Args:
            force: they may be in the middle of something, which is not waited for.
        """

    @abstractmethod
    def close(self) -> None:
        """Stop whoever is left by force, and leave nothing of any worker. Others may be started later."""
