"""Resampling over users: the bootstrap, and the paired randomisation test; seeded.

Both are of two levels where there are several seeds: users are resampled, the part of the seeds is drawn by
its variance, and their sum has the tails of Student's t. A handful of seeds cannot be resampled: of five, a
resample has four fifths of the variance, and tails far too thin.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from recsweep.statistics.sample import Difference, Sample
from recsweep.statistics.users import Floats

_MOST_USERS = 5_000
"""More than these are put together in random groups, whose means spread as those of the users do."""
_AT_ONCE = 4_000_000
"""Drawn numbers in memory."""
_Weigh = Callable[[np.random.Generator, int, int], Floats]
"""Draws weights, [resamples, users], of so many of each."""


@dataclass(frozen=True)
class Resampling:
    """How often, and from which seed."""

    resamples: int = 10_000
    seed: int = 2026

    def bootstrap(self, values: Floats) -> Floats:
        """Means over resampled users.

        Args:
            values: [models, users]; a resample has the same users for all models.

        Returns:
            [resamples, models].
        """
        return self._means(values, 1, _counts)

    def signs(self, values: Floats) -> Floats:
        """Means over users whose differences have random signs.

        Args:
            values: [pairs, users], of differences.

        Returns:
            [resamples, pairs].
        """
        return self._means(values, 2, _signs)

    def seeds(self, differences: Sequence[Difference]) -> tuple[Floats, Floats]:
        """The seeds' part of the error of each difference.

        Returns:
            Numbers to add to the users' part, and factors that give their sum the tails of Student's t, with
            the error's degrees of freedom; each [resamples, pairs].
        """
        draw = np.random.default_rng([self.seed, 3])
        added = np.zeros((self.resamples, len(differences)))
        stretched = np.ones_like(added)
        for column, one in enumerate(differences):
            if one.seeds_part > 0.0:
                added[:, column] = draw.normal(0.0, math.sqrt(one.seeds_part), self.resamples)
                stretched[:, column] = np.sqrt(one.freedom / draw.chisquare(one.freedom, self.resamples))
        return added, stretched

    def _means(self, values: Floats, stream: int, weigh: _Weigh) -> Floats:
        """Means over users, weighed anew in each resample."""
        draw = np.random.default_rng([self.seed, stream])
        grouped = _grouped(values, draw)
        users = grouped.shape[1]
        return np.concatenate([weigh(draw, rows, users) @ grouped.T / users for rows in self._blocks(users)])

    def _blocks(self, users: int) -> Iterator[int]:
        """How many resamples are drawn at once, until there are enough."""
        rows = max(1, min(self.resamples, _AT_ONCE // users))
        yield from (min(rows, self.resamples - start) for start in range(0, self.resamples, rows))


def intervals(
    samples: Sequence[Sample],
    pairs: Sequence[tuple[int, int]],
    differences: Sequence[Difference],
    how: Resampling,
    level: float,
) -> list[tuple[float, float]]:
    """Two-level bootstrap intervals of differences.

    Args:
        pairs: which two samples each difference is of.
        level: what is left outside; 0.05 for 95 %.
    """
    means = how.bootstrap(np.stack([sample.per_user for sample in samples]))
    added, stretched = how.seeds(differences)
    found, users = [], len(samples[0].per_user)
    unbiased = math.sqrt(users / (users - 1))
    for column, ((a, b), one) in enumerate(zip(pairs, differences, strict=True)):
        around = (means[:, a] - means[:, b] - one.mean) * (_users_share(one) * unbiased)
        around = (around + added[:, column]) * stretched[:, column]
        low, high = np.quantile(one.mean + around, [level / 2, 1 - level / 2])
        found.append((float(low), float(high)))
    return found


def randomisation(differences: Sequence[Difference], how: Resampling) -> list[float]:
    """P-values of paired randomisation tests, two-sided: of equal models, scores may change their owners."""
    if not differences:
        return []
    drawn = how.signs(np.stack([one.per_user for one in differences]))
    share = np.array([_users_share(one) for one in differences])
    added, stretched = how.seeds(differences)
    drawn = np.abs(drawn * share + added) * stretched
    seen = np.array([abs(one.mean) for one in differences])
    # Sums of the same numbers in another order are the same number.
    reached = (drawn >= seen * (1 - 1e-9)).sum(axis=0)
    return [float(count + 1) / (how.resamples + 1) for count in reached]


def _users_share(one: Difference) -> float:
    """A factor for what users give who are drawn anew: without the noise of single runs, the seeds' part."""
    spread = float(one.per_user.var(ddof=1)) / len(one.per_user)
    return math.sqrt(one.users_part / spread) if spread > 0.0 else 1.0


def _grouped(values: Floats, draw: np.random.Generator) -> Floats:
    users = values.shape[1]
    if users <= _MOST_USERS:
        return values
    size = math.ceil(users / _MOST_USERS)
    order = draw.permutation(users)[: users - users % size]
    groups: Floats = values[:, order].reshape(len(values), -1, size).mean(axis=2)
    return groups


def _counts(draw: np.random.Generator, rows: int, users: int) -> Floats:
    """How often each resample has each user."""
    drawn = draw.integers(users, size=(rows, users))
    flat = drawn + np.arange(rows)[:, None] * users
    return np.bincount(flat.ravel(), minlength=rows * users).reshape(rows, users).astype(np.float64)


def _signs(draw: np.random.Generator, rows: int, users: int) -> Floats:
    """A random sign for each user, in each resample."""
    return np.asarray(draw.integers(2, size=(rows, users), dtype=np.int8) * 2.0 - 1.0, dtype=np.float64)
