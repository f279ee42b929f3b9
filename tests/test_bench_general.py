"""Benchmarks of general models: made data, libraries beside, a validation, killed trials."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import libraries
import resume
import speed_made
import validation
from recsweep.recbole_api import compat
from recsweep.recbole_api.model_facts import facts
from recsweep.training.fast.families import served


def test_made_users_have_as_many_items_as_ml_1m():
    counts = speed_made.counts(np.random.default_rng(20))
    assert counts.sum() == speed_made.ROWS
    assert counts.min() >= speed_made.LEAST
    assert counts.max() <= speed_made.ITEMS // 2


def test_nobody_has_a_made_item_twice():
    popularity = np.array([1e9, *np.ones(speed_made.ITEMS - 1)], dtype=np.float32)
    first = speed_made._first_items(np.random.default_rng(1), popularity, 3)
    assert (first[:, 0] == 1).all(), "the most popular one rings first"
    assert (np.sort(first) == np.arange(1, speed_made.ITEMS + 1)).all()


def test_lists_of_a_library_are_scored_as_recbole_scores():
    lists, wanted = [[7, 8, 9], [4, 5]], [{8}, {1, 2}]
    assert libraries.ndcg(lists, wanted) == pytest.approx((1 / np.log2(3) + 0) / 2)


def test_a_measured_validation_is_held_against_a_sort():
    compat.apply()
    size = validation.Size(60, 90, 20, 3, 1, 1e9, 1e9, "ms")
    found = validation.measured(size)
    assert found.value == 1000 * found.ours[0]
    assert "aim reached" in validation.report([found])
    table = validation._table(size)
    factors = torch.randn(61, 8), torch.randn(91, 8)
    with pytest.raises(SystemExit, match="not those of a sort"):
        validation._check(torch.zeros(60, 11, dtype=torch.int32), *factors, table)


def test_killed_models_without_a_fast_path_are_found():
    assert [facts(name).kind for name in resume.plain()] == list(resume.PLAIN_KINDS)
    assert not set(resume.plain()) & set(served())
