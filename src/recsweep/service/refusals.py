"""The mistakes of a request: the field, its value, the rule that it broke, and how to fix it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from recsweep.common.errors import UserError
from recsweep.sweeps.documents import short_value

NOTHING = object()
"""The value of a field that has none: it is missing."""


@dataclass(frozen=True)
class Mistake:
    """One mistake in a request."""

    field: str
    """Dotted, as the request has it: `search_space.learning_rate.min`."""
    problem: str
    fix: str
    value: Any = NOTHING

    @property
    def shown(self) -> str | None:
        """The value in a few letters; None where there is none."""
        return None if self.value is NOTHING else short_value(self.value)


class Refused(UserError):
    """A request that cannot be done as it is. Its text is the first mistake.

    Args:
        mistakes: one or more.
    """

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        first = self.mistakes[0]
        super().__init__(f"{first.field}: {first.problem}; {first.fix}")


def refused(field: str, problem: str, fix: str, value: Any = NOTHING) -> Refused:
    """A request with one mistake."""
    return Refused([Mistake(field, problem, fix, value)])
