"""ENMF: a loss over all items without samples of them (Chen et al. 2020, TOIS).

What all items say follows from products of d x d numbers; of the items that users have, RecBole scores rows
that are padded to the longest. Padding is counted here: its score depends on the user alone.
"""

from __future__ import annotations

from typing import Any

import torch

from recsweep.training.fast.autoencoders import UserFamily
from recsweep.training.fast.histories import Bags, entries
from recsweep.training.fast.products import ProductFamily
from recsweep.training.fast.stream import Batch
from recsweep.training.fast.table import Table

_PAIRS_AT_ONCE = 1 << 14
"""Pairs of a user and an item it has that are scored at once."""


class Enmf(UserFamily, ProductFamily):
    """ENMF: products of embeddings, each factor with a weight."""

    models = ("ENMF",)
    has_kernels = False

    @classmethod
    def refuses(cls, model: Any) -> str | None:
        users, items = entries(*_had(model))
        twice = len(torch.unique(users * model.n_items + items)) < len(items)
        return "a user has an item twice" if twice else None

    def had(self) -> tuple[torch.Tensor, torch.Tensor]:
        return _had(self.model)

    def torch_step(self, table: Table, batch: Batch) -> torch.Tensor:
        m, users = self.model, table.users[batch.there[0]]
        own, bags = m.user_embedding(users), self.bags(table, batch)
        items, factors = m.item_embedding.weight, m.H_i.weight
        loss = m.negative_weight * ((items.T @ items) * (own.T @ own) * (factors.T @ factors)).sum()
        loss = loss + self._positive(m.dropout(own) * factors, items, bags)
        if m.reg_weight:
            loss = loss + m.reg_loss()
        self.backward(loss)
        total: torch.Tensor = loss.detach()
        return total

    def _positive(self, queries: torch.Tensor, items: torch.Tensor, bags: Bags) -> torch.Tensor:
        """Sum of (1 - w) s^2 - 2 s over the scores s of what users have, padding included."""
        share = 1.0 - self.model.negative_weight
        padding = queries @ items[0].detach()
        width = self.model.history_item_matrix.shape[1]
        sums = ((width - bags.counts) * (share * padding - 2.0) * padding).sum()
        found: torch.Tensor = _Pairs.apply(queries, items, bags, share)  # type: ignore[no-untyped-call]
        both: torch.Tensor = sums + found
        return both

    def queries(self, table: Table, rows: torch.Tensor) -> torch.Tensor:
        m = self.model
        users: torch.Tensor = m.user_embedding.weight[table.users[rows.to(table.device)]] * m.H_i.weight
        return users.detach()

    def candidates(self) -> tuple[torch.Tensor, None]:
        return self.model.item_embedding.weight.detach(), None


def _had(model: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """RecBole's padded rows, and where they are not padding."""
    rows = model.history_item_matrix
    return rows, torch.arange(rows.shape[1], device=rows.device) < model.history_lens.to(rows.device)[:, None]


class _Pairs(torch.autograd.Function):
    """The sum over all pairs, whose gradients are made with it: nothing is kept of a pair."""

    @staticmethod
    def forward(
        ctx: Any, queries: torch.Tensor, items: torch.Tensor, bags: Bags, share: float
    ) -> torch.Tensor:
        total = queries.new_zeros((), dtype=torch.float32)
        dqueries, ditems = torch.zeros_like(queries), torch.zeros_like(items)
        for begin in range(0, len(bags.items), _PAIRS_AT_ONCE):
            part = slice(begin, begin + _PAIRS_AT_ONCE)
            owners, which = bags.owners[part], bags.items[part]
            mine, theirs = queries[owners], items[which]
            scores = (mine * theirs).sum(1)
            total += ((share * scores - 2.0) * scores).sum()
            slopes = (2.0 * share * scores - 2.0)[:, None]
            dqueries.index_add_(0, owners, theirs.mul_(slopes))
            ditems.index_add_(0, which, mine.mul_(slopes))
        ctx.save_for_backward(dqueries, ditems)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None, None]:
        dqueries, ditems = ctx.saved_tensors
        return dqueries * gradients[0], ditems * gradients[0], None, None
