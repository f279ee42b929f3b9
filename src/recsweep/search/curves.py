"""How a trial went, epoch by epoch, as the pruners look at it."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from recsweep.study import State


@dataclass(frozen=True)
class Curve:
    """How a trial went. What is worked out from its scores is kept, so keep the curves of closed trials."""

    slot: int
    scores: Mapping[int, float]
    """Validation score by epoch, from 1; those that were validated."""
    state: State = State.RUNNING

    @cached_property
    def epochs(self) -> tuple[int, ...]:
        """The epochs that have a score, in order."""
        return tuple(sorted(epoch for epoch, score in self.scores.items() if math.isfinite(score)))

    def at(self, epoch: int) -> float | None:
        """The score at an epoch; None where there is none."""
        score = self.scores.get(epoch)
        return score if score is not None and math.isfinite(score) else None

    def best(self, epoch: int, *, maximize: bool) -> float | None:
        """The best score until an epoch; None where there is none."""
        count = bisect_right(self.epochs, epoch)
        return (self._highest if maximize else self._lowest)[count - 1] if count else None

    def came_to(self, epoch: int) -> bool:
        """True where it trained so far, or ended complete before: then more epochs would bring nothing."""
        return bool(self.epochs) and (self.state == State.COMPLETE or self.epochs[-1] >= epoch)

    @cached_property
    def _highest(self) -> tuple[float, ...]:
        return tuple(accumulate((self.scores[epoch] for epoch in self.epochs), max))

    @cached_property
    def _lowest(self) -> tuple[float, ...]:
        return tuple(accumulate((self.scores[epoch] for epoch in self.epochs), min))
