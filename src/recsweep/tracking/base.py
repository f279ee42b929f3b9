"""The contract of a tracker.

A tracker runs in a process of its own and is given events in order. It may block, fail and be killed. What it
promises is that nothing stands twice: an event may come again, after a kill between its being sent and that
being known, to another object of the class with the same arguments. So runs are found by their ids, which
never change, and what is there is not written again.

What it raises ends its process; the same events are given to a new one, after a while.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recsweep.tracking.events import Begun, Ended, Epoch, Event, Summary, Tested


@dataclass(frozen=True)
class Given:
    """The things that a tracker is made of.

    Attributes:
        sweep: its name.
        folder: of the tracker's own files; made when it is used.
        settings: its section of the sweep file.
        variables: of the environment and `.env`, those of its row that are set.
    """

    sweep: str
    folder: Path
    settings: Mapping[str, Any] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)

    def setting(self, name: str, variable: str = "") -> str | None:
        """A setting, or what the environment has in its place."""
        return self.settings.get(name) or self.variables.get(variable) or None


class Tracker(ABC):
    """One tracker.

    Args:
        given: what it is made of.
    """

    def __init__(self, given: Given) -> None:
        self.given = given

    @abstractmethod
    def begun(self, event: Begun) -> None:
        """A run begins, or goes on with another attempt."""

    @abstractmethod
    def epoch(self, event: Epoch) -> None:
        """An epoch of a run. Its `begun` may have been given to an object before this one."""

    @abstractmethod
    def ended(self, event: Ended) -> None:
        """A run ended; where the trial is not counted, the run waits for another attempt."""

    @abstractmethod
    def summary(self, event: Summary) -> None:
        """A study as far as it is; it takes the place of what was said of it before."""

    @abstractmethod
    def tested(self, event: Tested) -> None:
        """A run won its study, and was tested."""

    def settle(self) -> None:  # noqa: B027
        """Return when what was taken will outlive this process, as far as the tracker's row promises."""

    def close(self) -> None:  # noqa: B027
        """No event comes any more."""

    def take(self, event: Event) -> None:
        """An event, whatever kind it is of."""
        match event:
            case Begun():
                self.begun(event)
            case Epoch():
                self.epoch(event)
            case Ended():
                self.ended(event)
            case Summary():
                self.summary(event)
            case Tested():
                self.tested(event)


class Lines:
    """A text file that grows by whole lines; those that are there already are not written again.

    What a kill or a full disk left of a line is taken away before another one is written.

    Args:
        path: of the file; its folder is made.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = path.open("r+b" if path.exists() else "w+b", buffering=0)
        text = self._file.read()
        self._size = text.rfind(b"\n") + 1
        self._file.truncate(self._size)
        self.lines = text[: self._size].decode("utf-8").splitlines()

    def append(self, text: str) -> None:
        """Add lines, whole or not at all.

        Raises:
            OSError: they cannot be written.
        """
        data = memoryview(text.encode("utf-8"))
        try:
            self._file.seek(self._size)
            while data:
                data = data[self._file.write(data) :]
        except OSError:
            self._file.truncate(self._size)
            raise
        self._size = self._file.tell()

    def settle(self) -> None:
        """Return when it is on the disk."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()
