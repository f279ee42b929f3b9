"""The gate of the fast paths: without dropout they train what RecBole trains.

Same seed, same batches, same negatives; losses, metrics and final parameters within the tolerances of
`helpers.fast.assert_equal_runs`. `benchmarks/equality.py` does the same on all of ml-100k.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
import torch

from helpers.fast import (
    COMPILED,
    FAST_PATHS,
    RECBOLE,
    TORCH,
    Run,
    assert_equal_runs,
    reference,
    run,
    settings_of,
    split_of,
    taking,
    threads,
    write_interactions,
)
from helpers.fast_cases import CASES, Case
from recsweep.recbole_api import model as recbole
from recsweep.training.fast import (
    encoders,
    losses,
    native,
    own_loss,
    products,
    recurrent,
    scores,
    transformer,
)
from recsweep.training.fast.families import served

FAMILY_OF_MODEL = served()
WIDTH = 20


EVERYWHERE: dict[str, dict[str, Any]] = {
    "weight-decay": {"weight_decay": 0.001},
    "clipped": {"clip_grad_norm": {"max_norm": 0.05}},
    "sgd": {"learner": "sgd", "learning_rate": 0.5},
    "adagrad": {"learner": "adagrad"},
    "adamw": {"learner": "adamw", "weight_decay": 0.01},
    "rmsprop": {"learner": "rmsprop", "learning_rate": 0.001},
    "not-shuffled": {"shuffle": False},
    "large-batches": {"train_batch_size": 900},
    "small-batches": {"train_batch_size": 30, "epochs": 1},
    "every-second-validation": {"eval_step": 2, "epochs": 4},
}
TOGETHER = (
    *(("weight-decay", "every-second-validation"), ("clipped", "large-batches"), ("sgd",), ("rmsprop",)),
    *(("adamw", "small-batches"), ("adagrad", "not-shuffled")),
)
"""What is tried at once: what an optimizer does, and what is done with batches and validations."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_interactions(tmp_path_factory.mktemp("fast") / "toy", users=24)


def case_of(model: str) -> Case:
    if model not in CASES:
        pytest.fail(
            f"{model} has a fast path, but nothing proves it equal; add a Case to tests/helpers/fast_cases/"
        )
    return CASES[model]


def check(
    folder,
    model: str,
    path: str,
    changes: dict[str, Any],
    width: int = WIDTH,
    workers: int = 1,
    undetermined: tuple[str, ...] = (),
) -> None:
    case = case_of(model)
    settings = settings_of(folder, model, {**case.params, **changes}, width)
    split = split_of(settings, folder)
    expected = reference(settings, split, folder)
    assert expected.path == "recbole (fast: false)"
    with threads(workers):
        found = run(settings, split, path, folder)
    assert found.path == path
    assert_equal_runs(found, expected, undetermined=(*case.undetermined, *undetermined))


def with_loss(loss: str | None) -> dict[str, Any]:
    return {} if loss is None else {"loss_type": loss}


UNKNOWN = Case({}, (None,))


def losses_and_paths(models: Any = tuple(FAMILY_OF_MODEL)) -> list[Any]:
    return [
        pytest.param(model, loss, path, id="-".join(filter(None, (model, loss, path))))
        for model in sorted(models)
        for loss in CASES.get(model, UNKNOWN).losses
        for path in CASES.get(model, UNKNOWN).paths
    ]


ON_BOTH = [model for model in sorted(set(FAMILY_OF_MODEL) & set(CASES)) if COMPILED in CASES[model].paths]


def tried(model: str, number: int, name: str, changes: dict[str, Any], *paths: str) -> list[Any]:
    """A change of a model's settings, with its losses in turns."""
    loss = CASES[model].losses[number % len(CASES[model].losses)]
    settings = {"epochs": 2, **changes, **with_loss(loss)}
    labels = ["-".join(filter(None, (model, loss, name, path))) for path in paths]
    return [pytest.param(model, settings, path, id=label) for path, label in zip(paths, labels, strict=True)]


def variants() -> list[Any]:
    """Of models with kernels or variants: their own, and what concerns each of them, with paths in turns.

    What concerns all of them is tried over two epochs; the model's size or shape shows in the steps of one.
    """
    found = []
    for order, model in enumerate(
        dict.fromkeys([*ON_BOTH, *(name for name in CASES if CASES[name].variants)])
    ):
        case = CASES[model]
        for number, (name, changes) in enumerate(case.variants.items()):
            found += tried(model, number, name, {"epochs": 1, **changes}, *case.paths)
        for number, names in enumerate(TOGETHER if case.learns else ()):
            allowed = [name for name in names if name not in (*case.without, *case.variants)]
            changes = {key: value for name in allowed for key, value in EVERYWHERE[name].items()}
            path = case.paths[(order + number // 2) % len(case.paths)]
            found += tried(model, number, "-".join(allowed), changes, path) if allowed else []
    return found


def every_setting() -> list[Any]:
    """The same, what concerns each of them one by one and on all paths."""
    return [
        one
        for model in ON_BOTH
        if CASES[model].learns
        for number, (name, changes) in enumerate(EVERYWHERE.items())
        if name not in (*CASES[model].without, *CASES[model].variants)
        for one in tried(model, number, name, changes, *CASES[model].paths)
    ]


def widths() -> list[Any]:
    """Of models with kernels, on all paths, with losses in turns."""
    return [
        pytest.param(model, loss, width, path, id="-".join(filter(None, (model, loss, str(width), path))))
        for order, model in enumerate(sorted(WITH_KERNELS))
        for number, width in enumerate((1, 7, 33))
        for loss in [CASES[model].losses[(order + number) % len(CASES[model].losses)]]
        for path in CASES[model].paths
    ]


LEARNT = [model for model in FAMILY_OF_MODEL if CASES.get(model, UNKNOWN).learns]
WITH_KERNELS = [model for model in LEARNT if COMPILED in CASES.get(model, UNKNOWN).paths]


def test_every_fast_path_has_a_case_and_every_case_a_fast_path():
    assert set(CASES) == set(FAMILY_OF_MODEL), "models with a fast path, and models that are tested here"


@pytest.mark.parametrize(("model", "loss", "path"), losses_and_paths())
def test_three_epochs_are_those_of_recbole(folder, model, loss, path):
    check(folder, model, path, with_loss(loss))


@pytest.mark.parametrize(("model", "changes", "path"), variants())
def test_with_other_settings_too(folder, model, changes, path):
    check(folder, model, path, changes)


@pytest.mark.long
@pytest.mark.parametrize(("model", "changes", "path"), every_setting())
def test_with_every_setting_alone(folder, model, changes, path):
    check(folder, model, path, changes)


@pytest.mark.parametrize(("model", "loss", "path"), losses_and_paths(LEARNT))
def test_a_last_batch_of_one_sample(folder, model, loss, path):
    settings = settings_of(folder, model, {**case_of(model).params, **with_loss(loss)}, WIDTH)
    split = split_of(settings, folder)
    samples = len(split.parts[0])
    size = next(size for size in range(200, samples) if samples % size == 1)
    changes = {**with_loss(loss), "train_batch_size": size, "epochs": 1}
    try:
        reference({**settings, **changes}, split, folder)
    except ValueError as error:  # BERT4Rec's one sample has no mask: its loss is 0 / 0
        with pytest.raises(ValueError, match=str(error)):
            run({**settings, **changes}, split, path, folder)
        return
    check(folder, model, path, changes)


@pytest.mark.parametrize(("model", "loss", "width", "path"), widths())
def test_shorter_and_longer_sequences(folder, model, loss, width, path):
    changes = {"order_len": min(3, width)} if model == "FOSSIL" else {}
    # Attention to a single key is 1 whatever the query and the key.
    undetermined = ("query.bias", "query.weight", "key.weight") if width == 1 else ()
    check(folder, model, path, {**changes, **with_loss(loss), "epochs": 1}, width, undetermined=undetermined)


@pytest.mark.parametrize(("model", "loss", "path"), losses_and_paths())
def test_batches_cut_into_many_parts(folder, model, loss, path, monkeypatch):
    """As large data are: here a whole batch would fit into one part."""
    monkeypatch.setattr(encoders, "TOKENS", 250)
    monkeypatch.setattr(losses, "_SCORES_AT_ONCE", 2000)
    monkeypatch.setattr(scores, "SCORES_AT_ONCE", 2000)
    monkeypatch.setattr(products, "ROWS_AT_ONCE", 10)
    monkeypatch.setattr(recurrent, "_TOKENS", 150)
    monkeypatch.setattr(transformer, "_TOKENS", 100)
    monkeypatch.setattr(own_loss, "_VALUES_AT_ONCE", 3000)
    monkeypatch.setattr(own_loss, "_SCORES_AT_ONCE", 2000)
    check(folder, model, path, with_loss(loss))


def test_the_data_have_sequences_of_every_length(folder):
    settings = settings_of(folder, "FPMC", CASES["FPMC"].params, WIDTH)
    train = split_of(settings, folder).parts[0]
    lengths = train.inter_feat.interaction["item_length"]
    assert set(lengths.tolist()) == set(range(1, WIDTH + 1))


@pytest.mark.parametrize("path", FAST_PATHS)
@pytest.mark.parametrize("model", sorted(WITH_KERNELS))
def test_two_threads(folder, model, path):
    changes = {**with_loss(case_of(model).losses[0]), "train_batch_size": 400, "epochs": 1}
    check(folder, model, path, changes, workers=2)


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
        {"train_batch_size": 129},
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


def moved_run(folder, model: str, move: Any, monkeypatch) -> tuple[Run, Run]:
    """RecBole's own run from a start whose parameters were moved, and from its own start."""
    case = case_of(model)
    settings = settings_of(folder, model, {**case.params, **with_loss(case.losses[0])}, WIDTH)
    split = split_of(settings, folder)
    expected = reference(settings, split, folder)
    original = recbole.make_model

    def moved(config, data):
        own = original(config, data)
        for name, parameter in own.named_parameters():
            move(name, parameter.data)
        return own

    monkeypatch.setattr(recbole, "make_model", moved)
    return run(settings, split, RECBOLE, folder), expected


@pytest.mark.long
@pytest.mark.parametrize("model", sorted(set(LEARNT) & set(CASES)))
def test_recbole_agrees_with_itself_within_the_tolerances(folder, model, monkeypatch):
    """From a start moved by one rounding: a case that fails here can prove nothing about a fast path."""
    draw = torch.Generator().manual_seed(0)

    def by_one_rounding(name, values):
        values *= 1 + (torch.randint(0, 2, values.shape, generator=draw) * 2 - 1) * 6e-8

    found, expected = moved_run(folder, model, by_one_rounding, monkeypatch)
    assert_equal_runs(found, expected, undetermined=case_of(model).undetermined)


@pytest.mark.parametrize(
    "model", [model for model in sorted(FAMILY_OF_MODEL) if CASES.get(model, UNKNOWN).undetermined]
)
def test_undetermined_parameters_really_change_nothing(folder, model, monkeypatch):
    """Moved far, they leave RecBole's losses, metrics and all other parameters as they are."""
    names = []

    def far(name, values):
        if name.endswith(case_of(model).undetermined):
            names.append(name)
            values += torch.linspace(-0.3, 0.3, len(values)) if len(values) > 1 else 0.3

    found, expected = moved_run(folder, model, far, monkeypatch)
    assert_equal_runs(found, expected, undetermined=case_of(model).undetermined)
    assert all(any(name.endswith(end) for name in names) for end in case_of(model).undetermined)


@pytest.mark.parametrize("path", [RECBOLE, COMPILED, TORCH])
def test_a_trial_is_the_same_twice(folder, path):
    settings = settings_of(folder, "NARM", {**CASES["NARM"].params, "loss_type": "CE"}, WIDTH)
    split = split_of(settings, folder)
    first, second = (run(settings, split, path, folder) for _ in range(2))
    assert_equal_runs(second, first, loss=0, metric=0, parameter=0)
