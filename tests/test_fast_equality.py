"""The gate of the fast paths: without dropout they train what RecBole trains.

Same seed, same batches, same negatives; losses, metrics and final parameters within the tolerances of
`helpers.fast.assert_equal_runs`. `benchmarks/equality.py` does the same on all of ml-100k.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

import pytest

from helpers.fast import (
    COMPILED,
    FAST_PATHS,
    RECBOLE,
    TORCH,
    assert_equal_runs,
    reference,
    relative_distance,
    run,
    settings_of,
    split_of,
    taking,
    threads,
    write_interactions,
)
from recsweep.fast import native
from recsweep.fast.trainer import FAMILIES

WIDTH = 20


@dataclass(frozen=True)
class Case:
    """A model without dropout, and what else of its parameters must be tried."""

    params: dict[str, Any]
    losses: tuple[str | None, ...] = ("CE", "BPR")
    """None: the model knows one loss and has no parameter for it."""
    variants: dict[str, dict[str, Any]] = field(default_factory=dict)
    undetermined: tuple[str, ...] = ()
    """Endings of parameters that no output depends on: their gradients are nothing but rounding."""


SIZES = {f"size-{size}": {"embedding_size": size} for size in (10, 50, 64)}
RECURRENT_SIZES = {
    "sizes-10-24": {"embedding_size": 10, "hidden_size": 24},
    "sizes-50-10": {"embedding_size": 50, "hidden_size": 10},
    "sizes-24-50": {"embedding_size": 24, "hidden_size": 50},
    "sizes-64-64": {"embedding_size": 64, "hidden_size": 64},
}
CASES = {
    "FPMC": Case({"embedding_size": 24}, ("BPR",), SIZES),
    "BPR": Case({"embedding_size": 24}, (None,), SIZES),
    "STAMP": Case({"embedding_size": 24}, variants=SIZES),
    "FOSSIL": Case(
        {"embedding_size": 24},
        variants={
            **SIZES,
            "order-1": {"order_len": 1},
            "order-5": {"order_len": 5},
            "alpha": {"alpha": 0.2},
            "regularized": {"reg_weight": 0.01},
            "regularized-order-5-alpha": {"reg_weight": 0.001, "order_len": 5, "alpha": 0.8},
        },
    ),
    "GRU4Rec": Case(
        {"embedding_size": 16, "hidden_size": 24, "num_layers": 1, "dropout_prob": 0.0},
        variants={**RECURRENT_SIZES, "two-layers": {"num_layers": 2}, "three-layers": {"num_layers": 3}},
    ),
    "NARM": Case(
        {"embedding_size": 16, "hidden_size": 24, "n_layers": 1, "dropout_probs": [0.0, 0.0]},
        variants={**RECURRENT_SIZES, "two-layers": {"n_layers": 2}, "three-layers": {"n_layers": 3}},
    ),
    "SASRec": Case(
        {
            **{"hidden_size": 16, "inner_size": 32, "n_layers": 2, "n_heads": 2},
            **{"hidden_dropout_prob": 0.0, "attn_dropout_prob": 0.0},
        },
        variants={
            "one-layer": {"n_layers": 1},
            "three-layers": {"n_layers": 3},
            "one-head": {"n_heads": 1},
            "sizes-10-24-5-heads": {"hidden_size": 10, "inner_size": 24, "n_heads": 5},
            "sizes-24-50-3-heads": {"hidden_size": 24, "inner_size": 50, "n_heads": 3},
            "sizes-50-10": {"hidden_size": 50, "inner_size": 10},
            "sizes-64-256-4-heads": {"hidden_size": 64, "inner_size": 256, "n_heads": 4},
            "layer-norm-eps": {"layer_norm_eps": 1e-3},
            **{act: {"hidden_act": act} for act in ("gelu", "relu", "swish", "tanh", "sigmoid")},
        },
        # A softmax does not change when all keys are moved alike.
        undetermined=("key.bias",),
    ),
}
EVERYWHERE: dict[str, dict[str, Any]] = {
    "weight-decay": {"weight_decay": 0.001},
    "clipped": {"clip_grad_norm": {"max_norm": 0.05}},
    "sgd": {"learner": "sgd", "learning_rate": 0.5},
    "adagrad": {"learner": "adagrad"},
    "adamw": {"learner": "adamw", "weight_decay": 0.01},
    "rmsprop": {"learner": "rmsprop", "learning_rate": 0.001},
    "not-shuffled": {"shuffle": False},
    "large-batches": {"train_batch_size": 1500},
    "small-batches": {"train_batch_size": 60, "epochs": 1},
    "every-second-validation": {"eval_step": 2, "epochs": 4},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_interactions(tmp_path_factory.mktemp("fast") / "toy")


def case_of(model: str) -> Case:
    if model not in CASES:
        pytest.fail(f"{model} has a fast path, but nothing proves it equal; add a Case to {__file__}")
    return CASES[model]


def check(folder, model: str, path: str, changes: dict[str, Any], width: int = WIDTH) -> None:
    case = case_of(model)
    settings = settings_of(folder, model, {**case.params, **changes}, width)
    split = split_of(settings, folder)
    found = run(settings, split, path, folder)
    assert found.path == path
    expected = reference(settings, split, folder)
    assert expected.path == "recbole (fast: false)"
    assert_equal_runs(found, expected, undetermined=case.undetermined)


def with_loss(loss: str | None) -> dict[str, Any]:
    return {} if loss is None else {"loss_type": loss}


def grid(names: str = "variants") -> list[Any]:
    """Model, loss and variant; the losses take turns, and each variant of a model's own has them all."""
    found = []
    for model in sorted(FAMILIES):
        case = CASES.get(model, Case({}, (None,)))
        for number, (name, changes) in enumerate(EVERYWHERE.items()):
            loss = case.losses[number % len(case.losses)]
            found.append(pytest.param(model, {**changes, **with_loss(loss)}, id=f"{model}-{loss}-{name}"))
        for loss in case.losses:
            for name, changes in case.variants.items():
                changes = {**changes, "epochs": 2, **with_loss(loss)}
                found.append(pytest.param(model, changes, id=f"{model}-{loss}-{name}"))
    return found


LOSSES = [
    pytest.param(model, loss, id=f"{model}-{loss}")
    for model in sorted(FAMILIES)
    for loss in CASES.get(model, Case({}, (None,))).losses
]


def test_every_fast_path_has_a_case_and_every_case_a_fast_path():
    assert set(CASES) == set(FAMILIES), "models with a fast path, and models that are tested here"


@pytest.mark.parametrize("path", FAST_PATHS)
@pytest.mark.parametrize(("model", "loss"), LOSSES)
def test_three_epochs_are_those_of_recbole(folder, model, loss, path):
    check(folder, model, path, with_loss(loss))


@pytest.mark.parametrize("path", FAST_PATHS)
@pytest.mark.parametrize(("model", "changes"), grid())
def test_with_other_settings_too(folder, model, changes, path):
    check(folder, model, path, changes)


@pytest.mark.parametrize("path", FAST_PATHS)
@pytest.mark.parametrize(("model", "loss"), LOSSES)
def test_a_last_batch_of_one_sample(folder, model, loss, path):
    settings = settings_of(folder, model, {**case_of(model).params, **with_loss(loss)}, WIDTH)
    samples = len(split_of(settings, folder).parts[0])
    size = next(size for size in range(250, 600) if samples % size == 1)
    check(folder, model, path, {**with_loss(loss), "train_batch_size": size})


@pytest.mark.parametrize("path", FAST_PATHS)
@pytest.mark.parametrize("width", [1, 2, 7, 17, 33])
@pytest.mark.parametrize(("model", "loss"), LOSSES)
def test_shorter_and_longer_sequences(folder, model, loss, width, path):
    changes = {"order_len": min(3, width)} if model == "FOSSIL" else {}
    check(folder, model, path, {**changes, **with_loss(loss), "epochs": 2}, width)


def test_the_data_have_sequences_of_every_length(folder):
    settings = settings_of(folder, "FPMC", CASES["FPMC"].params, WIDTH)
    train = split_of(settings, folder).parts[0]
    lengths = train.inter_feat.interaction["item_length"]
    assert set(lengths.tolist()) == set(range(1, WIDTH + 1))


@pytest.mark.parametrize("path", FAST_PATHS)
@pytest.mark.parametrize(("model", "loss"), LOSSES)
def test_two_threads(folder, model, loss, path):
    with threads(2):
        check(folder, model, path, {**with_loss(loss), "train_batch_size": 700})


# -- the gate itself ------------------------------------------------------------------------------


def test_the_switch_in_the_environment_takes_the_torch_path():
    assert native.SWITCH == "RECSWEEP_NATIVE"
    before = os.environ.get(native.SWITCH)
    os.environ[native.SWITCH] = "0"
    try:
        assert native.kernels.__wrapped__() is None
    finally:
        os.environ.pop(native.SWITCH)
        if before is not None:
            os.environ[native.SWITCH] = before
    with taking(TORCH):
        assert native.kernels() is None


@pytest.mark.parametrize(
    "changes",
    [
        {"learning_rate": 0.0101},
        {"weight_decay": 1e-4},
        {"layer_norm_eps": 1e-4},
        {"seed": 1},
        {"train_batch_size": 257},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_the_gate_sees_small_differences(folder, changes):
    settings = settings_of(folder, "SASRec", {**CASES["SASRec"].params, "loss_type": "CE"}, WIDTH)
    split = split_of(settings, folder)
    with pytest.raises(AssertionError):
        assert_equal_runs(
            run({**settings, **changes}, split, TORCH, folder),
            reference(settings, split, folder),
            undetermined=CASES["SASRec"].undetermined,
        )


def test_undetermined_parameters_really_change_nothing(folder):
    """Moving all key biases leaves RecBole's metrics and losses as they are."""
    import torch

    from recsweep.recbole_api import model as recbole

    settings = settings_of(folder, "SASRec", {**CASES["SASRec"].params, "loss_type": "CE"}, WIDTH)
    split = split_of(settings, folder)
    original = recbole.make_model

    def moved(config, data):
        model = original(config, data)
        for name, parameter in model.named_parameters():
            if name.endswith("key.bias"):
                parameter.data += torch.linspace(-1, 1, len(parameter))
        return model

    recbole.make_model = moved
    try:
        found = run(settings, split, RECBOLE, folder)
    finally:
        recbole.make_model = original
    expected = reference(settings, split, folder)
    assert_equal_runs(found, expected, undetermined=("key.bias",))
    name = "trm_encoder.layer.0.multi_head_attention.key.bias"
    assert relative_distance(found.parameters[name], expected.parameters[name]) > 0.1


@pytest.mark.parametrize("path", [RECBOLE, COMPILED, TORCH])
def test_a_trial_is_the_same_twice(folder, path):
    settings = settings_of(folder, "NARM", {**CASES["NARM"].params, "loss_type": "CE"}, WIDTH)
    split = split_of(settings, folder)
    first, second = (run(settings, split, path, folder) for _ in range(2))
    assert_equal_runs(second, first, loss=0, metric=0, parameter=0)
