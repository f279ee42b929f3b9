"""The mean of a few trainings, how far they lie apart, and the interval in which their mean is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

LEVEL = 0.95
"""The share of such intervals that hold the true mean."""


@dataclass(frozen=True)
class Spread:
    """Several values of one number.

    Attributes:
        sd: standard deviation of all values; None of a single one.
        low, high: interval of the mean; None where there are too few values for one.
        n: how many values there are.
    """

    mean: float
    sd: float | None
    low: float | None
    high: float | None
    n: int


def spread_of(groups: Sequence[Sequence[float]]) -> Spread | None:
    """Mean, standard deviation and interval of values in groups, such as the trainings on each split.

    Values of one group have something in common, so that more of them say little about other groups: of
    several groups the interval is Student's t over their means; of one, over its values.

    Returns:
        None where there is no value.
    """
    filled = [list(group) for group in groups if group]
    values = [value for group in filled for value in group]
    if not values:
        return None
    means = [fmean(group) for group in filled]
    mean = fmean(means) if len(means) > 1 else fmean(values)
    half = _half(means if len(means) > 1 else values)
    sd = stdev(values) if len(values) > 1 else None
    low, high = (None, None) if half is None else (mean - half, mean + half)
    return Spread(mean, sd, low, high, len(values))


def _half(values: Sequence[float]) -> float | None:
    """Half of the width of Student's interval for the mean of independent values."""
    if len(values) < 2:
        return None
    from scipy.special import stdtrit  # with NumPy, which who only looks at a list need not wait for

    return float(stdtrit(len(values) - 1, (1 + LEVEL) / 2)) * stdev(values) / math.sqrt(len(values))
