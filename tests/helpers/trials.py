"""One trial, trained here and now on the CPU."""

from __future__ import annotations

import torch

from recsweep.datasets.prepare import prepare
from recsweep.training import training

CPU = torch.device("cpu")
OVERFITTING = {"learning_rate": 0.1, "embedding_size": 16, "epochs": 3}
"""FOSSIL with these settings is best in its first epoch."""


def settings_of(plan, seed=7, **changes):
    return {**plan.settings(plan.defaults, seed), **changes}


def train(plan, after_epoch=lambda epoch, score: None, **changes):
    settings = settings_of(plan, **changes)
    split = prepare(settings, plan.files, plan.outputs.cache).split
    return training.train(settings, split, CPU, after_epoch)
