"""RecBole's tables sorted on whole columns: the same order, found faster, and windows stay windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from recsweep.common.orders import order_of
from recsweep.recbole_api.windows import rows_of


def reorder_columns(table: Any) -> None:
    """Let RecBole's `Interaction` be sorted so.

    Args:
        table: the class; changed in place.
    """
    recboles = table.sort

    def reindex(self: Any, index: Any) -> None:
        self.interaction = rows_of(self.interaction, index)

    def sort(self: Any, by: str | Sequence[str], ascending: bool | Sequence[bool] = True) -> None:
        names = [by] if isinstance(by, str) else by
        if ascending is not True or not all(_is_plain(self.interaction.get(name)) for name in names):
            recboles(self, by, ascending)
            return
        order = None
        for name in reversed(names):
            key = self.interaction[name].numpy()
            order = order_of(key) if order is None else order[order_of(key[order])]
        if order is not None:
            reindex(self, torch.from_numpy(order))

    table._reindex, table.sort = reindex, sort


def _is_plain(column: Any) -> bool:
    """A column with a number in each cell."""
    return isinstance(column, torch.Tensor) and column.dim() == 1 and column.device.type == "cpu"
