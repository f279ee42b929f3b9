"""The parts of a picture, whoever draws it: plotly for a page, matplotlib for a PNG."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

# Told apart by the colour-blind too, on white and on black.
BLUE, ORANGE, GREY, PINK = "#2f7fc1", "#d55e00", "#7f858f", "#c2509f"
_SHADES = ((0.0, (172, 192, 208)), (0.5, (47, 127, 193)), (0.8, (160, 70, 140)), (1.0, (213, 94, 0)))
Number = int | float
Line = Literal["", "solid", "dash", "dot", "steps"]


@dataclass(frozen=True)
class Axis:
    """One axis of a panel."""

    label: str = ""
    log: bool = False
    ticks: tuple[tuple[Number, str], ...] = ()
    """Where they stand and what they say; empty: as the drawing library chooses."""
    step: Number | None = None
    """Between two ticks; None: as the drawing library chooses."""
    limits: tuple[Number, Number] | None = None
    drawn: bool = True


def counting(label: str, numbers: Iterable[Number]) -> Axis:
    """An axis of whole numbers: no halves between them, and no more than can be read."""
    values = list(numbers)
    span = max(values) - min(values) if values else 0
    steps = (digit * 10**power for power in itertools.count() for digit in (1, 2, 5))
    return Axis(label, step=next(step for step in steps if span <= 12 * step))


@dataclass(frozen=True)
class Points:
    """Marks, a line, or both. None breaks a line."""

    x: tuple[Number | None, ...]
    y: tuple[Number | None, ...]
    hover: tuple[str, ...] = ()
    """The words of the page on each point; of a line without marks, of the line."""
    name: str = ""
    """In the legend; empty: not there."""
    colour: str = BLUE
    line: Line = ""
    mark: Literal["", "circle", "cross", "star"] = ""
    width: float = 1.5
    size: float = 7
    opacity: float = 1.0
    shades: tuple[Number, ...] = ()
    """Values of the chart's scale that colour the marks."""
    group: str = ""
    """Of what a reader shows or hides at once."""


@dataclass(frozen=True)
class Bars:
    """Horizontal bars."""

    rows: tuple[Number, ...]
    starts: tuple[Number, ...]
    lengths: tuple[Number, ...]
    hover: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    """Beside each bar."""
    name: str = ""
    colour: str = BLUE
    opacity: float = 1.0
    group: str = ""


@dataclass(frozen=True)
class Note:
    """A word at a point."""

    x: Number
    y: Number
    text: str


@dataclass(frozen=True)
class Panel:
    """One pair of axes."""

    x: Axis
    y: Axis
    marks: tuple[Points | Bars, ...]
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True)
class Scale:
    """The meaning of a chart's colours."""

    label: str
    start: Number
    end: Number
    """Of the strongest colour; below `start` where less is better."""

    def at(self, value: Number) -> float:
        """Where a value stands, from 0 to 1."""
        span = self.end - self.start
        return min(max((value - self.start) / span, 0.0), 1.0) if span else 1.0


@dataclass(frozen=True)
class Table:
    """The numbers behind a picture."""

    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    remark: str = ""
    """A note on what was left out, and where it is."""


@dataclass(frozen=True)
class Chart:
    """One picture of a study or of several, or the reason why there is none yet."""

    kind: str
    panels: tuple[Panel, ...] = ()
    columns: int = 1
    scale: Scale | None = None
    remark: str = ""
    """The part of the caption that is of this study alone."""
    missing: str = ""
    """Why there is nothing to draw; empty where there is."""
    part: bool = False
    """True where it stands among others on a page that has one legend for all: it is lower, and has none."""
    table: Table = Table()
    """The same in numbers."""

    @property
    def rows(self) -> int:
        return -(-len(self.panels) // self.columns)


def shade(position: float) -> str:
    """The colour at a place of the scale, from 0 (pale) to 1 (strong)."""
    for (low, start), (high, end) in itertools.pairwise(_SHADES):
        if position <= high:
            part = (position - low) / (high - low)
            mixed = (round(a + (b - a) * part) for a, b in zip(start, end, strict=True))
            return "#" + "".join(f"{value:02x}" for value in mixed)
    return shade(1.0)


def colours() -> list[tuple[float, str]]:
    """The whole scale, as plotly and matplotlib take it."""
    return [(position, shade(position)) for position, _ in _SHADES]
