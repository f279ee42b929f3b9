"""BERT4Rec's fast path: RecBole's masks, and without dropout its losses, metrics and parameters."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch

from helpers.fast import (
    CPU,
    TORCH,
    assert_equal_runs,
    reference,
    run,
    settings_of,
    split_of,
    write_interactions,
)
from recsweep.recbole_api import model as recbole
from recsweep.recbole_api.config import TypedConfig
from recsweep.recbole_api.data import make_loaders
from recsweep.training.fast import bert
from recsweep.training.fast.bert import Bert4Rec, Masked, Masking
from recsweep.training.fast.stream import Stream
from recsweep.training.fast.table import Table

MODEL = {
    **{"hidden_size": 16, "inner_size": 32, "n_layers": 2, "n_heads": 2},
    **{"hidden_dropout_prob": 0.0, "attn_dropout_prob": 0.0},
}
UNDETERMINED = ("key.bias",)  # a softmax does not change when all keys are moved alike
# Three epochs by each loss, whole and in parts: `test_fast_equality.py`.
VARIANTS: dict[str, dict[str, Any]] = {
    "one-layer": {"n_layers": 1},
    "three-layers": {"n_layers": 3, "n_heads": 4},
    "swish": {"hidden_act": "swish"},
    "many-masks": {"mask_ratio": 0.6},
    "only-random-masks": {"ft_ratio": 0.0},
    "only-last-masks": {"ft_ratio": 1.0},
    "rare-validation": {"eval_step": 2, "epochs": 2},
    "small-eval-batches": {"eval_batch_size": 25},
    "weight-decay": {"weight_decay": 0.01, "epochs": 2},
    "negatives-too": {"loss_type": "BPR", "train_neg_sample_args": {}},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_interactions(tmp_path_factory.mktemp("bert") / "toy", users=30)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    """A batch is cut into about ten parts."""
    monkeypatch.setattr(bert, "_VALUES_AT_ONCE", 128 * 16)


def both(folder, **changes: Any):
    if changes.get("train_neg_sample_args") == {}:
        negatives = {"distribution": "uniform", "sample_num": 1, "alpha": 1.0, "dynamic": False}
        changes["train_neg_sample_args"] = {**negatives, "candidate_num": 0}
    settings = settings_of(folder, "BERT4Rec", {**MODEL, **changes})
    split = split_of(settings, folder)
    return run(settings, split, TORCH, folder), reference(settings, split, folder)


@pytest.mark.parametrize("name", VARIANTS)
def test_with_other_settings_too(folder, name):
    found, expected = both(folder, **{"epochs": 1, **VARIANTS[name]})
    assert (found.path, expected.path) == (TORCH, "recbole (fast: false)")
    assert_equal_runs(found, expected, undetermined=UNDETERMINED)


def test_with_dropout_it_learns_about_the_same(folder):
    dropout = {"hidden_dropout_prob": 0.2, "attn_dropout_prob": 0.2}
    found, expected = both(folder, **dropout)
    assert found.losses == pytest.approx(expected.losses, rel=0.02)
    assert found.losses != pytest.approx(expected.losses, rel=1e-5)


def made(folder):
    settings = settings_of(folder, "BERT4Rec", MODEL)
    config = TypedConfig(settings, CPU, folder / "scratch")
    train, valid, _ = make_loaders(config, split_of(settings, folder))
    return train, valid, recbole.make_model(config, train)


def test_masks_are_those_of_recboles_loader(folder):
    with recbole.clean_globals():
        train, _, model = made(folder)
        state = train.generator.get_state()
        random.seed(5)
        theirs = list(train)
        train.generator.set_state(state)
        random.seed(5)
        masking = Masking(train)
        ours = [masking(batch.rows) for batch in Stream(train).epoch()]
    assert len(ours) == len(theirs)
    names = (model.MASK_ITEM_SEQ, model.MASK_INDEX, model.POS_ITEMS, model.NEG_ITEMS)
    for one, other in zip(ours, theirs, strict=True):
        columns = (one.sequences, one.places, one.positives, one.negatives)
        assert all(torch.equal(a, other[name]) for a, name in zip(columns, names, strict=True))


def test_scores_are_recboles_for_sequences_of_every_length(folder):
    with recbole.clean_globals(), torch.no_grad():
        _, valid, model = made(folder)
        torch.nn.init.normal_(model.output_bias)
        model.eval()
        family = Bert4Rec(model, None, 1)
        table = Table.of(valid, CPU)
        items, bias = family.candidates()
        found = family.queries(table, table.rows(0, len(table))) @ items.t() + bias
        expected = model.full_sort_predict(valid._dataset.inter_feat)
    assert {2, 12} < set(table.lengths.tolist())
    assert torch.allclose(found, expected, atol=1e-5)


def test_a_part_has_no_columns_of_padding_alone():
    places = torch.tensor([[0, 0, 3, 4], [0, 0, 0, 0], [0, 0, 0, 2], [1, 2, 3, 4]])
    sequences = torch.arange(20).view(4, 5)
    part = Masked(sequences, places, places * 10, places * 100).part(torch.tensor([0, 2]), longest=3)
    assert part.sequences.tolist() == [[0, 1, 2], [10, 11, 12]]
    assert part.places.tolist() == [[3, 4], [0, 2]]
    assert part.positives.tolist() == [[30, 40], [0, 20]]
    assert part.negatives.tolist() == [[300, 400], [0, 200]]


def test_another_transform_stays_with_recbole(folder):
    settings = settings_of(folder, "GRU4Rec", {"transform": "inverse_itemseq", "epochs": 1})
    found = run(settings, split_of(settings, folder), TORCH, folder)
    assert found.path == "recbole (transform: inverse_itemseq)"
