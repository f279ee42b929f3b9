"""From a trained model to a checkpoint and back: the same metrics, and nothing left on another device."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch

from helpers.catalogue import settings_for, splits, write_dataset
from helpers.devices import MixedDevices, StandInDevice, tensors_in
from recsweep.common.errors import TrialError
from recsweep.recbole_api import catalog
from recsweep.recbole_api import model as recbole
from recsweep.recbole_api.config import TypedConfig
from recsweep.recbole_api.data import make_loaders
from recsweep.training import training

CPU, META = torch.device("cpu"), torch.device("meta")
SAMPLE = [
    *("BPR", "LightGCN", "NGCF", "SGL", "MultiVAE", "NeuMF", "RecVAE", "Pop", "ItemKNN", "EASE"),
    *("ADMMSLIM", "NCEPLRec"),
    *("SASRec", "GRU4Rec", "GRU4RecF", "DIN", "FM", "KGCN", "RippleNet"),
]
# Not without libraries that are not here, or without a model trained before.
CANNOT = {
    **dict.fromkeys(("NCL", "LightGBM", "XGBoost"), ModuleNotFoundError),
}
# Models that keep vectors from one validation to the next, and rates with which they soon get worse.
PROPAGATING = {"LightGCN": 3.0, "SGL": 0.2}


@pytest.fixture(scope="module")
def rich(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("restore"))


@pytest.fixture(scope="module")
def split_of(rich):
    """The split for settings, each made once."""
    return splits(rich.parent)


def through_a_file(trained, folder):
    """The best checkpoint as another process finds it."""
    assert training.save_checkpoints(folder, trained)
    return training.load_checkpoint(folder)


def check_the_way_back(model, rich, split_of, folder):
    settings = settings_for(model, rich)
    split = split_of(settings)
    trained = training.train(settings, split, CPU)
    state = through_a_file(trained, folder)
    metrics = training.evaluate(settings, split, CPU, trained.best)
    with StandInDevice(state):
        assert training.evaluate(settings, split, CPU, state) == metrics
    config = TypedConfig(settings, CPU, folder)
    with recbole.clean_globals():
        fresh = recbole.make_model(config, make_loaders(config, split)[0])
        recbole.restore(fresh, state, META)
    names = state["other_parameter"].keys()
    assert {tensor.device for tensor in tensors_in({n: getattr(fresh, n) for n in names})} <= {META}


@pytest.mark.parametrize("model", SAMPLE)
def test_a_model_comes_back_from_its_checkpoint_on_the_trials_device(model, rich, split_of, tmp_path):
    check_the_way_back(model, rich, split_of, tmp_path / "weights")


@pytest.mark.long
@pytest.mark.parametrize("model", sorted(catalog.models().keys() - set(SAMPLE)))
def test_every_model_comes_back_from_its_checkpoint(model, rich, split_of, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CANNOT[model]) if model in CANNOT else nullcontext():
        check_the_way_back(model, rich, split_of, tmp_path / "weights")


@pytest.mark.parametrize("model", ["BPR", "MultiVAE", "NeuMF", "EASE", "ItemKNN"])
def test_a_test_of_many_users_at_once_is_that_of_a_few(model, rich, split_of, monkeypatch):
    settings = settings_for(model, rich)
    split = split_of(settings)
    trained = training.train(settings, split, CPU)
    with training.tester(settings, split, CPU, trained.best) as (trainer, loader):
        assert len(loader) == 1
        many = recbole.evaluate(trainer, loader)
    monkeypatch.setattr(training, "scores_at_once", lambda device: 1)
    with training.tester({**settings, "eval_batch_size": 1}, split, CPU, trained.best) as (trainer, loader):
        assert len(loader) > 10
        assert recbole.evaluate(trainer, loader) == many


@pytest.mark.parametrize("model", ["Random", "MacridVAE", "GRU4Rec"])
def test_where_a_batch_decides_on_scores_it_stays_as_it_was(model, rich, split_of):
    settings = {**settings_for(model, rich), "eval_batch_size": 1}
    split = split_of(settings)
    trained = training.train(settings, split, CPU)
    with training.tester(settings, split, CPU, trained.best) as (_, loader):
        assert len(loader) > 10


def test_the_stand_in_refuses_what_a_gpu_would():
    state = {"other": {"nested": [torch.rand(3, 2)]}}
    (there,), here = state["other"]["nested"], torch.tensor([0, 2])
    with StandInDevice(state):
        for mixed in (lambda: there[here], lambda: there[1:] + torch.rand(2, 2), lambda: (there * 2) @ here):
            with pytest.raises(MixedDevices, match="on the same device"):
                mixed()
        assert there.to(CPU)[here].shape == (2, 2)
        assert (there + 1).shape == (3, 2)
        assert torch.zeros(3, 2).copy_(there).equal(there.to(CPU))


def test_without_being_moved_what_a_model_keeps_would_be_refused(rich, split_of, tmp_path, monkeypatch):
    settings = settings_for("LightGCN", rich)
    state = through_a_file(training.train(settings, split_of(settings), CPU), tmp_path / "weights")
    monkeypatch.setattr(recbole, "copied_to", lambda value, device, always=False: value)
    with StandInDevice(state), pytest.raises(MixedDevices):
        training.evaluate(settings, split_of(settings), CPU, state)


def test_tensors_are_moved_wherever_they_are_held():
    held = {"a": [torch.ones(2), (torch.ones(1), {"b": torch.ones(3)})], "n": 3, "none": None, "s": "text"}
    moved = recbole.copied_to(held, META)
    assert [tensor.device for tensor in tensors_in(moved)] == [META] * 3
    assert (moved["n"], moved["none"], moved["s"]) == (3, None, "text")
    assert type(moved["a"][1]) is tuple
    assert held["a"][0].device == CPU


@pytest.mark.parametrize("model", PROPAGATING)
def test_the_best_epoch_is_tested_with_what_it_held_itself(model, rich, split_of, monkeypatch):
    """Not with the user vectors that the last epoch left behind."""
    settings = {**settings_for(model, rich), "learning_rate": PROPAGATING[model], "epochs": 8}
    split = split_of(settings)
    trained = training.train(settings, split, CPU)
    assert trained.best_epoch < trained.epochs, "else the two are one"
    live = []
    keep = recbole.checkpoint

    def look(trainer, *arguments):
        if not live:
            config = TypedConfig(settings, CPU, rich.parent)
            train, _, test = make_loaders(config, split)
            trainer.eval_collector.data_collect(train)
            live.append(recbole.evaluate(trainer, test))
        return keep(trainer, *arguments)

    monkeypatch.setattr(recbole, "checkpoint", look)
    until_then = training.train({**settings, "epochs": trained.best_epoch}, split, CPU)
    assert until_then.score == trained.score
    # RecBole rounds what it evaluates to four decimals; a test keeps all.
    rounded = lambda metrics: {name: round(value, 4) for name, value in metrics.items()}  # noqa: E731
    assert rounded(training.evaluate(settings, split, CPU, trained.best)) == live[0]
    assert rounded(training.evaluate(settings, split, CPU, trained.last)) != live[0]


@pytest.mark.parametrize(("model", "stage"), [("RaCT", "actor_pretrain"), ("S3Rec", "pretrain")])
def test_a_stage_without_a_score_is_refused_before_it_is_trained(model, stage, rich, split_of):
    settings = {**settings_for(model, rich), "train_stage": stage}
    with pytest.raises(TrialError, match=f"train_stage: {stage}, and is never validated.*finetune"):
        training.train(settings, split_of(settings), CPU)
