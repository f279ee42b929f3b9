"""Models whose weights nobody trained: as good to list and to measure by, and made in a moment."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch

from helpers.fast import CPU, SEED, settings_of, split_of
from recsweep.recbole_api import model as recbole
from recsweep.recbole_api.config import TypedConfig
from recsweep.recbole_api.data import make_loaders
from recsweep.training.scoring import TrainedModel

SHARES = {"split": {"RS": [0.6, 0.2, 0.2]}, "group_by": "user", "order": "TO"}
SEVERAL = {"eval_args": {**SHARES, "mode": {"valid": "full", "test": "full"}}}
"""Several right items for a user, instead of the last one."""
MODELS = {
    "BPR": {"embedding_size": 8, **SEVERAL},
    "LightGCN": {"embedding_size": 8, "n_layers": 1, **SEVERAL},
    "FPMC": {"embedding_size": 8, "loss_type": "BPR"},
    "GRU4Rec": {"embedding_size": 8, "hidden_size": 8, "loss_type": "CE"},
}


@cache
def untrained(folder: Path, name: str, seed: int = SEED) -> TrainedModel:
    """A model with random weights, whose metric is recall@7 and NDCG@7."""
    settings = settings_of(folder, name, MODELS[name])
    settings.update(metrics=["NDCG", "Recall"], topk=[7])
    split = split_of(settings, folder)
    with recbole.clean_globals():
        config = TypedConfig(settings, CPU, folder / "scratch")
        model = recbole.make_model(config, make_loaders(config, split)[0])
        torch.manual_seed(seed)
        for weight in model.parameters():
            weight.data.normal_()
        state = {"state_dict": recbole.weights(model), "other_parameter": recbole.other_state(model)}
    return TrainedModel(settings, split, state)
