"""Decision trees as models like the others: trained, kept, restored, gone on with."""

from __future__ import annotations

import pytest
import torch

from helpers.catalogue import settings_for, splits, write_dataset
from recsweep.recbole_api import source
from recsweep.training import training

CPU = torch.device("cpu")


@pytest.fixture(params=["LightGBM", "XGBoost"])
def trial(request, tmp_path):
    pytest.importorskip(request.param.lower())
    rich = write_dataset(tmp_path)
    settings = {**settings_for(request.param, rich), "epochs": 3, "stopping_step": 5}
    settings["load_col"] = {"inter": ["user_id", "item_id", "timestamp", "label"]}
    return settings, splits(tmp_path)(settings), CPU


def test_trees_come_back_from_their_checkpoint(trial, tmp_path):
    trained = training.train(*trial)
    assert training.save_checkpoints(tmp_path / "weights", trained)
    restored = training.load_checkpoint(tmp_path / "weights")
    assert training.evaluate(*trial, restored) == training.evaluate(*trial, trained.best)
    assert trained.metrics.keys() == {"auc", "logloss"}


def test_trees_go_on_from_a_state(trial):
    states = []
    trained = training.train(*trial, watch=lambda end: states.append(end.state()))
    again = training.train(*trial, resume=states[0])
    assert (again.metrics, again.epochs) == (trained.metrics, trained.epochs)
    assert trained.epochs == (1 if trial[0]["model"] == "LightGBM" else 3)


def test_defaults_of_trees_are_found_in_a_file_in_small_letters():
    assert source.published_defaults("LightGBM")["lgb_num_boost_round"] == 300
    assert source.published_defaults("XGBoost")["xgb_params"]["max_depth"] == 3
