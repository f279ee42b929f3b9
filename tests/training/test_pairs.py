"""Pairs of users and items: the compiled steps and scores against autograd, and labels in the data."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from helpers.catalogue import settings_for, splits, write_dataset
from helpers.fast import (
    COMPILED,
    FAST_PATHS,
    assert_equal_runs,
    compiled_kernels,
    reference,
    relative_distance,
    run,
    settings_of,
    split_of,
    threads,
    write_interactions,
)
from recsweep.training.fast import groups, pairs
from recsweep.training.fast.groups import Groups
from recsweep.training.fast.pairs import LOGITS, TWICE, Sides, Tower

USERS, ITEMS, PAIRS = 40, 700, 1100
WIDTHS = {"no-tower": None, "one-layer": [33], "three-layers": [24, 10, 50], "wide": [70, 130, 9, 20]}


class Layers(nn.Module):
    """As RecBole's `MLPLayers`."""

    def __init__(self, width: int, widths: list[int], dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        made = []
        for below, above in zip([width, *widths[:-1]], widths, strict=True):
            made += [nn.Dropout(dropout), nn.Linear(below, above), nn.ReLU()]
        self.mlp_layers = nn.Sequential(*made)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.mlp_layers(x)


def made_sides(widths: list[int] | None, dropout: float = 0.0, constants: bool = True) -> Sides:
    """Of parameters with gradients, larger than a model's own."""
    torch.manual_seed(7)
    own = lambda *shape: nn.Parameter(torch.randn(*shape) * 0.4)  # noqa: E731
    tower = None
    if widths is not None:
        layers = Layers(12, widths, dropout)
        tower = Tower(own(USERS, 5), own(ITEMS, 7), layers, own(1, widths[-1]), torch.randperm(12))
    none = (USERS, ITEMS) if constants else (0, 0)
    return Sides(own(USERS, 9), own(ITEMS, 9), own(1), own(none[0]), own(none[1]), tower)


def a_batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(3)
    users = torch.randint(USERS, (PAIRS,), generator=draw)
    return users, torch.randint(ITEMS, (PAIRS,), generator=draw), torch.rand(PAIRS, generator=draw)


def leaves(sides: Sides) -> list[torch.Tensor]:
    found = sides.parameters()
    if sides.tower is not None:
        linears = [part for layer in sides.tower.linears() for part in (layer.weight, layer.bias)]
        found = [*found, sides.tower.users, sides.tower.items, sides.tower.last, *linears]
    return found


def step(sides: Sides, kind: int, batch: Any) -> tuple[float, list[torch.Tensor]]:
    for leaf in leaves(sides):
        leaf.grad = torch.zeros_like(leaf)
    loss = pairs.compiled_step(compiled_kernels(), sides, kind, *batch, seed=11)
    return loss, [leaf.grad.clone() for leaf in leaves(sides)]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("kind", [LOGITS, TWICE])
@pytest.mark.parametrize("widths", WIDTHS.values(), ids=WIDTHS)
def test_compiled_gradients_are_those_of_autograd(widths, kind, workers):
    for constants in (True, False):
        sides, batch = made_sides(widths, constants=constants), a_batch()
        with threads(workers):
            found, gradients = step(sides, kind, batch)
        for leaf in leaves(sides):
            leaf.grad = torch.zeros_like(leaf)
        logits = sides.logits(*batch[:2])
        scores = logits if kind == LOGITS else logits.sigmoid()
        loss = functional.binary_cross_entropy_with_logits(scores, batch[2])
        loss.backward()
        assert found == pytest.approx(loss.item(), rel=1e-5)
        for ours, leaf in zip(gradients, leaves(sides), strict=True):
            assert relative_distance(ours, leaf.grad) < 1e-5


def test_dropped_values_are_the_same_backward_as_forward():
    """The gradient is that of the loss with the masks of its seed, by differences."""
    sides, batch = made_sides([24, 10], dropout=0.4), a_batch()
    loss, gradients = step(sides, LOGITS, batch)
    plain = step(made_sides([24, 10]), LOGITS, batch)[0]
    assert loss != pytest.approx(plain, rel=1e-4), "nothing was dropped"
    assert step(sides, LOGITS, batch)[0] == loss, "masks are a function of the seed"
    assert sides.tower is not None
    at = len(sides.parameters())
    assert leaves(sides)[at] is sides.tower.users
    direction, size = torch.randn(sides.tower.users.shape), 2e-3
    ends = []
    for sign in (1, -1):
        sides.tower.users.data.add_(direction, alpha=sign * size)
        ends.append(step(sides, LOGITS, batch)[0])
        sides.tower.users.data.add_(direction, alpha=-sign * size)
    wanted = (ends[0] - ends[1]) / (2 * size)
    assert float((gradients[at] * direction).sum()) == pytest.approx(wanted, rel=2e-2)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("widths", WIDTHS.values(), ids=WIDTHS)
def test_scores_of_all_items_are_those_of_the_pairs(widths, workers, monkeypatch):
    monkeypatch.setattr(pairs, "_VALUES_AT_ONCE", 4 * ITEMS * 50)
    sides = made_sides(widths)
    users = torch.tensor([3, 0, 11, 39, 7])
    with torch.no_grad(), threads(workers):
        both = users.repeat_interleave(ITEMS), torch.arange(ITEMS).repeat(len(users))
        expected = sides.logits(*both).view(len(users), ITEMS)
        for kernels in (compiled_kernels(), None):
            found = pairs.all_scores(sides, users, kernels)
            assert relative_distance(found, expected) < 1e-5


def test_scores_do_not_depend_on_groups_or_order():
    sides = made_sides([24, 10, 50])
    assert sides.tower is not None
    parts = pairs._Parts.of(sides)
    users = torch.tensor([3, 0, 11, 39, 7])
    with torch.no_grad():
        expected = pairs.all_scores(sides, users, compiled_kernels(), parts)
        parts.groups = tuple(
            Groups(torch.arange(rows) % 5, torch.randn(5, 24))  # of nothing that is alike, and far from it
            for rows in (USERS, ITEMS)
        )
        found = pairs.all_scores(sides, users.flip(0), compiled_kernels(), parts).flip(0)
    assert relative_distance(found, expected) < 1e-5


def test_wrong_groups_raise():
    scores, parts = torch.zeros(2, 3), [torch.zeros(2, 4), torch.zeros(3, 4), torch.zeros(1, 4)]
    numbers = torch.zeros(2, dtype=torch.int64), torch.zeros(3, dtype=torch.int64)
    middles = torch.zeros(1, 4), torch.zeros(1, 4)
    compiled_kernels().tower_scores(scores, parts, *numbers, *middles)
    for wrong in (
        (numbers[0] + 1, numbers[1], *middles),
        (numbers[0] - 1, numbers[1], *middles),
        (numbers[1], numbers[1], *middles),
        (*numbers, torch.zeros(1, 5), middles[1]),
        (numbers[0].int(), numbers[1], *middles),
    ):
        with pytest.raises(RuntimeError):
            compiled_kernels().tower_scores(scores, parts, *wrong)


def test_groups_are_of_rows_that_are_alike():
    torch.manual_seed(2)
    middles = torch.randn(4, 6) * 10
    rows = middles[torch.arange(100) % 4] + torch.randn(100, 6) * 0.01
    found = Groups.of(rows)
    assert len(found.middles) == 100 // 24
    assert torch.equal(found.numbers, found.numbers[:4].repeat(25))
    assert torch.equal(found.numbers, Groups.of(rows).numbers)
    assert len(Groups.of(rows[:7]).middles) == 1


@pytest.mark.parametrize("path", FAST_PATHS)
def test_blocks_of_users_are_scored_each_once(path, tmp_path, monkeypatch):
    monkeypatch.setattr(pairs, "_SCORES_AT_ONCE", 7 * 90)
    monkeypatch.setattr(groups, "_MEMBERS", 5)
    folder = write_interactions(tmp_path / "toy", users=24)
    settings = settings_of(folder, "NeuMF", {"epochs": 1, "mlp_hidden_size": [8, 8], "dropout_prob": 0.0})
    split = split_of(settings, folder)
    assert_equal_runs(run(settings, split, path, folder), reference(settings, split, folder))


# -- whole trials ---------------------------------------------------------------------------------


@pytest.mark.parametrize("path", FAST_PATHS)
@pytest.mark.parametrize("model", ["NeuMF", "DeepFM"])
def test_labels_in_the_data_are_trained_on(model, path, tmp_path):
    folder = write_dataset(tmp_path)
    settings = {**settings_for(model, folder), "LABEL_FIELD": "label", "train_neg_sample_args": None}
    settings |= {"dropout_prob": 0.0, "epochs": 2, "metric_decimal_place": 8}
    split = splits(tmp_path)(settings)
    ours, theirs = run(settings, split, path, tmp_path), reference(settings, split, tmp_path)
    assert ours.path == path
    assert_equal_runs(ours, theirs)


def test_a_model_without_one_of_its_parts_is_recboles(tmp_path):
    folder = write_interactions(tmp_path / "toy", users=24)
    settings = settings_of(folder, "NeuMF", {"mf_train": False, "epochs": 1, "mlp_hidden_size": [8]})
    done = run(settings, split_of(settings, folder), COMPILED, folder)
    assert done.path == "recbole (mf_train: False, mlp_train: True)"
