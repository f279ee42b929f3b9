"""Power of a paired test, against the numbers of R's `pwr` and `power.t.test`."""

from __future__ import annotations

import math

import numpy as np
import pytest

from recsweep.statistics.power import power_of, smallest_difference, users_needed


def spread(users: int, deviation: float = 1.0):
    """Differences of a given standard deviation, whose mean does not matter."""
    values = np.random.default_rng(1).normal(size=users)
    return 5.0 + deviation * (values - values.mean()) / values.std(ddof=1)


def test_users_needed_are_those_of_pwr():
    """`pwr.t.test(d = 0.5, power = 0.8, type = "paired")`: n = 33.36713; Cohen's small effect: 198.1508."""
    assert users_needed(spread(20), 0.5) == 34
    assert users_needed(spread(20, deviation=2.0), 1.0) == 34
    assert users_needed(spread(20), 0.2) == 199
    assert users_needed(spread(20), 0.0) is None


def test_the_smallest_difference_is_found_with_its_power():
    differences = spread(50, deviation=0.3)
    smallest = smallest_difference(differences)
    assert smallest == pytest.approx(0.3 * 0.4041, abs=2e-4)
    assert power_of(differences, smallest) == pytest.approx(0.8, abs=1e-6)
    assert smallest_difference(differences, power=0.9) > smallest > smallest_difference(spread(500, 0.3))
    assert users_needed(differences, smallest * 0.9999) in (50, 51)


def test_power_is_that_of_simulated_tests():
    from scipy.stats import ttest_1samp

    draws = np.random.default_rng(3).normal(0.3, 1.0, size=(4000, 60))
    found = float((ttest_1samp(draws, 0.0, axis=1).pvalue < 0.05).mean())
    assert power_of(spread(60), 0.3) == pytest.approx(found, abs=0.03)


def test_nothing_is_said_of_one_user_and_anything_found_where_nothing_varies():
    assert math.isnan(smallest_difference([0.1]))
    assert math.isnan(power_of([0.1], 0.1))
    assert smallest_difference([0.1, 0.1]) == 0.0
    assert users_needed([0.1, 0.1], 0.1) == 2
    assert power_of([0.1, 0.1], 0.1) == 1.0


def test_seeds_are_averaged_first():
    differences = np.stack([spread(50), spread(50)[::-1]])
    assert smallest_difference(differences) < smallest_difference(spread(50))


def test_every_number_of_users_has_a_smallest_difference():
    """For 73 users statsmodels gives the negative root, in an array."""
    found = [smallest_difference(np.arange(users) % 2) for users in (72, 73, 74)]
    assert found == sorted(found, reverse=True)
    assert found[-1] > 0.0
