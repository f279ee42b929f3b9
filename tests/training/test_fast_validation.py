"""Validation by ranks, of every kind of model: RecBole's hits at RecBole's places, ties included."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch

from helpers.fast import (
    COMPILED,
    CPU,
    FAST_PATHS,
    RECBOLE,
    TORCH,
    assert_equal_runs,
    run,
    settings_of,
    split_of,
    taking,
    write_interactions,
)
from recsweep.recbole_api import model as recbole
from recsweep.recbole_api.config import TypedConfig
from recsweep.recbole_api.data import make_loaders
from recsweep.training.fast import sampled, scores, validation
from recsweep.training.fast import trainer as fast
from recsweep.training.fast.families import refused, scored
from recsweep.training.fast.table import Pairs

SHARES = {"split": {"RS": [0.6, 0.2, 0.2]}, "group_by": "user", "order": "RO"}
SEVERAL = {"eval_args": {**SHARES, "mode": {"valid": "full", "test": "full"}}}
"""Several right items for a user, instead of the last one."""
RANKED = {"metrics": ["NDCG", "Recall", "MRR", "MAP", "Hit", "Precision"], "topk": [1, 10, 20]}
SMALL: dict[str, dict[str, Any]] = {
    "BPR": {"embedding_size": 16},
    "LightGCN": {"embedding_size": 16, "n_layers": 2},
    "SpectralCF": {"embedding_size": 16, "n_layers": 2},
    "NeuMF": {"mf_embedding_size": 8, "mlp_embedding_size": 8, "mlp_hidden_size": [16, 8]},
    "MultiVAE": {"mlp_hidden_size": [32], "latent_dimension": 16},
    "MacridVAE": {"embedding_size": 16, "encoder_hidden_size": [24], "kfac": 3},
    "ItemKNN": {"k": 20},
    "EASE": {},
    "Pop": {},
    "NNCF": {"ui_embedding_size": 8, "num_conv_kernel": 4, "mlp_hidden_size": [10, 6]},
    "DMF": {"user_embedding_size": 8, "item_embedding_size": 8},
    "HGN": {"embedding_size": 16},
}
FEATURES = {"load_col": {"inter": ["user_id", "item_id", "timestamp"], "item": ["item_id", "class"]}}
ATTENTION = {"embedding_size": 6, "attention_size": 8, "n_layers": 1, "mlp_hidden_size": [10]}
CROSSED = {"embedding_size": 6, "cross_layer_num": 2, "mlp_hidden_size": [24, 10]}
SCORED: list[tuple[str, dict[str, Any]]] = [
    ("AutoInt", {**ATTENTION, "has_residual": False}),
    ("AutoInt", {**ATTENTION, **FEATURES, "n_layers": 3, "has_residual": True}),
    ("DSSM", {"embedding_size": 6, "mlp_hidden_size": [10, 8]}),
    ("DSSM", {"embedding_size": 6, "mlp_hidden_size": [10, 8], **FEATURES}),
    ("DCNV2", CROSSED),
    ("DCNV2", {**CROSSED, **FEATURES}),
    ("DCNV2", {**CROSSED, **FEATURES, "structure": "parallel"}),
]
"""Models that RecBole trains and a family scores."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_interactions(tmp_path_factory.mktemp("validation") / "toy", users=50)


def settings_for(folder, model: str, **changes: Any) -> dict[str, Any]:
    shares = {} if model == "HGN" else SEVERAL
    given = {**SMALL.get(model, {}), **RANKED, **shares, "epochs": 2, "train_batch_size": 128}
    return settings_of(folder, model, {**given, **changes})


class Both:
    """A trial's trainer, with RecBole's validation of the same weights beside the fast one."""

    def __init__(self, folder, settings: dict[str, Any]) -> None:
        config = TypedConfig(settings, CPU, folder / "scratch")
        self.train, self.valid, self.test = make_loaders(config, split_of(settings, folder))
        self.model = recbole.make_model(config, self.train)
        self.trainer = recbole.make_trainer(config, self.model)
        self.plain = self.trainer.evaluate
        self.trainer.eval_collector.data_collect(self.train)
        self.path, self.finish = fast.install(self.trainer, self.train, self.valid, wanted=True)
        self._seen: list[Any] = []
        evaluate = self.trainer.evaluator.evaluate
        self.trainer.evaluator.evaluate = lambda data: (self._seen.append(data), evaluate(data))[1]

    @property
    def is_fast(self) -> bool:
        return self.trainer.evaluate != self.plain

    def compare(self) -> dict[str, float]:
        """Metrics; hits and lists are the same, each at its place."""
        found = self.trainer.evaluate(self.valid, load_best_model=False)
        expected = self.plain(self.valid, load_best_model=False)
        ours, theirs = self._seen[-2:]
        for name in ("rec.topk", "rec.items"):
            assert (name in ours) == (name in theirs)
            assert name not in theirs or torch.equal(ours.get(name), theirs.get(name))
        assert dict(found) == pytest.approx(dict(expected), abs=1e-6)
        return dict(found)


@pytest.fixture
def clean():
    with recbole.clean_globals():
        yield


@pytest.mark.usefixtures("clean")
@pytest.mark.parametrize("model", SMALL)
def test_a_validation_has_recboles_hits_at_recboles_places(folder, model):
    both = Both(folder, settings_for(folder, model))
    assert both.is_fast
    recbole.fit(both.trainer, both.train, both.valid, lambda epoch, score: None)
    assert len(both.compare()) == 18


@pytest.mark.usefixtures("clean")
@pytest.mark.parametrize("path", FAST_PATHS)
@pytest.mark.parametrize(("model", "changes"), SCORED)
def test_scores_alone_are_recboles_where_it_trains(folder, model, changes, path):
    with taking(path):
        both = Both(folder, settings_for(folder, model, epochs=1, **changes))
    assert (both.path.name, both.path.reason) == ("recbole", refused()[model])
    assert type(both.trainer.evaluate.__self__._family) is scored()[model]
    recbole.fit(both.trainer, both.train, both.valid, lambda epoch, score: None)
    with torch.no_grad():  # rates of several digits, not all near a half
        for weight in both.model.parameters():
            weight += 0.2 * torch.randn(weight.shape)
    both.compare()


def test_every_model_that_is_scored_alone_is_tried():
    assert {model for model, _ in SCORED} == set(scored())


@pytest.mark.usefixtures("clean")
@pytest.mark.parametrize("path", FAST_PATHS)
@pytest.mark.parametrize("model", ["BPR", "LightGCN"])
def test_ties_are_decided_as_recbole_decides_them(folder, model, path, monkeypatch):
    with taking(path):
        both = Both(folder, settings_for(folder, model))
    monkeypatch.setattr(scores, "SCORES_AT_ONCE", 700)  # seven users at once
    weights = both.model.item_embedding.weight.data
    apart = both.compare()
    weights[1:40] = weights[1]
    both.model.load_other_parameter({"restore_user_e": None, "restore_item_e": None})
    some = both.compare()
    weights[:] = 0
    both.model.load_other_parameter({"restore_user_e": None, "restore_item_e": None})
    both.compare()
    weights[3] = torch.nan
    both.model.load_other_parameter({"restore_user_e": None, "restore_item_e": None})
    both.compare()
    assert apart != some


@pytest.mark.usefixtures("clean")
@pytest.mark.parametrize("path", FAST_PATHS)
@pytest.mark.parametrize("model", ["BPR", "Pop", "FPMC"])
def test_metrics_of_lists_are_computed_from_recboles_lists(folder, model, path):
    chosen = {"metrics": ["ItemCoverage", "AveragePopularity", "GiniIndex", "TailPercentage", "NDCG"]}
    shares = {} if model == "FPMC" else SEVERAL
    with taking(path):
        both = Both(folder, settings_of(folder, model, {**RANKED, **shares, **chosen, "epochs": 1}))
    assert both.is_fast
    recbole.fit(both.trainer, both.train, both.valid, lambda epoch, score: None)
    assert len(both.compare()) == 15


@pytest.mark.usefixtures("clean")
@pytest.mark.parametrize(("mode", "path"), [("uni20", COMPILED), ("pop5", TORCH)])
@pytest.mark.parametrize("model", ["BPR", "MultiVAE", "MacridVAE", "SpectralCF", "Random"])
def test_sampled_candidates_are_recboles_and_so_are_their_hits(folder, model, mode, path, monkeypatch):
    monkeypatch.setattr(sampled, "PAIRS_AT_ONCE", 700)
    monkeypatch.setattr(scores, "SCORES_AT_ONCE", 900)
    changes = {"eval_args": {**SHARES, "mode": {"valid": mode, "test": mode}}, "eval_batch_size": 300}
    with taking(path):
        both = Both(folder, settings_for(folder, model, **changes))
    assert both.is_fast
    recbole.fit(both.trainer, both.train, both.valid, lambda epoch, score: None)
    states = []
    for evaluate in (both.trainer.evaluate, both.plain) * 2:
        seed_everything(len(states) // 2)
        found = evaluate(both.valid, load_best_model=False)
        states.append((np.random.random(), random.random(), torch.rand(1), dict(found)))
    for ours, theirs in (states[:2], states[2:]):
        assert ours[:3] == theirs[:3]
        assert ours[3] == pytest.approx(theirs[3], abs=1e-6)
    assert states[0][3] != states[2][3]
    for ours, theirs in (both._seen[-4:-2], both._seen[-2:]):
        assert torch.equal(ours.get("rec.topk"), theirs.get("rec.topk"))


def seed_everything(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


@pytest.mark.usefixtures("clean")
def test_metrics_without_loops_are_recboles_own(folder):
    both = Both(folder, settings_for(folder, "BPR"))
    hits = torch.rand(40, 20).numpy() < 0.2
    right = torch.randint(1, 30, (40,), dtype=torch.int32).numpy()
    for name, metric in both.trainer.evaluator.metric_class.items():
        given = (hits,) if name in ("mrr", "hit", "precision") else (hits, right)
        assert (metric.metric_info(*given) == type(metric).metric_info(metric, *given)).all(), name


@pytest.mark.usefixtures("clean")
def test_a_model_that_draws_its_scores_stays_with_recbole(folder):
    both = Both(folder, settings_for(folder, "Random"))
    states, found = [], []
    for evaluate in (both.plain, both.trainer.evaluate, both.trainer.evaluate):
        torch.manual_seed(5)
        found.append(dict(evaluate(both.valid, load_best_model=False)))
        states.append(torch.get_rng_state())
    assert found[0] == found[1] == found[2]
    assert all(torch.equal(state, states[0]) for state in states)


@pytest.mark.parametrize("model", ["SpectralCF", "LINE"])
def test_training_is_recboles_to_the_last_bit(folder, model):
    settings = settings_for(folder, model)
    split = split_of(settings, folder)
    ours, theirs = run(settings, split, TORCH, folder), run(settings, split, RECBOLE, folder)
    assert ours.path == f"recbole ({model} has no fast path)"
    assert ours.losses == theirs.losses
    assert all(torch.equal(ours.parameters[name], values) for name, values in theirs.parameters.items())
    assert ours.metrics == [pytest.approx(other, abs=1e-6) for other in theirs.metrics]


@pytest.mark.parametrize("path", FAST_PATHS)
def test_bpr_with_several_right_items_is_equal_on_both_paths(folder, path):
    settings = settings_for(folder, "BPR")
    split = split_of(settings, folder)
    found = run(settings, split, path, folder)
    assert found.path == path
    assert_equal_runs(found, run(settings, split, RECBOLE, folder))


# -- when it is not taken --------------------------------------------------------------------------


@pytest.mark.usefixtures("clean")
@pytest.mark.parametrize(
    "changes",
    [
        {"metrics": ["GAUC"], "valid_metric": "GAUC"},
        {"metrics": ["GAUC"], "eval_args": {**SHARES, "mode": {"valid": "uni20", "test": "uni20"}}},
    ],
    ids=["gauc", "gauc-sampled"],
)
def test_what_needs_more_than_ranks_is_recboles(folder, changes):
    assert not Both(folder, settings_for(folder, "LightGCN", **changes)).is_fast


@pytest.mark.usefixtures("clean")
def test_somebodys_own_model_or_validation_is_left_alone(folder):
    both = Both(folder, settings_for(folder, "LightGCN"))
    assert validation.is_recboles(both.trainer)

    class Own(type(both.trainer)):
        def _full_sort_batch_eval(self, batched_data):
            raise NotImplementedError

    theirs = both.trainer.__class__
    both.trainer.__class__ = Own
    assert not validation.is_recboles(both.trainer)
    both.trainer.__class__ = theirs
    both.model.__class__ = type("LightGCN", (type(both.model),), {})
    assert not validation.is_recboles(both.trainer)


@pytest.mark.usefixtures("clean")
def test_the_test_split_is_evaluated_by_recbole(folder, monkeypatch):
    both = Both(folder, settings_for(folder, "LightGCN"))
    monkeypatch.setattr(
        validation.ranking, "found", lambda *given, **named: pytest.fail("RecBole's is meant")
    )
    assert both.trainer.evaluate(both.test, load_best_model=False)


def test_pairs_of_some_rows():
    pairs = Pairs.of([torch.tensor(some) for some in ([4, 2], [], [9], [7, 8, 1])], CPU)
    owners, items = pairs.at(torch.tensor([3, 1, 0, 3]))
    assert owners.tolist() == [0, 0, 0, 2, 2, 3, 3, 3]
    assert items.tolist() == [1, 7, 8, 2, 4, 1, 7, 8]
    owners, items = pairs.at(torch.tensor([1, 2, 3]))
    assert owners.tolist() == [1, 2, 2, 2]
    assert items.tolist() == [9, 1, 7, 8]
    assert torch.equal(pairs.of_rows(torch.tensor([3, 0])).items, torch.tensor([1, 7, 8, 2, 4]))
