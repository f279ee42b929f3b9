"""Models that score a pair by an inner product, constants of both sides and a tower of dense layers.

RecBole scores pair by pair. What belongs to one side alone is computed once a batch here, and in validation
the tower's first layer, which is the sum of a user's part and an item's, once for each of them.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional

from recsweep.training.fast.base import Family
from recsweep.training.fast.groups import Groups
from recsweep.training.fast.scores import Matrix, Scores
from recsweep.training.fast.stream import Batch
from recsweep.training.fast.table import Table

_VALUES_AT_ONCE = 1 << 24
"""Numbers of one layer in a validation without kernels: 64 MiB in float32."""
_SCORES_AT_ONCE = 1 << 21
"""Scores of a validation that are computed at once: 8 MiB in float32."""
LOGITS, TWICE = 0, 1
"""Losses, by the kernel's numbers: cross-entropy of logits, and of what is a sigmoid already."""


@dataclass(frozen=True)
class Tower:
    """Dense layers with relu over the embeddings of a user and an item."""

    users: torch.Tensor
    """[n_users, a]."""
    items: torch.Tensor
    """[n_items, b]."""
    layers: nn.Module
    """RecBole's `MLPLayers`."""
    last: torch.Tensor
    """[1, width of the last layer]."""
    order: torch.Tensor | None = None
    """[a + b] int64: which of the columns, users' first, stands where in the layers' input; None: as is."""

    def first(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Weight [width, a + b], users' columns first, and bias of the first layer."""
        layer = self.linears()[0]
        weight = layer.weight if self.order is None else layer.weight[:, self.order.argsort()]
        return weight, layer.bias

    def linears(self) -> list[nn.Linear]:
        """The dense layers, the first one first."""
        return [layer for layer in self.layers.modules() if isinstance(layer, nn.Linear)]

    @property
    def dropout(self) -> float:
        """The share that is dropped from the input of every layer."""
        return float(self.layers.dropout)  # type: ignore[arg-type]

    def values(self, users: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """[pairs]."""
        joined = torch.cat([self.users[users], self.items[items]], dim=1)
        if self.order is not None:
            joined = joined[:, self.order]
        values: torch.Tensor = self.layers(joined)
        return (values @ self.last.t())[:, 0]

    def parameters(self) -> list[torch.Tensor]:
        """All that the kernel wants of it."""
        weight, bias = self.first()
        rest = [part for layer in self.linears()[1:] for part in (layer.weight, layer.bias)]
        return [self.users, self.items, weight, bias, *rest, self.last]


@dataclass(frozen=True)
class Sides:
    """All that a pair's score is made of, with autograd's graph."""

    users: torch.Tensor
    """[n_users, d], multiplied by `items`; d may be 0."""
    items: torch.Tensor
    """[n_items, d]."""
    bias: torch.Tensor
    """[1]."""
    of_users: torch.Tensor
    """[n_users], a constant of each; or [0]: there is none."""
    of_items: torch.Tensor
    """[n_items] or [0]."""
    tower: Tower | None = None

    def logits(self, users: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """[pairs]."""
        found = (self.users[users] * self.items[items]).sum(1) + self.bias
        if len(self.of_users):
            found = found + self.of_users[users]
        if len(self.of_items):
            found = found + self.of_items[items]
        return found if self.tower is None else found + self.tower.values(users, items)

    def product(self, users: torch.Tensor) -> torch.Tensor:
        """[some users, n_items], without the tower."""
        found = self.users[users] @ self.items.t() + self.bias
        if len(self.of_users):
            found += self.of_users[users][:, None]
        if len(self.of_items):
            found += self.of_items
        return found

    def parameters(self) -> list[torch.Tensor]:
        """All that the kernel wants of the product."""
        return [self.users, self.items, self.of_users, self.of_items, self.bias]


class Labelled(Family):
    """A family whose samples are pairs with a label."""

    pointwise = True

    def labels(self, table: Table, rows: torch.Tensor, negatives: torch.Tensor | None) -> torch.Tensor:
        """[pairs] float32, where the table is: rows, then negatives."""
        if negatives is None:
            if table.answers is None:
                raise ValueError("single samples need labels in the data, or negatives")
            return table.answers[rows]
        labels = torch.zeros(len(rows) + len(negatives), device=rows.device)
        labels[: len(rows)] = 1.0
        return labels

    def pairs_of(self, table: Table, batch: Batch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Users, items and labels of all pairs, where the table is."""
        rows, negatives = batch.there
        users, items = table.users[rows], table.items[rows]
        labels = self.labels(table, rows, negatives)
        if negatives is None:
            return users, items, labels
        return users.repeat(len(labels) // len(rows)), torch.cat([items, negatives]), labels


class PairFamily(Labelled):
    """A family that says what its sides are; pairs are trained and scored here."""

    loss: ClassVar[int] = LOGITS
    rates: ClassVar[bool] = True
    """RecBole's scores are sigmoids; where those are 0 or 1 there are ties, which a logit would not have."""

    @abstractmethod
    def sides(self, table: Table) -> Sides:
        """Of the parameters as they are now."""

    def regularization(self) -> torch.Tensor | None:
        """A part of each batch's loss that depends on the parameters alone, without dimensions."""
        return None

    def add_beyond(self, scores: torch.Tensor, users: torch.Tensor) -> None:
        """Add a part of the scores [users, n_items] that no sum or product of two sides stands for."""

    def torch_step(self, table: Table, batch: Batch) -> torch.Tensor:
        users, items, labels = self.pairs_of(table, batch)
        logits = self.sides(table).logits(users, items)
        scores = logits if self.loss == LOGITS else logits.sigmoid()
        loss = functional.binary_cross_entropy_with_logits(scores, labels)
        extra = self.regularization()
        if extra is not None:
            loss = loss + extra
        self.backward(loss)
        return loss.detach()

    def native_step(self, table: Table, batch: Batch) -> float:
        pairs = self.pairs_of(table, batch)
        loss = compiled_step(self.kernels, self.sides(table), self.loss, *pairs, seed=self.step_seed())
        extra = self.regularization()
        if extra is None:
            return loss
        self.backward(extra)
        return loss + float(extra.detach())

    def scores(self, table: Table) -> Iterator[tuple[torch.Tensor, Scores]]:
        sides = self.sides(table)
        parts = _Parts.of(sides)
        step = max(1, _SCORES_AT_ONCE // len(sides.items))
        order = torch.arange(len(table))
        if parts is not None and self.kernels is not None and step < len(table):
            order = parts.groups[0].numbers[table.users].argsort(stable=True)  # a group's users at once
        for rows in torch.split(order, step):
            users = table.users[rows.to(table.device)]
            found = all_scores(sides, users, self.kernels, parts)
            self.add_beyond(found, users)
            yield rows, Matrix(found.sigmoid_() if self.rates else found)


def compiled_step(
    kernels: Any,
    sides: Sides,
    loss: int,
    users: torch.Tensor,
    items: torch.Tensor,
    labels: torch.Tensor,
    *,
    seed: int,
) -> float:
    """The mean loss of pairs [pairs] by the kernels; gradients are added to the parameters' `grad`."""
    tower = sides.tower
    made, dropout = ([], 0.0) if tower is None else (tower.parameters(), tower.dropout)
    product, layers = _Targets(sides.parameters()), _Targets(made)
    targets = (product.values, product.gradients, layers.values, layers.gradients)
    found: float = kernels.pairs_step(*targets, users, items, labels, loss, dropout, seed)
    derived = product.derived + layers.derived
    if derived:
        torch.autograd.backward([one for one, _ in derived], [gradient for _, gradient in derived])
    return found


def all_scores(
    sides: Sides, users: torch.Tensor, kernels: Any | None, parts: _Parts | None = None
) -> torch.Tensor:
    """[some users, n_items]: the logits of these users with every item, without dropout.

    Args:
        parts: of the sides' tower, where they are there already.
    """
    found = sides.product(users)
    parts = _Parts.of(sides) if parts is None else parts
    if parts is not None:
        parts.add(found, users, kernels)
    return found


class _Targets:
    """Values as a kernel takes them, and where it adds their gradients: a parameter's own are its `grad`."""

    def __init__(self, made: Sequence[torch.Tensor]) -> None:
        self.values = [one.detach().contiguous() for one in made]
        self.gradients, self.derived = [], []
        for one, value in zip(made, self.values, strict=True):
            gradient = _own_gradient(one)
            if gradient is None:
                gradient = torch.zeros_like(value)
                if one.requires_grad:
                    self.derived.append((one, gradient))
            self.gradients.append(gradient)


def _own_gradient(one: torch.Tensor) -> torch.Tensor | None:
    """The place of a parameter's gradient, or of a part of it that lies in one piece; else None."""
    whole = one if one.is_leaf else one._base
    if whole is None or not whole.is_leaf or whole.grad is None or not one.is_contiguous():
        return None
    begin = one.storage_offset() - whole.storage_offset() + whole.grad.storage_offset()
    return whole.grad.as_strided(one.shape, one.stride(), begin)


class _Parts:
    """A tower in a validation: its first layer is computed once for each user and item."""

    def __init__(self, tower: Tower) -> None:
        weight, bias = tower.first()
        width = tower.users.shape[1]
        self._users = tower.users @ weight[:, :width].t() + bias
        self._items = tower.items @ weight[:, width:].t()
        self._layers, self._last = tower.linears()[1:], tower.last

    @cached_property
    def groups(self) -> tuple[Groups, Groups]:
        """Of users and of items that the first layer does nearly the same with."""
        return Groups.of(self._users), Groups.of(self._items)

    @classmethod
    def of(cls, sides: Sides) -> _Parts | None:
        return None if sides.tower is None else cls(sides.tower)

    def add(self, scores: torch.Tensor, users: torch.Tensor, kernels: Any | None) -> None:
        """Add what the tower says of these users and all items to their scores [users, n_items]."""
        if kernels is not None:
            rest = [part for layer in self._layers for part in (layer.weight, layer.bias)]
            made = [self._users[users], self._items, *rest, self._last]
            own, other = self.groups
            kernels.tower_scores(
                *(scores, [one.detach().contiguous() for one in made]),
                *(own.numbers[users], other.numbers, own.middles, other.middles),
            )
            return
        widest = max(self._items.shape[1], *(layer.out_features for layer in self._layers), 1)
        step = max(1, _VALUES_AT_ONCE // (len(self._items) * widest))
        for begin in range(0, len(users), step):
            part = slice(begin, begin + step)
            values = functional.relu(self._users[users[part]][:, None] + self._items)
            for layer in self._layers:
                values = functional.relu(layer(values))
            scores[part] += (values @ self._last.t()).squeeze(2)


class NeuMf(PairFamily):
    """NeuMF: a weighted product of two embeddings, and a tower over two others."""

    models = ("NeuMF",)

    @classmethod
    def refuses(cls, model: Any) -> str | None:
        if not (model.mf_train and model.mlp_train):
            return f"mf_train: {model.mf_train}, mlp_train: {model.mlp_train}"
        return None

    def sides(self, table: Table) -> Sides:
        m = self.model
        weight = m.predict_layer.weight
        width = m.user_mf_embedding.weight.shape[1]
        tower = Tower(
            m.user_mlp_embedding.weight, m.item_mlp_embedding.weight, m.mlp_layers, weight[:, width:]
        )
        none = weight.new_empty(0)
        users = m.user_mf_embedding.weight * weight[:, :width]
        return Sides(users, m.item_mf_embedding.weight, m.predict_layer.bias, none, none, tower)
