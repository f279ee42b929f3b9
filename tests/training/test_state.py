"""A trial that is stopped at an epoch's end and taken up again comes to what an undisturbed one comes to."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.catalogue import settings_for, splits, write_dataset
from helpers.clusters import dealt_clusters
from helpers.fast import COMPILED, CPU, RECBOLE, TORCH, settings_of, split_of, taking, write_interactions
from recsweep.common.errors import TrialError, TrialStopped
from recsweep.recbole_api import catalog
from recsweep.training import training
from recsweep.training.attributes import Attributes
from recsweep.training.fast.families import served
from recsweep.training.state import TrialState

DROPPING = {
    "GRU4Rec": {"dropout_prob": 0.3},
    "NGCF": {"node_dropout": 0.2, "message_dropout": 0.3},
    "NARM": {"dropout_probs": [0.2, 0.4]},
    "SASRec": {"hidden_dropout_prob": 0.2, "attn_dropout_prob": 0.3},
}
SMALL = {
    **{key: {"embedding_size": 16} for key in ("FPMC", "BPR", "LightGCN", "SGL", "STAMP", "FOSSIL", "NARM")},
    "GRU4Rec": {"embedding_size": 16, "hidden_size": 16},
    "NGCF": {"embedding_size": 16, "hidden_size_list": [8]},
    "GCMC": {"embedding_size": 8, "gcn_output_dim": 16},
    "NCL": {"embedding_size": 16, "num_clusters": 5, "warm_up_step": 1, "m_step": 3},
    "SASRec": {"hidden_size": 16, "inner_size": 16, "n_heads": 2, "n_layers": 1},
    "MultiDAE": {"mlp_hidden_size": [8], "latent_dimension": 8},
    "MultiVAE": {"mlp_hidden_size": [8], "latent_dimension": 8, "total_anneal_steps": 3},
    "NeuMF": {"mf_embedding_size": 8, "mlp_embedding_size": 8, "mlp_hidden_size": [8]},
    "DMF": {"user_hidden_size_list": [8], "item_hidden_size_list": [8]},
    "FISM": {"embedding_size": 8},
    "SimpleX": {"embedding_size": 8},
    "FM": {"embedding_size": 8},
    "DeepFM": {"embedding_size": 8, "mlp_hidden_size": [8]},
    "CDAE": {"embedding_size": 8},
    "MacridVAE": {"embedding_size": 8, "encoder_hidden_size": [8], "kfac": 2},
    "RecVAE": {"hidden_dimension": 8, "latent_dimension": 8},
}
"""Those with compiled kernels."""
COMPUTED = {"ADMMSLIM", "AsymKNN", "EASE", "ItemKNN", "Pop", "Random", "SLIMElastic"}
"""They have no epochs."""
PATHS = [(model, COMPILED) for model in SMALL] + [
    (model, TORCH) for model in sorted(served().keys() - COMPUTED)
]
SAMPLE = [("SASRec", COMPILED), ("BERT4Rec", TORCH), ("FPMC", RECBOLE)]
PLAIN_SAMPLE = ("SpectralCF", "DiffRec", "NeuMF")
# Not without libraries that are not here, or without a model trained before.
CANNOT = {"LightGBM", "XGBoost"}


@pytest.fixture(scope="module", autouse=True)
def clusters():
    with dealt_clusters():
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_interactions(tmp_path_factory.mktemp("state") / "small", users=40, items=30, longest=12)


@pytest.fixture(scope="module")
def rich(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("state-rich"))


@pytest.fixture(scope="module")
def rich_split(rich):
    return splits(rich.parent)


class Stopped(TrialStopped):
    """Raised where a test stops a trial."""


def stopped_after(epoch, settings, split, path):
    """The state after an epoch, through a file."""

    def watch(end):
        if end.epoch == epoch:
            end.state().save(path)
            raise Stopped

    with pytest.raises(Stopped):
        training.train(settings, split, CPU, watch=watch)
    state = TrialState.load(path)
    assert state is not None
    return state


def disturb():
    """What another process would have drawn meanwhile."""
    random.seed(99), np.random.seed(99), torch.manual_seed(99)


def same(one, other):
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def assert_same(found, expected):
    for field in dataclasses.fields(found):
        if field.name != "seconds":
            assert same(getattr(found, field.name), getattr(expected, field.name)), field.name


def check_taken_up(settings, split, tmp_path, after):
    whole, curve, rest = [], [], []
    expected = training.train(settings, split, CPU, lambda *end: whole.append(end))
    state = stopped_after(after, settings, split, tmp_path / "state.pt")
    disturb()
    found = training.train(settings, split, CPU, lambda *end: rest.append(end), resume=state)
    assert_same(found, expected)
    curve = [tuple(end) for end in state.curve] + rest
    assert curve == whole
    assert found.seconds > state.seconds > 0


def fast_settings(folder, model):
    own = settings_for(model, folder)
    params = {name: own[name] for name in own.keys() & {"embedding_size", "hidden_size", "inner_size"}}
    params |= {name: own[name] for name in own.keys() & {"n_layers", "n_heads", "train_neg_sample_args"}}
    if catalog.models()[model] == "context":  # these data have no labels
        params.pop("train_neg_sample_args", None)
    params |= SMALL.get(model, {}) | DROPPING.get(model, {})
    if "selected_features" in catalog.published_defaults(model):
        columns = {"inter": ["user_id", "item_id", "timestamp"], "item": ["item_id", "class"]}
        params |= {"selected_features": ["class"], "load_col": columns}
    return {**settings_of(folder, model, params), "epochs": 5, "train_batch_size": 64}


def check_path(model, path, folder, tmp_path):
    settings = fast_settings(folder, model)
    if path == RECBOLE:
        check_taken_up({**settings, "fast": False}, split_of(settings, folder), tmp_path, after=2)
        return
    with taking(path):
        check_taken_up(settings, split_of(settings, folder), tmp_path, after=2)


@pytest.mark.parametrize(("model", "path"), SAMPLE)
def test_a_trial_is_taken_up_as_if_undisturbed(model, path, folder, tmp_path):
    check_path(model, path, folder, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize(("model", "path"), [one for one in PATHS if one not in SAMPLE])
def test_every_fast_path_is_taken_up_as_if_undisturbed(model, path, folder, tmp_path):
    check_path(model, path, folder, tmp_path)


@pytest.mark.parametrize("model", PLAIN_SAMPLE)
def test_a_trial_on_recboles_code_is_taken_up_as_if_undisturbed(model, rich, rich_split, tmp_path):
    settings = {**settings_for(model, rich), "epochs": 4, "fast": False}
    check_taken_up(settings, rich_split(settings), tmp_path, after=2)


@pytest.mark.long
@pytest.mark.parametrize("model", sorted(catalog.models().keys() - CANNOT - COMPUTED - set(PLAIN_SAMPLE)))
def test_every_model_is_taken_up_as_if_undisturbed(model, rich, rich_split, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = {**settings_for(model, rich), "epochs": 3, "fast": False}
    check_taken_up(settings, rich_split(settings), tmp_path, after=2)


@pytest.fixture(scope="module")
def narm(folder):
    """Settings and data of a trial that soon gets no better."""
    settings = {**fast_settings(folder, "NARM"), "stopping_step": 1, "epochs": 30, "learning_rate": 0.1}
    return settings, split_of(settings, folder)


def test_early_stop_goes_on_counting(narm, tmp_path):
    settings, split = narm
    ends = []
    training.train(settings, split, CPU, lambda *end: ends.append(end))
    assert 2 < len(ends) < 30, "it stops early"
    check_taken_up(settings, split, tmp_path, after=len(ends) - 1)


def test_a_trial_that_is_over_is_not_trained_on(narm, tmp_path):
    settings, split = narm
    expected = training.train(settings, split, CPU)
    state = stopped_after(expected.epochs, settings, split, tmp_path / "state.pt")
    ends = []
    assert_same(training.train(settings, split, CPU, lambda *end: ends.append(end), resume=state), expected)
    assert ends == []


def test_asking_for_states_changes_nothing(folder):
    settings = fast_settings(folder, "SASRec")
    split = split_of(settings, folder)
    asked = training.train(settings, split, CPU, watch=lambda end: end.state())
    assert_same(asked, training.train(settings, split, CPU))


def a_state(**changes):
    names = [field.name for field in dataclasses.fields(TrialState)]
    return TrialState(**{**dict.fromkeys(names), "weights": {"a": torch.ones(500)}, "epoch": 3, **changes})


def test_a_damaged_file_is_no_state(tmp_path):
    path = tmp_path / "deep" / "state.pt"
    a_state().save(path)
    assert [one.name for one in path.parent.iterdir()] == ["state.pt"]
    assert same(vars(TrialState.load(path)), vars(a_state()))
    whole = path.read_bytes()
    position = whole.index(np.ones(9, np.float32).tobytes())
    for damaged in (whole[:-30], whole[: len(whole) // 2], b"", b"x" * 99, flipped(whole, position + 3)):
        path.write_bytes(damaged)
        assert TrialState.load(path) is None
    torch.save({"format": "another"}, path)
    assert TrialState.load(path) is None
    path.unlink()
    assert TrialState.load(path) is None


def flipped(whole, position):
    return whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :]


class Code:
    """Runs something where it is unpickled."""

    def __reduce__(self):
        return print, ("code has run",)


def test_a_file_with_code_is_no_state(tmp_path, capsys):
    a_state(steps=Code()).save(tmp_path / "state.pt")
    assert TrialState.load(tmp_path / "state.pt") is None
    assert capsys.readouterr().out == ""


def test_only_what_a_model_has_changed_is_kept():
    class Model(torch.nn.Module):
        def __init__(self, rate):
            super().__init__()
            self.rate, self.count, self.cached, self.array = rate, 0, None, np.zeros(3)
            self.shared = torch.zeros(2)
            self.layer = torch.nn.Linear(2, 2)
            self.layer.seen = [torch.zeros(2), 1]

    one, other = Model(0.1), Model(0.7)
    before, after = Attributes(one), Attributes(other)
    assert before.changed() == {}
    one.train(), one.layer.weight.data.add_(1)
    assert before.changed() == {}
    one.count, one.cached = 7, torch.ones(3, requires_grad=True) * 2
    one.array[1], one.layer.seen[0] = 5.0, torch.ones(2)
    one.shared.add_(3)
    looking = other.shared
    after.put(before.changed())
    assert (other.rate, other.count, other.array.tolist()) == (0.7, 7, [0.0, 5.0, 0.0])
    assert same([other.cached, other.layer.seen], [one.cached, one.layer.seen])
    assert not other.cached.requires_grad
    assert looking.tolist() == [3.0, 3.0], "whoever looks at the same tensor sees it"
    one.count = object()
    with pytest.raises(TrialError, match="Model keeps count, a object, from epoch to epoch"):
        before.changed()


_GOES_ON = """
import json, sys
from pathlib import Path
import torch
from helpers.fast import CPU, split_of
from recsweep.training import training
from recsweep.training.state import TrialState

settings, folder, state, out = json.loads(sys.argv[1]), *map(Path, sys.argv[2:])
split = split_of(settings, folder)
trained = training.train(settings, split, CPU, resume=TrialState.load(state))
weights = trained.last["state_dict"], trained.best["state_dict"]
torch.save([trained.score, trained.metrics, trained.epochs, *weights], out)
"""


@pytest.mark.long
@pytest.mark.parametrize("model", ["GRU4Rec", "SASRec", "BERT4Rec", "FPMC"])
def test_another_process_comes_to_the_same(model, folder, tmp_path):
    settings = fast_settings(folder, model)
    split = split_of(settings, folder)
    stopped_after(3, settings, split, tmp_path / "state.pt")
    expected = training.train(settings, split, CPU)
    files = (folder, tmp_path / "state.pt", tmp_path / "found.pt")
    command = [sys.executable, "-c", _GOES_ON, json.dumps(settings), *map(str, files)]
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": threads()})
    weights = expected.last["state_dict"], expected.best["state_dict"]
    found = torch.load(tmp_path / "found.pt", weights_only=True)
    assert same(found, [expected.score, expected.metrics, expected.epochs, *weights])


def threads():
    return str(torch.get_num_threads())
