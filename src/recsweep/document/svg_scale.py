"""From the values of an axis to places of a picture, and the ticks beside it. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from recsweep.report.chart import Axis, Number

_NARROW, _WIDE = frozenset("fijlrt .,:;'|()[]-1"), frozenset("mwMW@%—…")
_MARGIN = 0.05
"""A share of the span that is left free at each end, where an axis says no limits."""


@dataclass(frozen=True)
class Span:
    """The values of an axis and where they stand.

    Attributes:
        low, high: the values at its ends.
        start, end: their places.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: Number) -> float:
        """The place of a value."""
        low, high, wanted = self.low, self.high, float(value)
        if self.log:
            low, high, wanted = math.log(low), math.log(high), math.log(max(wanted, self.low / 10))
        return self.start + (wanted - low) / (high - low) * (self.end - self.start)


def span(axis: Axis, values: Iterable[Number], start: float, end: float) -> Span:
    """The span of an axis: its limits, or its values with a little room."""
    if axis.limits is not None:
        low, high = map(float, axis.limits)
    else:
        found = [float(value) for value in values]
        low, high = (min(found), max(found)) if found else (0.0, 1.0)
        log = axis.log and low > 0
        room = _MARGIN * ((high - low) or abs(high) or 1.0)
        low, high = (low / 1.1, high * 1.1) if log else (low - room, high + room)
    if low == high:
        low, high = low - 0.5, high + 0.5
    return Span(low, high, start, end, axis.log and low > 0)


def ticks(axis: Axis, own: Span, most: int) -> list[tuple[float, str]]:
    """Where the ticks of an axis stand, as values, and what they say.

    Args:
        most: more than these do not fit; of words every second, third, … is left.
    """
    if axis.ticks:
        shown = [(float(value), word) for value, word in axis.ticks]
        return shown[:: -(-len(shown) // most)] if most else []
    if own.log:
        return _decades(own, most)
    step = float(axis.step) if axis.step else _step((own.high - own.low) / max(most, 1))
    while (own.high - own.low) / step > most + 1:
        step *= 2
    first = math.ceil(own.low / step - 1e-9)
    count = math.floor(own.high / step + 1e-9) - first + 1
    return [(n * step, _word(n * step, step)) for n in range(first, first + max(count, 0))]


def _step(least: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten that is not below."""
    power = 10.0 ** math.floor(math.log10(least)) if least > 0 else 1.0
    return next(digit * power for digit in (1, 2, 5, 10) if digit * power >= least * (1 - 1e-9))


def _word(value: float, step: float) -> str:
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    text = f"{value:.{digits}f}" if digits <= 6 else f"{value:.3g}"
    return text if float(text) else text.lstrip("-")


def _decades(own: Span, most: int) -> list[tuple[float, str]]:
    powers = range(math.ceil(math.log10(own.low) - 1e-9), math.floor(math.log10(own.high) + 1e-9) + 1)
    values = [10.0**power for power in powers]
    if len(values) < 2:
        values = [d * 10.0**p for p in range(powers.start - 1, powers.stop + 1) for d in (1, 2, 5)]
        values = [value for value in values if own.low <= value <= own.high]
    every = max(1, -(-len(values) // max(most, 1)))
    return [(value, f"{value:g}") for value in values[::every]]


def width(word: str) -> float:
    """The width of a word of a tick, in the units of a picture; of the wide ones among the usual letters."""
    return sum(5.2 if one in _NARROW else (11.5 if one in _WIDE else _letter(one)) for one in word)


def _letter(one: str) -> float:
    return 8.6 if one.isupper() else 7.1


def widest(words: Sequence[str]) -> float:
    """The width of the widest of some words."""
    return max(map(width, words), default=0.0)
