"""How many trials train on a GPU at once: one more while its batches a second rise by a tenth. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

PAYS = 1.1
"""So many times the batches a second of one trial fewer."""
LEAST_EPOCHS = 2
"""Of each worker, after the one that its count begins with."""
LEAST_SECONDS = 3.0
"""Of each worker: short trials come and go in it, and what lies between them counts."""


@dataclass
class _Count:
    """The batches of a worker since the end of one of its epochs."""

    begun: float
    last: float
    batches: int = 0
    epochs: int = 0

    @property
    def seconds(self) -> float:
        return self.last - self.begun

    @property
    def enough(self) -> bool:
        return self.epochs >= LEAST_EPOCHS and self.seconds >= LEAST_SECONDS


@dataclass
class Throughput:
    """The batches a second of one GPU, by how many workers train there.

    Each worker counts from the end of an epoch to the end of another one, with all that lies between its
    trials; the GPU's rate is the sum of its workers'. Where a worker comes or is another one, all begin anew.

    Args:
        bound: trials at once at most, by memory and by the number of workers.
    """

    bound: int
    at_once: int = 1
    """Trials that are to train there now."""
    settled: bool = False
    """True where it stays at that."""
    rates: dict[int, float] = field(default_factory=dict)
    """Batches a second in all, by trials at once."""
    _heard: set[int] = field(default_factory=set)
    _counts: dict[int, _Count] = field(default_factory=dict)

    def bind(self, bound: int) -> None:
        """So many at most from now on."""
        self.bound = bound
        if self.at_once >= bound:
            self.at_once, self.settled = bound, self.settled or bound == 1 or bound in self.rates

    def heard(self, worker: int, batches: int, moment: float) -> bool:
        """Take note of an epoch that a worker has ended; True where something was decided by it.

        Args:
            worker: its number.
            batches: of the epoch.
            moment: when it ended, in seconds.
        """
        if self.settled or batches == 0:
            return False
        if worker not in self._heard:
            self._heard = {worker} if len(self._heard) >= self.at_once else self._heard | {worker}
            self._counts.clear()
        if len(self._heard) < self.at_once:
            return False
        if (count := self._counts.get(worker)) is None:
            self._counts[worker] = _Count(moment, moment)  # this epoch began before the count
            return False
        count.last, count.batches, count.epochs = moment, count.batches + batches, count.epochs + 1
        if len(self._counts) < self.at_once or not all(one.enough for one in self._counts.values()):
            return False
        self._decide(sum(one.batches / one.seconds for one in self._counts.values()))
        return True

    def _decide(self, rate: float) -> None:
        self.rates[self.at_once] = rate
        before = self.rates.get(self.at_once - 1)
        if before is not None and rate < PAYS * before:
            self.at_once, self.settled = self.at_once - 1, True
        elif self.at_once >= self.bound:
            self.settled = True
        else:
            self.at_once += 1
        self._heard.clear()
        self._counts.clear()
