"""DMF and FISM: a user is what it has. Its vector is a sum over its items, computed once a batch.

RecBole makes a row of all items for each sample of DMF, and for FISM gathers all items of the user of each.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from recsweep.training.fast.graph import beginnings, csr, product
from recsweep.training.fast.histories import entries
from recsweep.training.fast.pairs import TWICE, PairFamily, Sides
from recsweep.training.fast.stream import Batch
from recsweep.training.fast.table import Table


class Dmf(PairFamily):
    """DMF: towers over a user's row and over an item's column of the interactions, and their product."""

    models = ("DMF",)

    def __init__(self, model: Any, kernels: Any | None, seed: int) -> None:
        super().__init__(model, kernels, seed)
        had = entries(model.history_item_id, model.history_item_value != 0)
        self._rows = _Rows(*had, torch.ones(len(had[0])), (model.n_users, model.n_items))
        self._columns = self._rows.turned()
        self._none = model.user_linear.weight.new_zeros(1)

    @classmethod
    def refuses(cls, model: Any) -> str | None:
        if model.inter_matrix_type != "01":
            return f"inter_matrix_type: {model.inter_matrix_type}"
        # Once in RecBole's training, twice in its validation.
        return "a user has an item twice" if model.interaction_matrix.max() > 1 else None

    def sides(self, table: Table) -> Sides:
        m = self.model
        users = m.user_fc_layers(self._rows @ m.user_linear.weight.t())
        items = m.item_fc_layers(self._columns @ m.item_linear.weight.t())
        return Sides(users, items, self._none, users.new_empty(0), users.new_empty(0))

    def step(self, table: Table, batch: Batch) -> torch.Tensor | float:
        self.model.i_embedding = None  # of RecBole's last validation
        return super().step(table, batch)


class Fism(PairFamily):
    """FISM: a user's items are added up, and multiplied by the item that is asked about."""

    models = ("FISM",)
    loss: ClassVar[int] = TWICE
    rates = False

    def __init__(self, model: Any, kernels: Any | None, seed: int) -> None:
        super().__init__(model, kernels, seed)
        counts = model.history_lens.cpu()
        present = torch.arange(model.history_item_matrix.shape[1]) < counts[:, None]
        users, items = entries(model.history_item_matrix, present)
        shares = torch.pow(counts, -model.alpha).float()
        self._rows = _Rows(users, items, shares[users], (model.n_users, model.n_items))
        # Nothing to a negative power is infinite, and RecBole's score of nobody's items is not a number.
        self._nobody = torch.where(counts == 0, shares * 0.0, 0.0).to(model.device)
        self._none = model.user_bias.new_zeros(1)

    def sides(self, table: Table) -> Sides:
        m = self.model
        users = self._rows @ m.item_src_embedding.weight
        of_users = m.user_bias if m.training else m.user_bias + self._nobody
        return Sides(users, m.item_dst_embedding.weight, self._none, of_users, m.item_bias)

    def regularization(self) -> torch.Tensor | None:
        found: torch.Tensor = self.model.reg_loss()
        return found


class _Rows:
    """A sparse matrix, and the same turned for the gradient, both sorted by row.

    Args:
        rows: [entries] int64, where the model is, or on the CPU.
        columns: [entries] int64.
        values: [entries] float32.
        shape: of the matrix.
    """

    def __init__(
        self, rows: torch.Tensor, columns: torch.Tensor, values: torch.Tensor, shape: tuple[int, int]
    ) -> None:
        self._made = (rows, columns, values, shape)
        self._there = _sorted(rows, columns, values, shape)
        self._back = _sorted(columns, rows, values, (shape[1], shape[0]))

    def turned(self) -> _Rows:
        """The transposed matrix."""
        rows, columns, values, shape = self._made
        return _Rows(columns, rows, values, (shape[1], shape[0]))

    def __matmul__(self, dense: torch.Tensor) -> torch.Tensor:
        if self._there.device != dense.device:
            self._there, self._back = self._there.to(dense.device), self._back.to(dense.device)
        result: torch.Tensor = _Times.apply(self._there, self._back, dense)  # type: ignore[no-untyped-call]
        return result


def _sorted(
    rows: torch.Tensor, columns: torch.Tensor, values: torch.Tensor, shape: tuple[int, int]
) -> torch.Tensor:
    order = (rows * shape[1] + columns).argsort(stable=True)
    return csr(beginnings(rows, shape[0]), columns[order].to(torch.int32), values[order], shape)


class _Times(torch.autograd.Function):
    """A sparse matrix times a dense one, in float32 also where autocast would take less."""

    @staticmethod
    def forward(ctx: Any, matrix: torch.Tensor, back: torch.Tensor, dense: torch.Tensor) -> torch.Tensor:
        ctx.back = back
        return product(matrix, dense)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[None, None, torch.Tensor]:
        return None, None, product(ctx.back, gradients[0])
