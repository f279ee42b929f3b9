"""SimpleX: a user and its history, by cosines to an item it met and to others (Mao et al. 2021, CIKM)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch.nn import functional

from recsweep.training.fast.products import ProductFamily
from recsweep.training.fast.stream import Batch, Stream, is_local, needed, placed
from recsweep.training.fast.table import Table


class SimpleX(ProductFamily):
    """SimpleX. A user's history is summed once a batch, however often the user is sampled.

    The kernel has the mean of a history; attention to it goes by torch operations.
    """

    models = ("SimpleX",)
    several_negatives = True

    def parameters(self) -> list[torch.nn.Parameter]:
        m = self.model
        first = [m.user_emb.weight, m.item_emb.weight, m.UI_map.weight]
        return first + [weight for weight in m.parameters() if all(weight is not one for one in first)]

    def batches(self, stream: Stream, table: Table) -> Iterator[Batch]:
        for batch in placed(stream.epoch(), table):
            yield replace(batch, extra=_once(table.users[batch.rows])) if is_local(table) else batch

    def torch_step(self, table: Table, batch: Batch) -> torch.Tensor:
        m, (rows, negatives) = self.model, batch.there
        users, which = batch.extra or (table.users[rows], torch.arange(len(rows), device=table.device))
        own, history = m.user_emb(users), m.item_emb(m.history_item_id[users])
        query = m.dropout(m.get_UI_aggregation(own, history, m.history_item_len[users])[which])
        met = m.item_emb(table.items[rows])
        others = m.item_emb(needed(negatives).view(-1, len(rows)).t())
        near, far = m.get_cos(query, met[:, None]), m.get_cos(query, others)
        worse = functional.relu(far - m.margin).mean(1, keepdim=True) * m.negative_weight
        loss = (functional.relu(1 - near) + worse).mean()
        if m.reg_weight:
            counts = torch.zeros(len(users), device=table.device).index_add_(
                0, which, torch.ones_like(rows).float()
            )
            sums = [(own.square().sum(1) * counts).sum(), met.square().sum()]
            sums += [(history.square().sum((1, 2)) * counts).sum(), others.square().sum()]
            loss = loss + m.reg_weight / len(rows) * _sizes(torch.stack(sums), bool(m.require_pow))
        self.backward(loss)
        total: torch.Tensor = loss.detach()
        return total

    def native_step(self, table: Table, batch: Batch) -> float:
        m = self.model
        if m.aggregator != "mean":
            return float(self.torch_step(table, batch))
        users, which = batch.extra or _once(table.users[batch.rows])
        found: float = self.kernels.simplex_step(  # type: ignore[union-attr]
            *(self.plain, self.gradients, users, which, table.items[batch.rows], needed(batch.negatives)),
            *(m.history_item_id, m.history_item_len, m.gamma, m.margin, m.negative_weight, m.reg_weight),
            *(bool(m.require_pow), m.dropout.p, self.step_seed()),
        )
        return found

    def queries(self, table: Table, rows: torch.Tensor) -> torch.Tensor:
        m, users = self.model, table.users[rows.to(table.device)]
        history = m.item_emb(m.history_item_id[users])
        found = m.get_UI_aggregation(m.user_emb(users), history, m.history_item_len[users])
        return functional.normalize(found.detach(), dim=1)

    def candidates(self) -> tuple[torch.Tensor, None]:
        return functional.normalize(self.model.item_emb.weight.detach(), dim=1), None


def _once(users: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Users [samples] once each, and which of these each sample has."""
    distinct, which = torch.unique(users, return_inverse=True)
    return distinct, which


def _sizes(sums: torch.Tensor, power: bool) -> torch.Tensor:
    """RecBole's `EmbLoss` of sums of squares: half of them, or their roots."""
    return sums.sum() / 2 if power else sums.sqrt().sum()
