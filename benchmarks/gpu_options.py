"""What the steps of gpu.py are given, and what they give."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Row:
    """A line of a table."""

    cells: tuple[str, ...]
    bad: bool = False
    """True where the run is to end with exit code 1."""


@dataclass(frozen=True)
class Options:
    """The options of a run."""

    device: str
    small: bool
    minutes: float
    models: tuple[str, ...] = ()
    """Of equality, speed and precision; empty: all."""
    inside: bool = False
    """This is the process of one step."""
    begun: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> float:
        """Seconds."""
        return self.begun + 60 * self.minutes - time.monotonic()

    def arguments(self, seconds: float) -> list[str]:
        """The command line of a step's process, which has so many seconds."""
        found = ["--device", self.device, "--minutes", str(seconds / 60)]
        found += ["--small"] if self.small else []
        return [*found, "--models", *self.models] if self.models else found

    def chosen(self, models: list[str]) -> list[str]:
        """Those of these that were asked for."""
        return [model for model in models if not self.models or model in self.models]


def failure(error: object) -> str:
    """An error as a cell: its first line, short."""
    said = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
    return (said.splitlines() or [""])[0][:120].replace("|", "/")
