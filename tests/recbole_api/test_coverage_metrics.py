"""Metrics that need more than ranks: of the catalogue's size, of how often items are bought."""

from __future__ import annotations

import pytest
import torch

from recsweep.datasets.prepare import prepare
from recsweep.training import training


@pytest.mark.parametrize("fast", [True, False])
def test_metrics_of_the_catalogue_are_computed_beside_the_ranking_ones(make_plan, fast):
    plan = make_plan("FPMC")
    names = ["NDCG", "ItemCoverage", "AveragePopularity", "GiniIndex", "ShannonEntropy", "TailPercentage"]
    settings = {**plan.settings(plan.defaults, 1), "metrics": names, "fast": fast}
    split = prepare(settings, plan.files, plan.outputs.cache).split
    metrics = training.train(settings, split, torch.device("cpu")).metrics
    assert set(metrics) == {f"{name.lower()}@10" for name in names}
    assert 0 < metrics["itemcoverage@10"] <= 1
    assert metrics["averagepopularity@10"] > 1
