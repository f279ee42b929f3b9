"""Kendall's tau of two orders."""

from __future__ import annotations

import pytest

from recsweep.statistics.kendall import kendall_tau


def test_orders_that_agree_reverse_and_tie():
    assert kendall_tau([(1, 10), (2, 20), (3, 30)]) == pytest.approx(1)
    assert kendall_tau([(1, 30), (2, 20), (3, 10)]) == pytest.approx(-1)
    # By counting the pairs.
    ranks = [4, 7, 2, 10, 3, 6, 8, 1, 5, 9]
    other = [5, 7, 3, 10, 1, 9, 6, 2, 8, 4]
    concordant = sum((ranks[i] - ranks[j]) * (other[i] - other[j]) > 0 for i in range(10) for j in range(i))
    assert kendall_tau(list(zip(ranks, other, strict=True))) == pytest.approx((2 * concordant - 45) / 45)
    assert kendall_tau([(1, 1), (1, 1)]) == 1, "nothing to order"
    assert kendall_tau([]) == 1
