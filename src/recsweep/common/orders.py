"""Sorted orders of millions of numbers: the very ones that NumPy's stable sorts give, ten times as fast.

NumPy sorts whole numbers by vector instructions, but finds no stable order so. A number and its position in
one whole number have only one order.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_Array = np.ndarray[Any, Any]
_MOST = 2**62


def order_of(values: _Array) -> _Array:
    """As `np.argsort(values, kind="stable")`."""
    numbers = _from_zero(values)
    rows = len(values)
    if numbers is None or (int(numbers.max(initial=0)) + 1) * rows >= _MOST:
        return np.argsort(values, kind="stable")
    numbers *= rows
    numbers += np.arange(rows)
    numbers.sort()
    numbers %= max(rows, 1)
    return numbers


def order_within(groups: _Array, values: _Array) -> _Array:
    """As `np.lexsort((values, groups))`: group by group, and by value in each."""
    order = order_of(values)
    found: _Array = order[order_of(groups[order])]
    return found


def behind_first(groups: _Array, order: _Array) -> _Array:
    """Of an order group by group, all places but the first of each group."""
    found: _Array = order[1:][np.diff(groups[order]) == 0]
    return found


def dense_ranks(values: _Array) -> _Array:
    """The place of each number among the different ones, from 0. None of them is NaN."""
    return ordered_ranks(values)[0]


def ordered_ranks(values: _Array) -> tuple[_Array, _Array]:
    """The same, and `order_of` them."""
    order = order_of(values)
    ordered = values[order]
    steps = np.zeros(len(values), dtype=np.int64)
    np.cumsum(ordered[1:] != ordered[:-1], out=steps[1:])
    ranks = np.empty_like(steps)
    ranks[order] = steps
    return ranks, order


def _from_zero(values: _Array) -> _Array | None:
    """A copy as whole numbers from 0, in the same order; None where they are too far apart, or not whole."""
    if not len(values) or values.dtype.kind not in "iuf":
        return None
    low, high = values.min(), values.max()
    if not -_MOST < low <= high < _MOST or high - low >= _MOST:  # not so for NaN, too
        return None
    whole = values.astype(np.int64)
    if values.dtype.kind == "f" and not (whole == values).all():
        if values.dtype != np.float32 or low < 0:
            return None
        whole = (values + np.float32(0)).view(np.int32).astype(np.int64)  # bits of -0.0 would be others
    whole -= whole.min()
    return whole
