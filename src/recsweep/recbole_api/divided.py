"""RecBole's data sets divided as recsweep says, where RecBole has no such way of splitting."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from recsweep.common.orders import behind_first, order_within
from recsweep.recbole_api.windows import rows_of

_Array = np.ndarray[Any, Any]
_ROWS = "_handed_rows"
"""Of a data set while it is made: which of the rows that it was handed each of its rows is."""


def divided(cls: type[Any], parts: _Array) -> type[Any]:
    """A data set class that divides its rows by the part of each row that it is handed.

    Args:
        cls: takes its columns from tables (`frames.handed`).
        parts: 0, 1 or 2 for training, validation and test; -1 for a row that the filters drop.
    """

    class Divided(cls):  # type: ignore[misc]
        inter_feat: Any

        def _reset_index(self) -> None:
            # Until here RecBole drops and sorts rows, and each keeps the number that it was handed with.
            setattr(self, _ROWS, self.inter_feat.index.to_numpy())
            super()._reset_index()

        def _resorted(self, order: _Array) -> None:
            setattr(self, _ROWS, getattr(self, _ROWS)[order])

        def build(self) -> list[Any]:
            of_rows = parts[getattr(self, _ROWS)]
            delattr(self, _ROWS)
            if (of_rows < 0).any():
                raise ValueError("RecBole keeps rows that were dropped when they were counted")
            return _built(self, of_rows)

    return Divided


def _built(dataset: Any, parts: _Array) -> list[Any]:
    """The data sets of training, validation and test."""
    sequential = hasattr(dataset, "data_augmentation")
    if sequential:
        # RecBole makes a sample of each row but a user's first, in this order; its sort, which is stable,
        # then leaves the rows as they are.
        rows = dataset.inter_feat
        users, times = rows[dataset.uid_field].to_numpy(), rows[dataset.time_field].to_numpy()
        order = order_within(users, times)
        dataset.inter_feat = rows.iloc[order].reset_index(drop=True)
        parts = parts[behind_first(users, order)]
    dataset._change_feat_format()
    if len(parts) != len(dataset.inter_feat):
        raise ValueError(f"{len(dataset.inter_feat)} samples were made of {len(parts)} rows")
    dataset._drop_unused_col()
    columns, table = dataset.inter_feat.interaction, type(dataset.inter_feat)
    places = (torch.from_numpy(np.flatnonzero(parts == part)) for part in range(3))
    return [dataset.copy(table(rows_of(columns, rows))) for rows in places]
