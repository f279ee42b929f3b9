"""Stages before the one that is validated: trained within the trial, once for all that they are alike for."""

from __future__ import annotations

import pytest
import torch

from helpers.catalogue import settings_for, splits, write_dataset
from recsweep.training import training

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    """Gives the settings of a trial of RaCT, whose stages are two, and the split."""
    rich = write_dataset(tmp_path_factory.mktemp("stages"))
    split_of = splits(rich.parent)

    def make(**changed):
        own = {"pretraining": {"seed": 7, "learning_rate": 0.001}, "pretrain_epochs": 2, "epochs": 2}
        settings = {**settings_for("RaCT", rich), **own, **changed}
        return settings, split_of(settings), CPU

    return make


def test_stages_are_trained_once_for_all_trials_that_are_alike(trial, tmp_path):
    first = training.train(*trial(), cache=tmp_path)
    again = training.train(*trial(), cache=tmp_path)
    faster = training.train(*trial(learning_rate=0.01, seed=9), cache=tmp_path)
    assert [one.pretraining for one in (first, again, faster)] == [4, 0, 0]
    assert again.score == first.score
    assert training.train(*trial()).score == first.score  # where nothing is kept


def test_another_model_has_stages_of_its_own(trial, tmp_path):
    training.train(*trial(), cache=tmp_path)
    assert training.train(*trial(latent_dimension=32), cache=tmp_path).pretraining == 4


def test_a_damaged_file_is_made_again(trial, tmp_path):
    score = training.train(*trial(), cache=tmp_path).score
    (kept,) = tmp_path.glob("pretrained/*.pth")
    kept.write_bytes(b"half")
    again = training.train(*trial(), cache=tmp_path)
    assert (again.score, again.pretraining) == (score, 4)


def test_s3rec_goes_on_from_its_first_stage(tmp_path):
    rich = write_dataset(tmp_path)
    settings = {**settings_for("S3Rec", rich), "pretraining": {"seed": 7}}
    split = splits(rich.parent)(settings)
    trained = training.train(settings, split, CPU)
    assert (trained.pretraining, trained.epochs) == (1, 1)
    assert training.evaluate(settings, split, CPU, trained.best).keys() == trained.metrics.keys()
