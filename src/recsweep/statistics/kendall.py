"""Agreement of two orders."""

from __future__ import annotations

import math
from collections.abc import Sequence


def kendall_tau(pairs: Sequence[tuple[float, float]]) -> float:
    """Kendall's tau-b of pairs of scores: 1 where both order alike, -1 where one is the other's reverse.

    Also 1 where there is nothing to order.
    """
    from scipy.stats import kendalltau

    if len(pairs) < 2:
        return 1.0
    tau = float(kendalltau(*zip(*pairs, strict=True)).statistic)
    return 1.0 if math.isnan(tau) else tau
