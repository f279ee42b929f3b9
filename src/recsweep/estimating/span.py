"""An amount that is not known: least, expected, most."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Span:
    """Least, expected and most of something."""

    low: float
    expected: float
    high: float

    @classmethod
    def sure(cls, value: float) -> Span:
        """An amount that is known."""
        return cls(value, value, value)

    def __add__(self, other: Span) -> Span:
        return Span(self.low + other.low, self.expected + other.expected, self.high + other.high)

    def times(self, factor: float) -> Span:
        """So many times as much."""
        return Span(self.low * factor, self.expected * factor, self.high * factor)

    def by(self, other: Span) -> Span:
        """Multiplied by what is not known either."""
        return Span(self.low * other.low, self.expected * other.expected, self.high * other.high)

    def within(self, least: float, most: float) -> Span:
        """The same, as far as it lies between two bounds."""
        return Span(*(min(max(value, least), most) for value in (self.low, self.expected, self.high)))
