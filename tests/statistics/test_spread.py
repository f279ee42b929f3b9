"""Mean, deviation and interval of a few trainings."""

from __future__ import annotations

import pytest

from recsweep.statistics.spread import Spread, spread_of


def test_the_interval_of_values_on_one_split_is_students():
    # R: t.test(c(0.11, 0.12, 0.10, 0.13, 0.12))
    found = spread_of([[0.11, 0.12, 0.10, 0.13, 0.12]])
    assert found is not None
    assert (found.mean, found.n) == (pytest.approx(0.116), 5)
    assert found.sd == pytest.approx(0.01140175, abs=1e-8)
    assert (found.low, found.high) == (
        pytest.approx(0.1018429, abs=1e-6),
        pytest.approx(0.1301571, abs=1e-6),
    )


def test_of_several_splits_the_interval_is_over_their_means():
    alike = [[0.1, 0.1, 0.1], [0.2, 0.2, 0.2]]
    found = spread_of(alike)
    assert found is not None
    assert found.mean == pytest.approx(0.15)
    assert found.n == 6
    # R: t.test(c(0.1, 0.2)): more seeds on the same two splits say nothing of a third one.
    assert found.low == pytest.approx(-0.4853102, abs=1e-6)
    assert spread_of([group[:1] for group in alike]).low == pytest.approx(found.low)


def test_a_single_training_has_a_mean_alone():
    assert spread_of([[], [0.5]]) == Spread(0.5, None, None, None, 1)
    assert spread_of([]) is None
