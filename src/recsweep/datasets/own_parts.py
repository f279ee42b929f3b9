"""Our own ways of splitting on the tables of a data set: the part of each row, counted and confirmed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recsweep.common.errors import SplitMismatch
from recsweep.datasets import count
from recsweep.datasets.facts import Interactions
from recsweep.datasets.own_splits import parts_of, samples
from recsweep.datasets.tables import Tables

if TYPE_CHECKING:
    from recsweep.recbole_api.data import Kept  # which imports torch

_Array = np.ndarray[Any, Any]
OUT = -1
"""The part of a row that the filters drop."""


def of_rows(tables: Tables, seed: int) -> _Array | None:
    """The part of each row that RecBole is handed, `OUT` for those that it drops; None where it divides."""
    split, inter = tables.reading.own_split, tables.kept_rows()
    if split is None:
        return None
    kept = count.filtered_rows(tables, inter)
    parts = np.full(inter.rows, OUT, dtype=np.int8)
    parts[kept] = parts_of(Interactions.of(tables, kept), split, seed)
    return parts


def sizes(tables: Tables, parts: _Array, *, sequential: bool) -> tuple[int, int, int]:
    """Samples for training, validation and test."""
    kept = parts != OUT
    return samples(Interactions.of(tables, kept), parts[kept], sequential=sequential)


def confirm(tables: Tables, parts: _Array | None, kept: Kept) -> None:
    """Compare what RecBole has made of the tables with what has to come of them.

    Raises:
        SplitMismatch: they differ.
    """
    count.confirm(tables, kept)
    if parts is None:
        return
    wanted = sizes(tables, parts, sequential=kept.sequential)
    if wanted != kept.parts:
        raise SplitMismatch(
            f"{tables.folder}: the split does not hold the data that were checked; samples for training, "
            f"validation and test: {wanted} were counted, RecBole has {kept.parts}; this is a fault of "
            "recsweep, please report it with the data"
        )
