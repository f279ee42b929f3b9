"""One trial: a pure function that equals RecBole, keeps the best weights and never sees the test split."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.trials import CPU, OVERFITTING, settings_of, train
from recsweep.common.devices import resolve_device
from recsweep.common.errors import TrialDiverged
from recsweep.common.files import to_plain, write_yaml
from recsweep.datasets.prepare import prepare
from recsweep.recbole_api import model as recbole
from recsweep.recbole_api.config import TypedConfig
from recsweep.recbole_api.data import make_loaders
from recsweep.recbole_api.settings import precision_settings
from recsweep.sweeps.config import TrainingConfig
from recsweep.training import training
from recsweep.training.fast.factorized import Fpmc
from recsweep.training.fast.table import Table

TINY_GRU = {"hidden_size": 8, "embedding_size": 8, "learning_rate": 0.01}


def loaders_and_trainer(plan, folder: Path, **changes):
    """RecBole's own objects for the same trial."""
    settings = settings_of(plan, **changes)
    split = prepare(settings, plan.files, plan.outputs.cache).split
    config = TypedConfig(settings, CPU, folder)
    loaders = make_loaders(config, split)
    model = recbole.make_model(config, loaders[0])
    trainer = recbole.make_trainer(config, model)
    trainer.eval_collector.data_collect(loaders[0])
    return loaders, trainer


@pytest.fixture(scope="module")
def module_memory():
    return {}


@pytest.fixture
def overfitted(make_plan, module_memory):
    """A trial whose last epoch is worse than its best one; trained once."""
    plan = make_plan("FOSSIL")
    if "overfitted" not in module_memory:
        module_memory["overfitted"] = train(plan, **OVERFITTING)
    trained = module_memory["overfitted"]
    assert trained.best_epoch < trained.epochs
    return plan, trained


# -- purity ---------------------------------------------------------------------------------------


def test_a_trial_gives_the_same_whatever_ran_before_it(make_plan):
    plan = make_plan("FPMC")
    fast = {"learning_rate": 0.1}
    first = train(plan, **fast)
    train(make_plan("FOSSIL"))
    random.seed(5), np.random.seed(5), torch.manual_seed(5)
    again = train(plan, **fast)
    assert again.score > 0
    assert (again.score, again.metrics, again.best_epoch) == (first.score, first.metrics, first.best_epoch)
    weights, expected = again.best["state_dict"], first.best["state_dict"]
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


def test_another_seed_is_another_trial(make_plan):
    plan = make_plan("FPMC")
    first, second = (train(plan, seed=seed).best["state_dict"] for seed in (1, 2))
    assert any(not torch.equal(first[name], second[name]) for name in first)


def test_nothing_global_is_left_behind(make_plan, tmp_path, monkeypatch):
    plan = make_plan("FPMC")
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    switches = torch.backends.cudnn
    monkeypatch.setattr(switches, "benchmark", True)
    monkeypatch.setattr(switches, "deterministic", False)
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    train(plan)
    assert (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()) == states
    assert (switches.benchmark, switches.deterministic) == (True, False)
    assert list(empty.iterdir()) == [], "no saved/, log/ or log_tensorboard/"


def test_nothing_global_is_left_behind_by_a_trial_that_fails_either(make_plan):
    state = torch.get_rng_state().tolist()
    with pytest.raises(TrialDiverged):
        train(make_plan("FPMC"), learning_rate=1e30)
    assert torch.get_rng_state().tolist() == state


def test_the_given_settings_are_not_changed(make_plan):
    plan = make_plan("FPMC")
    settings = settings_of(plan)
    before = json.dumps(to_plain(settings))
    training.train(settings, prepare(settings, plan.files, plan.outputs.cache).split, CPU)
    assert json.dumps(to_plain(settings)) == before


# -- epochs ---------------------------------------------------------------------------------------


def test_every_validation_is_told_with_epochs_from_one(make_plan):
    told = []
    trained = train(make_plan("FPMC"), lambda epoch, score: told.append((epoch, score)), epochs=3)
    assert [epoch for epoch, _ in told] == [1, 2, 3]
    assert max(score for _, score in told) == trained.score
    assert trained.metrics["ndcg@10"] == trained.score


def test_who_watches_sees_all_metrics_and_the_loss(make_plan):
    plan = make_plan()
    settings = settings_of(plan, epochs=2)
    split = prepare(settings, plan.files, plan.outputs.cache).split
    ends = []
    trained = training.train(settings, split, CPU, lambda epoch, score: None, watch=ends.append)
    assert [end.seen["ndcg@10"] for end in ends] == [end.score for end in ends]
    assert ends[-1].seen["loss"] < ends[0].seen["loss"]
    assert {*ends[0].seen} == {*trained.metrics, "loss"}


def test_with_eval_step_two_every_second_epoch_is_told(make_plan):
    told = []
    trained = train(make_plan("FPMC"), lambda epoch, score: told.append(epoch), epochs=4, eval_step=2)
    assert told == [2, 4]
    assert trained.best_epoch in told


def test_training_stops_after_stopping_step_validations_without_progress(overfitted):
    plan, _ = overfitted
    trained = train(plan, **{**OVERFITTING, "epochs": 20, "stopping_step": 1})
    assert trained.epochs < 20
    assert trained.epochs == trained.best_epoch + 2


def test_whoever_watches_may_stop_a_trial(make_plan):
    class Enough(Exception):
        pass

    def stop(epoch, score):
        raise Enough

    with pytest.raises(Enough):
        train(make_plan("FPMC"), stop, epochs=5)


@pytest.mark.parametrize("model", ["FPMC", "FOSSIL"])
def test_a_diverging_trial_says_so(make_plan, model):
    with pytest.raises(TrialDiverged, match="training loss is NaN in epoch 1"):
        train(make_plan(model), learning_rate=1e30)


def test_an_infinite_loss_is_a_divergence_too(make_plan, monkeypatch):
    from recbole.model.sequential_recommender.fpmc import FPMC

    original = FPMC.calculate_loss
    monkeypatch.setattr(FPMC, "calculate_loss", lambda self, batch: original(self, batch) + float("inf"))
    with pytest.raises(TrialDiverged, match=r"training loss is (inf|NaN) in epoch 1"):
        train(make_plan("FPMC"), fast=False)


def test_an_infinite_loss_on_a_fast_path_is_a_divergence_too(make_plan, monkeypatch):
    monkeypatch.setattr(Fpmc, "step", lambda self, table, batch: float("inf"))
    with pytest.raises(TrialDiverged, match=r"training loss is inf in epoch 1"):
        train(make_plan("FPMC"))


# -- weights --------------------------------------------------------------------------------------


def test_the_best_weights_are_kept_and_give_the_reported_score(overfitted, tmp_path):
    plan, trained = overfitted
    (_, valid, _), trainer = loaders_and_trainer(plan, tmp_path, **OVERFITTING)
    recbole.restore(trainer.model, trained.best, CPU)
    assert recbole.evaluate(trainer, valid) == pytest.approx(trained.metrics, abs=1e-9)
    recbole.restore(trainer.model, trained.last, CPU)
    assert recbole.evaluate(trainer, valid)["ndcg@10"] < trained.score
    assert trained.best["epoch"] == trained.best_epoch - 1
    assert trained.last["epoch"] == trained.epochs - 1


def test_checkpoints_are_read_as_weights_only_and_by_recboles_own_trainer(overfitted, tmp_path):
    plan, trained = overfitted
    folder = tmp_path / "trial-0"
    assert training.save_checkpoints(folder, trained)
    assert sorted(path.name for path in folder.iterdir()) == ["best.pth", "last.pth"]
    state = torch.load(folder / "best.pth", weights_only=True)
    assert state["config"] == to_plain(settings_of(plan, **OVERFITTING))

    (_, valid, _), trainer = loaders_and_trainer(plan, tmp_path, **OVERFITTING)
    result = trainer.evaluate(valid, load_best_model=True, model_file=str(folder / "best.pth"))
    assert float(result["ndcg@10"]) == pytest.approx(trained.score, abs=1e-9)
    trainer.resume_checkpoint(str(folder / "last.pth"))
    assert trainer.start_epoch == trained.epochs
    assert trainer.best_valid_score == trained.score


def test_a_damaged_or_missing_checkpoint_is_none(overfitted, tmp_path):
    _, trained = overfitted
    assert training.load_checkpoint(tmp_path / "nowhere") is None
    training.save_checkpoints(tmp_path / "t", trained)
    content = (tmp_path / "t" / "best.pth").read_bytes()
    (tmp_path / "t" / "best.pth").write_bytes(content[: len(content) // 2])
    assert training.load_checkpoint(tmp_path / "t") is None
    assert training.load_checkpoint(tmp_path / "t", "last") is not None


def test_weights_that_cannot_be_stored_safely_are_not_kept(overfitted, tmp_path, monkeypatch):
    import dataclasses

    monkeypatch.setattr(training, "_STORABLE", set())

    _, trained = overfitted
    odd = dataclasses.replace(trained, best={**trained.best, "other_parameter": {"x": object()}})
    assert training.save_checkpoints(tmp_path / "t", odd) is False
    assert not (tmp_path / "t").exists()


# -- validation and test --------------------------------------------------------------------------


@pytest.mark.parametrize("fast", [True, False])
def test_the_test_split_is_never_looked_at_while_training(make_plan, monkeypatch, fast):
    plan = make_plan("FPMC")
    settings = settings_of(plan, fast=fast)
    split = prepare(settings, plan.files, plan.outputs.cache).split
    seen = []
    original = torch.utils.data.DataLoader.__iter__
    monkeypatch.setattr(
        torch.utils.data.DataLoader, "__iter__", lambda self: (seen.append(self), original(self))[1]
    )
    tabled = Table.of.__func__
    monkeypatch.setattr(
        Table,
        "of",
        classmethod(lambda cls, loader, device: (seen.append(loader), tabled(cls, loader, device))[1]),
    )
    training.train(settings, split, CPU)

    def part_of(loader) -> int:
        times = loader._dataset.inter_feat["timestamp"].sort().values
        matches = [
            number
            for number, part in enumerate(split.parts)
            if torch.equal(part.inter_feat["timestamp"].sort().values, times)
        ]
        assert len(matches) == 1
        return matches[0]

    assert {part_of(loader) for loader in seen} == {0, 1}


def test_the_winner_is_tested_with_its_best_weights(overfitted, tmp_path):
    plan, trained = overfitted
    settings = settings_of(plan, **OVERFITTING)
    split = prepare(settings, plan.files, plan.outputs.cache).split
    metrics = training.evaluate(settings, split, CPU, trained.best)
    assert metrics != training.evaluate(settings, split, CPU, trained.last)
    (_, _, test), trainer = loaders_and_trainer(plan, tmp_path, **OVERFITTING)
    recbole.restore(trainer.model, trained.best, CPU)
    tested = recbole.evaluate(trainer, test)
    assert {name: round(value, 4) for name, value in metrics.items()} == tested


# -- RecBole itself -------------------------------------------------------------------------------

PLAIN_RECBOLE = """
import json, sys
from recsweep.recbole_api import compat
compat.apply()
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import get_model, get_trainer, init_seed

files, results, sys.argv = sys.argv[1:], [], sys.argv[:1]
for file in files:
    config = Config(config_file_list=[file])
    init_seed(config["seed"], config["reproducibility"])
    dataset = create_dataset(config)
    train, valid, test = data_preparation(config, dataset)
    init_seed(config["seed"], config["reproducibility"])
    model = get_model(config["model"])(config, train._dataset).to(config["device"])
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    score, metrics = trainer.fit(train, valid, verbose=False, saved=True)
    tested = trainer.evaluate(test, load_best_model=True)
    plain = [{name: float(value) for name, value in found.items()} for found in (metrics, tested)]
    results.append([float(score), *plain])
print("RESULTS", json.dumps(results))
"""


def test_recbole_itself_reads_our_config_and_comes_to_the_same_scores(make_plan, tmp_path):
    """Every setting goes through the file: `best_config.yaml` has this content."""
    trials = [
        ("FPMC", {"time_order": "recbole", "learning_rate": 0.1, "epochs": 2}),
        ("FOSSIL", {"time_order": "recbole", "learning_rate": 0.03, "epochs": 2}),
        ("GRU4Rec", {"time_order": "recbole", **TINY_GRU}),
        ("FPMC", {"learning_rate": 0.1}),  # exact times, which RecBole does not know
    ]
    files = []
    for number, (model, changes) in enumerate(trials):
        files.append(tmp_path / f"{number}.yaml")
        write_yaml(files[-1], settings_of(make_plan(model), **changes))
    done = subprocess.run(
        [sys.executable, "-c", PLAIN_RECBOLE, *map(str, files)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    plain = json.loads(done.stdout.split("RESULTS ")[1])
    for (model, changes), (score, metrics, tested) in zip(trials, plain, strict=True):
        assert 0 <= score <= 1
        if changes.get("time_order") != "recbole":
            continue
        plan = make_plan(model)
        trained = train(plan, **changes, fast=False)
        assert (trained.score, trained.metrics) == (score, metrics), model
        settings = settings_of(plan, **changes)
        split = prepare(settings, plan.files, plan.outputs.cache).split
        in_full = training.evaluate(settings, split, CPU, trained.best)
        assert {name: round(value, 4) for name, value in in_full.items()} == tested, model
        assert in_full != tested, "RecBole rounds, the test of a winner does not"
        if model != "GRU4Rec":  # it has dropout, whose masks are others on the fast path
            fast = train(plan, **changes)
            assert fast.metrics == pytest.approx(metrics, abs=1e-4), model
            assert training.evaluate(settings, split, CPU, fast.best) == pytest.approx(tested, abs=1e-4)


@pytest.mark.parametrize("fast", [True, False])
def test_mixed_precision_trains_on_the_cpu_too_and_comes_to_other_weights(make_plan, fast):
    plan = make_plan("GRU4Rec")
    mixed = precision_settings(TrainingConfig(precision="mixed"))
    first, again, plain = (train(plan, **TINY_GRU, **more, fast=fast) for more in (mixed, mixed, {}))
    assert first.score == again.score
    states = [trained.best["state_dict"] for trained in (first, again, plain)]
    name = "item_embedding.weight"
    assert all(state[name].dtype == torch.float32 for state in states)
    assert torch.equal(states[0][name], states[1][name])
    assert not torch.equal(states[0][name], states[2][name])


def test_losses_are_scaled_on_a_gpu_only_where_float16_needs_it(make_plan, tmp_path):
    settings = settings_of(make_plan(), **precision_settings(TrainingConfig(precision="mixed")))
    for device, scaled in [("cpu", False), ("cuda:1", True)]:
        config = TypedConfig(settings, torch.device(device), tmp_path)
        assert (config["enable_amp"], config["enable_scaler"]) == (True, scaled)


def test_a_device_with_a_number_is_taken_as_it_is(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("cuda:1") == torch.device("cuda:1")
    assert resolve_device("auto") == torch.device("cuda")


def test_a_macs_gpu_is_taken_or_refused(monkeypatch):
    from recsweep.common.errors import UserError

    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(UserError, match="device: mps was asked for, but torch sees no GPU of a Mac"):
        resolve_device("mps")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert resolve_device("mps") == torch.device("mps")


def test_auto_takes_a_device_that_is_there():
    from recsweep.common.errors import UserError

    assert resolve_device("cpu") == CPU
    assert resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match=r"torch sees no GPU.*device: auto"):
            resolve_device("cuda")
