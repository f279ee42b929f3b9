"""RecBole's Pop through our training: every interaction is counted, once."""

from __future__ import annotations

import numpy as np
import torch

from helpers.fast import CPU
from recsweep.datasets.prepare import prepare
from recsweep.planning.baseline import baselines
from recsweep.training import training


def test_pop_ranks_items_by_how_often_they_stand_in_the_training_data(make_plan):
    (plan,) = baselines([make_plan("FPMC")])
    settings = plan.settings({}, 7)
    split = prepare(settings, plan.files, plan.outputs.cache).split
    trained = training.train(settings, split, CPU)
    items = split.parts[0].inter_feat["item_id"].numpy()
    counted = trained.best["other_parameter"]["item_cnt"].reshape(-1)
    assert torch.equal(counted, torch.from_numpy(np.bincount(items, minlength=len(counted))))
    assert trained.best["epoch"] == 0
    again = training.train({**settings, "train_batch_size": 64, "seed": 8}, split, CPU)
    assert again.score == trained.score
