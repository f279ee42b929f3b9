"""Filters that RecBole has not: by sets of values, and the interactions of a pair counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from recsweep.common.orders import order_of, order_within
from recsweep.datasets.table import Table

_Array = np.ndarray[Any, Any]


def has_value(table: Table, name: str, values: Sequence[str]) -> _Array:
    """The rows with one of some values in a column, as a mask."""
    if name in table.texts:
        texts = table.texts[name]
        wanted = set(values)
        found: _Array = np.array([text in wanted for text in texts.values], dtype=bool)[texts.codes]
        return found
    return np.isin(table.numbers[name], [float(value) for value in values])


def filtered(table: Table, user: str, item: str, time: str, own: Mapping[str, Any]) -> Table:
    """The rows that our own filters leave; where pairs are counted, with their number in a column.

    Args:
        own: `keep` and `drop`, values by column, and `count`, the name of the column of numbers.
    """
    for name, values in (own.get("keep") or {}).items():
        table = table.take(has_value(table, name, values))
    for name, values in (own.get("drop") or {}).items():
        table = table.take(~has_value(table, name, values))
    return counted(table, user, item, time, own["count"]) if own.get("count") else table


def counted(table: Table, user: str, item: str, time: str, name: str) -> Table:
    """The last interaction of each pair of a user and an item, and how many there were."""
    pairs, times = table.pairs(user, item), table.precise(time)
    order = order_of(pairs) if times is None else order_within(pairs, times)
    ends = (
        np.flatnonzero(np.append(np.diff(pairs[order]) != 0, True)) if table.rows else np.empty(0, dtype=int)
    )
    last = order[ends]
    numbers = np.zeros(table.rows)
    numbers[last] = np.diff(ends, prepend=-1)
    mask = np.zeros(table.rows, dtype=bool)
    mask[last] = True
    return table.with_numbers(name, numbers).take(mask)
