"""FPMC and BPR: inner products of embeddings, one negative a sample."""

from __future__ import annotations

from typing import Any

import torch

from recsweep.training.fast import losses
from recsweep.training.fast.products import ProductFamily
from recsweep.training.fast.stream import Batch, needed
from recsweep.training.fast.table import Table


class _Pairwise(ProductFamily):
    def torch_step(self, table: Table, batch: Batch) -> torch.Tensor:
        rows, negatives = batch.there
        better, worse = self._scores(table, rows, table.items[rows], needed(negatives))
        loss = losses.bpr(better, worse) / len(rows)
        self.backward(loss)
        return loss.detach()

    def _scores(
        self, table: Table, rows: torch.Tensor, positive: torch.Tensor, negative: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        raise NotImplementedError


class Fpmc(_Pairwise):
    """FPMC: the user's taste for an item plus the item's affinity to the one before."""

    models = ("FPMC",)

    @classmethod
    def refuses(cls, model: Any) -> str | None:
        return None if model.loss_type == "BPR" else f"loss_type {model.loss_type}"

    def parameters(self) -> list[torch.nn.Parameter]:
        m = self.model
        return [m.UI_emb.weight, m.IU_emb.weight, m.LI_emb.weight, m.IL_emb.weight]

    def native_step(self, table: Table, batch: Batch) -> float:
        rows = batch.rows
        last = table.last(rows)
        loss: float = self.kernels.fpmc_step(  # type: ignore[union-attr]
            self.plain, self.gradients, table.users[rows], last, table.items[rows], needed(batch.negatives)
        )
        return loss

    def _scores(
        self, table: Table, rows: torch.Tensor, positive: torch.Tensor, negative: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        m = self.model
        user, last = m.UI_emb(table.users[rows]), m.LI_emb(table.last(rows))
        better = (user * m.IU_emb(positive)).sum(1) + (last * m.IL_emb(positive)).sum(1)
        worse = (user * m.IU_emb(negative)).sum(1) + (last * m.IL_emb(negative)).sum(1)
        return better, worse

    def queries(self, table: Table, rows: torch.Tensor) -> torch.Tensor:
        rows = rows.to(table.device)
        user, _, last, _ = self.plain
        return torch.cat([user[table.users[rows]], last[table.last(rows)]], dim=1)

    def candidates(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        _, taste, _, affinity = self.plain
        return torch.cat([taste, affinity], dim=1), None


class Bpr(_Pairwise):
    """BPR: matrix factorization."""

    models = ("BPR",)

    def parameters(self) -> list[torch.nn.Parameter]:
        return [self.model.user_embedding.weight, self.model.item_embedding.weight]

    def native_step(self, table: Table, batch: Batch) -> float:
        samples = (table.users, table.items, batch.rows, needed(batch.negatives))
        loss: float = self.kernels.bpr_step(self.plain, self.gradients, *samples)  # type: ignore[union-attr]
        return loss

    def _scores(
        self, table: Table, rows: torch.Tensor, positive: torch.Tensor, negative: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        m = self.model
        user = m.user_embedding(table.users[rows])
        return (user * m.item_embedding(positive)).sum(1), (user * m.item_embedding(negative)).sum(1)

    def queries(self, table: Table, rows: torch.Tensor) -> torch.Tensor:
        return self.plain[0][table.users[rows.to(table.device)]]

    def candidates(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        return self.plain[1], None
