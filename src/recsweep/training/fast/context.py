"""Models of features: each has a weight and an embedding, and FM and DeepFM pair them all.

Half of (sum of embeddings)^2 less the sum of squares (Rendle 2010, "Factorization Machines") splits into a
user's part, an item's part and the product of their sums: features are embedded once for each user and item,
not for each pair.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from recsweep.training.fast.pairs import PairFamily, Sides, Tower
from recsweep.training.fast.table import Features, Table


@dataclass(frozen=True)
class Embedded:
    """Embeddings [.., features, d] and first-order parts [..] of both sides, and the bias of all pairs."""

    users: torch.Tensor
    items: torch.Tensor
    of_users: torch.Tensor
    of_items: torch.Tensor
    bias: torch.Tensor


class ContextFamily(PairFamily):
    """Models that read the features of users and items."""

    @classmethod
    def refuses(cls, model: Any) -> str | None:
        numbers = [*model.float_field_names, *model.float_seq_field_names]
        return f"features that are numbers: {', '.join(numbers)}" if numbers else None

    @classmethod
    def refuses_data(cls, model: Any, loader: Any) -> str | None:
        features = Features.of(loader._dataset)
        names = [*model.token_field_names, *model.token_seq_field_names]
        others = [name for name in names if name not in features.users and name not in features.items]
        return f"features of interactions: {', '.join(others)}" if others else None

    def __init__(self, model: Any, kernels: Any | None, seed: int) -> None:
        super().__init__(model, kernels, seed)
        self._made: tuple[_Side, _Side] | None = None
        self._columns: torch.Tensor | None = None

    def sides(self, table: Table) -> Sides:
        linear = self.model.first_order_linear
        (users, of_users), (items, of_items) = (side.embedded(self.model) for side in self._both(table))
        return self._joined(Embedded(users, items, of_users, of_items, linear.bias))

    def _joined(self, found: Embedded) -> Sides:
        """The sides of a score, from what is embedded."""
        users, of_users = _paired(found.users, found.of_users)
        items, of_items = _paired(found.items, found.of_items)
        return Sides(users, items, found.bias, of_users, of_items)

    def _tower(self, found: Embedded, layers: nn.Module, last: torch.Tensor) -> Tower:
        """Dense layers over the embeddings of both sides."""
        users, items = found.users, found.items
        return Tower(users.flatten(1), items.flatten(1), layers, last, self._order(users.shape[2]))

    def _slots(self) -> list[int]:
        """The place of each feature in RecBole's order, lists first; users' features come first here."""
        users, items = self._made  # type: ignore[misc]
        return [*users.slots, *items.slots]

    def _order(self, width: int) -> torch.Tensor | None:
        """RecBole puts the embeddings into the order of columns: lists first, users and items mixed."""
        slots = self._slots()
        if slots == sorted(slots):
            return None
        if self._columns is None:
            columns = torch.tensor(slots).argsort()[:, None] * width + torch.arange(width)
            self._columns = columns.flatten().to(self._made[0].device)  # type: ignore[index]
        return self._columns

    def _both(self, table: Table) -> tuple[_Side, _Side]:
        """The features of all users and of all items, looked up once a trial."""
        if self._made is None:
            if table.features is None:
                raise ValueError("the table has no features of users and items")
            found = table.features()
            users = _Side.of(self.model, found.users, table.device)
            self._made = users, _Side.of(self.model, found.items, table.device)
        return self._made


class Lr(ContextFamily):
    """LR: a bias and a weight of each feature."""

    models = ("LR",)

    def __init__(self, model: Any, kernels: Any | None, seed: int) -> None:
        super().__init__(model, kernels, seed)
        own = {id(weight) for weight in model.first_order_linear.parameters()}
        for weight in self.weights:
            if id(weight) not in own:
                weight.grad = None  # embeddings, which RecBole makes and never steps

    def _joined(self, found: Embedded) -> Sides:
        return unpaired(found)


class WideDeep(ContextFamily):
    """WideDeep: LR, and a tower over all embeddings (Cheng et al. 2016, DLRS)."""

    models = ("WideDeep",)

    def _joined(self, found: Embedded) -> Sides:
        m = self.model
        plain = unpaired(replace(found, bias=found.bias + m.deep_predict_layer.bias))
        return replace(plain, tower=self._tower(found, m.mlp_layers, m.deep_predict_layer.weight))


class Fm(ContextFamily):
    """FM: a bias, a weight of each feature, a product of each two."""

    models = ("FM",)


class DeepFm(ContextFamily):
    """DeepFM: FM, and a tower over all embeddings."""

    models = ("DeepFM",)

    def _joined(self, found: Embedded) -> Sides:
        m = self.model
        plain = super()._joined(replace(found, bias=found.bias + m.deep_predict_layer.bias))
        return replace(plain, tower=self._tower(found, m.mlp_layers, m.deep_predict_layer.weight))


@dataclass(frozen=True)
class _Side:
    """The features of all users, or of all items."""

    slots: list[int]
    """The place of each feature among all of them, in RecBole's order; tokens first here, then lists."""
    rows: torch.Tensor
    """[number, tokens] int64: rows of the table of tokens."""
    lists: list[_List]
    device: torch.device
    first: int | None
    """The first row, where the number is the only feature: rows follow one another, nothing is looked up."""

    @classmethod
    def of(cls, model: Any, columns: Mapping[str, torch.Tensor], device: torch.device) -> _Side:
        offsets = dict(zip(model.token_field_names, getattr(model, "token_field_offsets", ()), strict=True))
        names = model.token_seq_field_names
        tokens = [name for name in model.token_field_names if name in columns]
        lists = [name for name in names if name in columns]
        rows = [columns[name].long() + int(offsets[name]) for name in tokens]
        order = [*names, *model.token_field_names]
        begin = int(rows[0][0])
        alone = len(rows) == 1 and not lists and torch.equal(rows[0], begin + torch.arange(len(rows[0])))
        return cls(
            [order.index(name) for name in (*tokens, *lists)],
            torch.stack(rows, dim=1).to(device),
            [_List.of(names.index(name), columns[name], device) for name in lists],
            device,
            begin if alone else None,
        )

    def embedded(self, model: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """Embeddings [number, features, d], and the sum of the features' own weights [number]."""
        linear = model.first_order_linear
        table, weights = (one.token_embedding_table.embedding.weight for one in (model, linear))
        if self.first is not None:
            part = slice(self.first, self.first + len(self.rows))
            return table[part][:, None], weights[part][:, 0]
        tokens = functional.embedding(self.rows, table)
        own = functional.embedding(self.rows, weights).sum((1, 2))
        found = [tokens]
        for one in self.lists:
            found.append(one.total(model.token_seq_embedding_table, one.shares)[:, None])
            own = own + one.total(linear.token_seq_embedding_table, one.real)[:, 0]
        return torch.cat(found, dim=1) if self.lists else tokens, own

    def in_order(self, model: Any) -> torch.Tensor:
        """[number, features times d]: the embeddings as RecBole has them beside one another."""
        embedded, _ = self.embedded(model)
        return embedded[:, torch.tensor(self.slots).argsort()].flatten(1)


@dataclass(frozen=True)
class _List:
    """A feature that is a list of tokens: it counts by their mean embedding and the sum of their weights."""

    number: int
    """Of its table."""
    values: torch.Tensor
    """[number, longest] int64, 0 where there is nothing."""
    real: torch.Tensor
    """[number, longest] float32: 1 where there is something."""
    shares: torch.Tensor
    """[number, longest] float32: what each counts in the mean."""

    @classmethod
    def of(cls, number: int, values: torch.Tensor, device: torch.device) -> _List:
        values = values.long().to(device)
        real = (values != 0).float()
        return cls(number, values, real, real / (real.sum(1, keepdim=True) + 1e-8))

    def total(self, tables: Any, weights: torch.Tensor) -> torch.Tensor:
        return functional.embedding_bag(
            self.values, tables[self.number].weight, mode="sum", per_sample_weights=weights
        )


def unpaired(found: Embedded) -> Sides:
    """Constants of both sides, and no product."""
    users, items = (side.new_empty((len(side), 0)) for side in (found.users, found.items))  # no gradients
    return Sides(users, items, found.bias, found.of_users, found.of_items)


def _paired(embedded: torch.Tensor, own: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Sums over the features [number, d]; what one side has by itself [number], with its features' pairs."""
    if embedded.shape[1] == 1:
        return embedded[:, 0], own
    sums = embedded.sum(1)
    return sums, own + 0.5 * ((sums * sums).sum(1) - (embedded * embedded).sum((1, 2)))
