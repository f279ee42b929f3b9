"""Ranks over data sets, against the numbers of Demsar (2006)."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from recsweep.statistics.comparison import Procedure
from recsweep.statistics.ranks import Ranking, critical_difference, friedman, ranked, ranks_of
from recsweep.statistics.resampling import Resampling
from recsweep.statistics.sample import Sample

# Table 6 of the paper: AUC of C4.5, with m, with cf, with m and cf, on 14 data sets.
AUC = np.array(
    [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.9751, 0.975],  # no tie in the paper, whose table is rounded
        [0.957, 0.978, 0.946, 0.970],
    ]
)


def test_mean_ranks_and_friedman_are_those_of_the_paper():
    assert ranks_of(AUC).mean(axis=0) == pytest.approx([3.143, 2.000, 2.893, 1.964], abs=5e-4)
    found = friedman(AUC)
    assert found.chi_squared == pytest.approx(9.28, abs=0.005)
    assert found.f == pytest.approx(3.69, abs=0.005)
    assert found.p < 0.05  # F(3, 39) of 2.85
    assert found.p_chi_squared == pytest.approx(0.0257, abs=1e-3)


def test_critical_differences_are_those_of_the_paper():
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=0.005)
    assert critical_difference(4, 14, 0.1) == pytest.approx(1.12, abs=0.005)
    # Its table 5(a), times the root: q of 2 to 10 classifiers at 5 %.
    q = [1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164]
    found = [critical_difference(k, 1) / np.sqrt(k * (k + 1) / 6) for k in range(2, 11)]
    assert found == pytest.approx(q, abs=1.1e-3)


def test_ranks_are_scipys():
    scores = np.random.default_rng(0).integers(0, 4, size=(20, 5)).astype(float)
    assert ranks_of(scores).tolist() == [stats.rankdata(-row).tolist() for row in scores]
    assert ranks_of(scores, smaller=True).tolist() == [stats.rankdata(row).tolist() for row in scores]


def over(datasets: int) -> Ranking:
    draw = np.random.default_rng(2)
    shifts = {"bad": 0.0, "good": 0.06, "best": 0.07, "worst": -0.3}
    samples = {
        f"d{n}": [Sample(model, draw.normal(shift, 0.2, (1, 100))) for model, shift in shifts.items()]
        for n in range(datasets)
    }
    return ranked("hit@1", samples, Procedure(resampling=Resampling(500)))


def test_five_data_sets_have_a_critical_difference_and_fewer_have_none():
    found = over(20)
    assert found.models == ("best", "good", "bad", "worst")
    assert all(
        low <= rank <= high for low, rank, high in zip(found.low, found.ranks, found.high, strict=True)
    )
    assert found.friedman is not None
    assert found.friedman.p < 0.001
    assert found.groups == (("best", "good"),)
    few = over(4)
    assert (few.friedman, few.critical, few.groups) == (None, None, ())
    assert len(few.ranks) == 4
    assert over(5).critical == pytest.approx(2.569 * np.sqrt(20 / 30), abs=1e-3)
