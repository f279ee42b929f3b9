"""Sequential models without a family of their own: RecBole's loss over parts of a batch is RecBole's."""

from __future__ import annotations

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
from recsweep.recbole_api import catalog
from recsweep.recbole_api import model as recbole
from recsweep.recbole_api.config import TypedConfig
from recsweep.recbole_api.data import make_loaders
from recsweep.training.fast import own_loss
from recsweep.training.fast import trainer as fast
from recsweep.training.fast.families import refused, served
from recsweep.training.fast.own_loss import ALLOWED, OwnLoss, padded_in_front, session_graph
from recsweep.training.fast.stream import Batch, Stream
from recsweep.training.fast.table import Table

FEATURES = {
    "selected_features": ["class"],
    "load_col": {"inter": ["user_id", "item_id", "timestamp"], "item": ["item_id", "class"]},
}
SIZE = {"embedding_size": 16}
ATTENTION = {
    **{"hidden_size": 16, "inner_size": 32, "n_layers": 2, "n_heads": 2},
    **{"hidden_dropout_prob": 0.0, "attn_dropout_prob": 0.0},
}
DRY = {"dropout_prob": 0.0}
CASES: dict[str, dict[str, Any]] = {
    "CORE": {**ATTENTION, **SIZE, "sess_dropout": 0.0, "item_dropout": 0.0},
    "FDSA": {**ATTENTION, **FEATURES},
    "GCSAN": ATTENTION,
    "GRU4RecF": {**SIZE, **DRY, **FEATURES, "hidden_size": 16},
    "HRM": {**SIZE, **DRY},
    "LightSANs": ATTENTION,
    "NPE": {**SIZE, **DRY},
    "RepeatNet": {**SIZE, **DRY, "hidden_size": 16},
    "SASRecF": {**ATTENTION, **FEATURES},
    "SHAN": SIZE,
    "SRGNN": SIZE,
    "TransRec": SIZE,
}
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("CORE", {"dnn_type": "ave"}),
    ("HRM", {"pooling_type_layer_1": "average", "pooling_type_layer_2": "average"}),
    ("HRM", {"high_order": 9}),
    ("SHAN", {"short_item_length": 9, "reg_weight": [0.1, 0.1]}),
    ("NPE", {"weight_decay": 0.01}),  # has an embedding that nothing uses and nothing may decay
    ("GCSAN", {"step": 2}),
    ("SRGNN", {"step": 2}),
]
"""What `test_fast_equality.py` has not: each model trains there for three epochs by each of its losses, whole
and in parts."""
NOT_RUN = {"DIEN", "GRU4RecKG", "KSR"}
"""Refused models that want more data than made-up interactions."""
# A softmax does not change when all its arguments are moved alike. LightSANs takes it over the queries.
UNDETERMINED = (
    *("key.bias", "Ve.bias", "net.fn.bias", "net.trm_encoder.layer.1.feed_forward.LayerNorm.bias"),
    *("trm_encoder.layer.0.multi_head_attention.query.bias", "pos_q_linear.bias"),
    "trm_encoder.layer.1.multi_head_attention.query.bias",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_interactions(tmp_path_factory.mktemp("sequences") / "toy", users=30)


@pytest.fixture(scope="module")
def more_users(tmp_path_factory):
    """Of whom most parts are of training, the fewer of validation."""
    return write_interactions(tmp_path_factory.mktemp("more") / "toy", users=60)


@pytest.fixture
def small_parts(monkeypatch):
    """A batch is cut into about ten parts."""
    monkeypatch.setattr(own_loss, "_VALUES_AT_ONCE", 128 * 16)
    monkeypatch.setattr(own_loss, "_ROWS_AT_ONCE", 25)


def both(folder, model: str, **changes: Any):
    settings = settings_of(folder, model, {**CASES[model], **changes})
    split = split_of(settings, folder)
    return run(settings, split, TORCH, folder), reference(settings, split, folder)


# -- equality -------------------------------------------------------------------------------------


def test_every_allowed_model_has_a_case():
    assert set(CASES) == set(ALLOWED)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize(("model", "changes"), VARIANTS)
def test_other_settings_of_a_model_too(folder, model, changes):
    found, expected = both(folder, model, **changes, epochs=2)
    assert (found.path, expected.path) == (TORCH, "recbole (fast: false)")
    assert_equal_runs(found, expected, undetermined=UNDETERMINED)


@pytest.mark.parametrize("model", [name for name, recipe in ALLOWED.items() if recipe.trim])
def test_a_trimmed_model_really_gets_short_parts(more_users, model, small_parts, monkeypatch):
    widths = []
    original = own_loss.interaction
    monkeypatch.setattr(
        own_loss, "interaction", lambda f: (widths.append(f["item_id_list"].shape), original(f))[1]
    )
    settings = settings_of(more_users, model, {**CASES[model], "epochs": 1})
    run(settings, split_of(settings, more_users), TORCH, more_users)
    assert min(width for _, width in widths) == 1
    assert max(width for _, width in widths) == 12
    assert all(rows * width <= 128 or rows == 1 for rows, width in widths[: len(widths) // 2])


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize(("model", "loss"), [("SRGNN", "CE"), ("SRGNN", "BPR"), ("CORE", "CE")])
def test_a_batch_sorted_for_a_gpu_has_the_same_gradients(folder, model, loss):
    settings = settings_of(folder, model, {**CASES[model], "loss_type": loss})
    with recbole.clean_globals():
        config = TypedConfig(settings, CPU, folder / "scratch")
        train, _, _ = make_loaders(config, split_of(settings, folder))
        family = OwnLoss(recbole.make_model(config, train), None, 1)
        table, batch = Table.of(train, CPU), next(Stream(train).epoch())
    found = []
    order = torch.argsort(table.lengths[batch.rows], descending=True)
    rows, negatives = batch.rows[order], None if batch.negatives is None else batch.negatives[order]
    for one in (batch, Batch(rows, negatives, rows, negatives)):
        value = family.step(table, one)
        found.append(torch.cat([value.view(1), *(weight.grad.flatten() for weight in family.weights)]))
        family.model.zero_grad()
    assert torch.allclose(found[0], found[1], rtol=1e-4, atol=1e-7)


def test_core_drops_the_same_items_in_all_parts_of_a_batch(folder, small_parts, monkeypatch):
    masks = []
    original = own_loss._OncePerBatch.forward

    def watched(self, x):
        result = original(self, x)
        masks.append(result == 0)
        return result

    monkeypatch.setattr(own_loss._OncePerBatch, "forward", watched)
    settings = settings_of(folder, "CORE", {**CASES["CORE"], "item_dropout": 0.5, "epochs": 1})
    found = run(settings, split_of(settings, folder), TORCH, folder)
    batches = len(found.batches)
    assert len(masks) > 3 * batches
    assert len({mask.numpy().tobytes() for mask in masks}) == batches


# -- what replaces RecBole's loops ----------------------------------------------------------------


@pytest.fixture(params=[1, 2, 5, 20])
def padded(request):
    """Sequences [200, width] in which items come back, and their lengths."""
    width, numbers = request.param, torch.Generator().manual_seed(3)
    lengths = torch.randint(1, width + 1, (200,), generator=numbers)
    items = torch.randint(1, 7, (200, width), generator=numbers)
    return items * (torch.arange(width) < lengths[:, None]), lengths


class Stub:
    device = "cpu"


def test_the_graph_is_recboles(padded):
    from recbole.model.sequential_recommender.gcsan import GCSAN
    from recbole.model.sequential_recommender.srgnn import SRGNN

    ours, theirs = session_graph(padded[0]), SRGNN._get_slice(Stub, padded[0])
    assert all(torch.equal(one, other) for one, other in zip(ours, theirs[:3], strict=True))
    theirs = GCSAN._get_slice(Stub, padded[0])
    assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))


def test_padding_in_front_is_recboles(padded):
    from recbole.model.sequential_recommender.hrm import HRM

    assert torch.equal(padded_in_front(*padded), HRM.inverse_seq_item(Stub, *padded))


# -- refusals -------------------------------------------------------------------------------------


def test_every_sequential_model_of_recbole_is_decided():
    models = {name for name, family in catalog.models().items() if family == "sequential"}
    own_trainer = {"S3Rec"}
    assert models - set(served()) == (set(refused()) & models) | own_trainer
    assert not set(served()) & set(refused())


@pytest.mark.parametrize(
    "model", ["Caser", "DIN", "FEARec", "GRU4RecCPR", "HGN", "NextItNet", "SASRecCPR", "SINE"]
)
def test_a_refused_model_trains_on_recboles_code_and_says_why(folder, model):
    settings = settings_of(folder, model, {**SIZE, "epochs": 1, "train_batch_size": 2000}, width=5)
    if model == "DIN":
        settings["load_col"] = {**FEATURES["load_col"], "user": None}
    found = fast_path(settings, folder)
    assert found == f"recbole ({refused()[model]})"


def test_a_loss_over_pairs_of_samples_is_refused(folder):
    settings = settings_of(folder, "RepeatNet", {**CASES["RepeatNet"], "joint_train": True})
    assert fast_path(settings, folder) == "recbole (joint_train: a loss over pairs of a batch's samples)"


def fast_path(settings, folder) -> str:
    """What would be taken; trains nothing."""
    with recbole.clean_globals():
        config = TypedConfig(settings, CPU, folder / "scratch")
        train, valid, _ = make_loaders(config, split_of(settings, folder))
        trainer = recbole.make_trainer(config, recbole.make_model(config, train))
        return str(fast.install(trainer, train, valid, wanted=True)[0])
