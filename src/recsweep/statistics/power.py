"""Power of a paired test: which difference a test set of its size can show, and how many users one needs."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike


def smallest_difference(differences: ArrayLike, power: float = 0.8, level: float = 0.05) -> float:
    """The smallest true mean difference that a two-sided paired t-test finds with a given power.

    Args:
        differences: between two models, a value for each user.
        power: the chance that it is found.
        level: of the test.

    Returns:
        In the metric's own unit; NaN of fewer than two users.
    """
    spread, users = _spread(differences)
    if not spread > 0.0:
        return spread
    from statsmodels.stats.power import TTestPower

    # For some numbers of users statsmodels finds the other root, in an array; a two-sided test has both.
    found = np.ravel(TTestPower().solve_power(nobs=users, alpha=level, power=power))
    return spread * abs(float(found[0]))


def power_of(differences: ArrayLike, difference: float, level: float = 0.05) -> float:
    """The chance that a two-sided paired t-test on these users finds a true mean difference of a size.

    Args:
        differences: between two models, a value for each user; their spread is what counts.
    """
    spread, users = _spread(differences)
    if not spread > 0.0:
        return math.nan if math.isnan(spread) else float(difference != 0.0)
    from statsmodels.stats.power import TTestPower

    return float(TTestPower().power(abs(difference) / spread, users, level))


def users_needed(
    differences: ArrayLike, difference: float, power: float = 0.8, level: float = 0.05
) -> int | None:
    """How many users a test set needs to show a true mean difference of a size; None: no number is enough.

    Args:
        differences: between two models, a value for each user of a test set that there is.
    """
    spread, _ = _spread(differences)
    if math.isnan(spread) or difference == 0.0:
        return None
    low, high = 2, 2
    if spread == 0.0:
        return low
    from statsmodels.stats.power import TTestPower

    size, test = abs(difference) / spread, TTestPower()
    while test.power(size, high, level) < power:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if test.power(size, middle, level) < power else (low, middle)
    return high


def _spread(differences: ArrayLike) -> tuple[float, int]:
    """Standard deviation over users, NaN of fewer than two, and their number.

    Of several seeds (rows) the mean counts.
    """
    values = np.asarray(differences, dtype=np.float64)
    values = values.mean(axis=0) if values.ndim == 2 else values
    return float(values.std(ddof=1)) if len(values) > 1 else math.nan, len(values)
