"""Tests of one paired difference, and the correction of several p-values. scipy's and statsmodels' own."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from recsweep.statistics.sample import Difference

CORRECTIONS = {"holm": "Holm", "bonferroni": "Bonferroni", "bh": "Benjamini-Hochberg", "none": ""}
"""By name, as people say it."""
_LEVELS = (0.01, 0.05)
"""Below which people take a difference for one."""
_METHODS = {"holm": "holm", "bonferroni": "bonferroni", "bh": "fdr_bh"}


def t_test(one: Difference) -> float:
    """P-value of a paired t-test, two-sided.

    With several seeds its error has their part too, and its degrees of freedom are Satterthwaite's.
    """
    if one.error == 0.0:
        return 1.0 if one.mean == 0.0 else 0.0
    from scipy import stats

    return float(2.0 * stats.t.sf(abs(one.mean) / one.error, one.freedom))


def wilcoxon(one: Difference) -> float:
    """P-value of Wilcoxon's signed-rank test on users, two-sided; seeds are averaged, their part is left out.

    It asks of medians of a symmetric distribution. Scores of users are full of ties and zeros and are not
    symmetric: on them it finds differences that are none (Ihemelandu and Ekstrand 2023).
    """
    if not np.any(one.per_user):
        return 1.0
    from scipy import stats

    return float(stats.wilcoxon(one.per_user).pvalue)


def corrected(p_values: Sequence[float], correction: str) -> list[float]:
    """P-values corrected for how many they are.

    Args:
        correction: a key of `CORRECTIONS`.
    """
    if correction == "none" or len(p_values) < 2:
        return list(p_values)
    from statsmodels.stats.multitest import multipletests

    found = multipletests(list(p_values), method=_METHODS[correction])[1]
    return [float(p) for p in found]


def p_text(p: float) -> str:
    """`p = 0.0003`, `p = 0.04`, `p < 0.0001`; none is rounded onto a level that it lies below."""
    if math.isnan(p):
        return "p unknown"
    if p < 0.0001:
        return "p < 0.0001"
    if p >= 0.1:
        return f"p = {p:.2f}"
    for digits in (1, 2, 3):
        text = f"{p:.{digits}g}"
        if all((p < level) == (float(text) < level) for level in _LEVELS):
            return f"p = {text}"
    return f"p < {min(level for level in _LEVELS if p < level)}"
