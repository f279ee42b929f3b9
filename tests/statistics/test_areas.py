"""The area under each user's curve, against a count of all pairs."""

from __future__ import annotations

import numpy as np
import pytest

from recsweep.statistics.areas import user_areas


def by_pairs(scores, labels):
    ones, zeros = scores[labels == 1], scores[labels == 0]
    wins = (ones[:, None] > zeros).sum() + 0.5 * (ones[:, None] == zeros).sum()
    return wins / (len(ones) * len(zeros))


def test_areas_are_the_share_of_pairs_in_the_right_order():
    drawn = np.random.default_rng(3)
    users, labels = drawn.integers(0, 12, 400), drawn.integers(0, 2, 400).astype(float)
    scores = drawn.integers(0, 9, 400) / 9.0  # many are equal
    areas, weights = user_areas(scores, labels, users)
    for user in range(12):
        own = users == user
        assert areas[own] == pytest.approx(by_pairs(scores[own], labels[own]))
    assert weights.tolist() == labels.tolist()


def test_a_user_with_one_kind_of_rows_counts_for_nothing():
    areas, weights = user_areas(np.array([0.9, 0.1, 0.5]), np.array([1.0, 0.0, 1.0]), np.array([7, 7, 3]))
    assert areas.tolist() == [1.0, 1.0, 0.0]
    assert weights.tolist() == [1.0, 0.0, 0.0]
