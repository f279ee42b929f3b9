"""Models over several data sets: mean ranks, the Friedman test, and critical differences (Demsar 2006)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from recsweep.statistics.comparison import Procedure, is_smaller
from recsweep.statistics.resampling import Resampling
from recsweep.statistics.sample import Sample
from recsweep.statistics.users import Floats

LEAST_DATASETS = 5
"""Fewer data sets than this have no critical difference that says anything."""


@dataclass(frozen=True)
class Friedman:
    """Do the models differ at all? Friedman's statistic, and Iman and Davenport's, which is less timid."""

    chi_squared: float
    p_chi_squared: float
    f: float
    p: float


@dataclass(frozen=True)
class Ranking:
    """Mean ranks over data sets, the best first."""

    metric: str
    models: tuple[str, ...]
    ranks: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    """Of a bootstrap over data sets, and over the users of each."""
    datasets: tuple[str, ...]
    friedman: Friedman | None
    """None of fewer than `LEAST_DATASETS` data sets, or of two models."""
    critical: float | None
    """Nemenyi's critical difference; None where there is none."""
    level: float

    @property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """Models that the data sets cannot tell apart: the longest runs within the critical difference."""
        if self.critical is None:
            return ()
        found: list[tuple[int, int]] = []
        for start, first in enumerate(self.ranks):
            end = max(n for n, rank in enumerate(self.ranks) if rank - first < self.critical)
            if end > start and not (found and found[-1][1] >= end):
                found.append((start, end))
        return tuple(self.models[start : end + 1] for start, end in found)


def ranked(
    metric: str, samples: Mapping[str, Sequence[Sample]], procedure: Procedure | None = None
) -> Ranking:
    """Mean ranks of models over data sets.

    Args:
        metric: RecBole's name in lower case.
        samples: of the same models on each data set, two or more of each.
    """
    how = procedure or Procedure()
    smaller = is_smaller(metric)
    models = [sample.model for sample in next(iter(samples.values()))]
    tables = [{sample.model: sample for sample in own} for own in samples.values()]
    each = [[table[model] for model in models] for table in tables]
    scores = np.array([[sample.mean for sample in own] for own in each])
    means = ranks_of(scores, smaller=smaller).mean(axis=0)
    low, high = _interval(each, how, smaller=smaller)
    order = np.argsort(means, kind="stable")
    enough = len(each) >= LEAST_DATASETS and len(models) > 2
    return Ranking(
        metric,
        tuple(models[n] for n in order),
        tuple(float(means[n]) for n in order),
        tuple(float(low[n]) for n in order),
        tuple(float(high[n]) for n in order),
        tuple(samples),
        friedman(scores) if enough else None,
        critical_difference(len(models), len(each), how.level) if enough else None,
        how.level,
    )


def ranks_of(scores: Floats, *, smaller: bool = False) -> Floats:
    """Ranks within each row, 1 for the best, ties sharing theirs.

    Args:
        scores: [..., models].
        smaller: less is better.
    """
    signed = scores if smaller else -scores
    below = (signed[..., None, :] < signed[..., :, None]).sum(axis=-1)
    equal = (signed[..., None, :] == signed[..., :, None]).sum(axis=-1)
    ranks: Floats = below + (equal + 1) / 2
    return ranks


def friedman(scores: Floats) -> Friedman:
    """Friedman's test as Demsar gives it.

    Args:
        scores: [data sets, models], three models at least.
    """
    from scipy import stats

    n, k = scores.shape
    means = ranks_of(scores).mean(axis=0)
    chi = 12 * n / (k * (k + 1)) * (float((means**2).sum()) - k * (k + 1) ** 2 / 4)
    p_chi = float(stats.chi2.sf(chi, k - 1))
    if n * (k - 1) - chi <= 1e-12:
        return Friedman(chi, p_chi, math.inf, 0.0)
    f = (n - 1) * chi / (n * (k - 1) - chi)
    return Friedman(chi, p_chi, f, float(stats.f.sf(f, k - 1, (k - 1) * (n - 1))))


def critical_difference(models: int, datasets: int, level: float = 0.05) -> float:
    """Nemenyi's: mean ranks that differ by as much are of different models."""
    from scipy import stats

    quantile = float(stats.studentized_range.ppf(1 - level, models, math.inf)) / math.sqrt(2)
    return quantile * math.sqrt(models * (models + 1) / (6 * datasets))


def _interval(each: Sequence[Sequence[Sample]], how: Procedure, *, smaller: bool) -> tuple[Floats, Floats]:
    """Quantiles of mean ranks over resampled data sets, with resampled users in each."""
    count = how.resampling.resamples
    drawn = np.stack(
        [
            Resampling(count, how.resampling.seed + number).bootstrap(np.stack([one.per_user for one in own]))
            for number, own in enumerate(each)
        ]
    )
    ranks = ranks_of(drawn, smaller=smaller)  # [data sets, resamples, models]
    chosen = np.random.default_rng([how.resampling.seed, 4]).integers(len(each), size=(count, len(each)))
    means = ranks[chosen, np.arange(count)[:, None]].mean(axis=1)
    low, high = np.quantile(means, [how.level / 2, 1 - how.level / 2], axis=0)
    return low, high
