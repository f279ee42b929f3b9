"""A data set in numbers: its size, its users' histories, its items' popularity, its times."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from recsweep.common.orders import order_within
from recsweep.datasets.count import filtered_rows
from recsweep.datasets.tables import Tables

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
"""Of the lengths of histories."""
_SECONDS, _MILLISECONDS = (1e8, 1e10), (1e11, 1e13)
"""Times since 1970 of the years 1973 to 2286, in the unit that they must have then."""
_DAY = 86_400.0
_Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Interactions:
    """The rows that the filters of a data set leave, in the order of its file."""

    users: _Array
    items: _Array
    """Whole numbers from 0, in no order."""
    times: _Array | None
    """None where no column of times is loaded."""
    files: _Array | None = None
    """The file of each row, from 0; None where all are of one."""

    @classmethod
    def of(cls, tables: Tables, rows: _Array | None = None) -> Interactions:
        """The rows of a data set's tables.

        Args:
            rows: those of `tables.kept_rows()` that the filters leave, where they are known.
        """
        reading, inter = tables.reading, tables.kept_rows()
        rows = filtered_rows(tables, inter) if rows is None else rows
        users, items = (inter.texts[name].codes[rows] for name in (reading.user, reading.item))
        times = inter.precise(reading.time)
        files = None if inter.sources is None else inter.source_of(np.flatnonzero(rows))
        return cls(users, items, None if times is None else np.asarray(times[rows], dtype=np.float64), files)


@dataclass(frozen=True)
class DataFacts:
    """The numbers of a data set after its filters.

    Attributes:
        density: share of all pairs of a user and an item that have interactions.
        lengths: quantiles (`QUANTILES`) of the interactions of a user.
        repeats: share of interactions with an item that the same user has had before.
        ties: share of interactions that have the time of another one of the same user, so that nothing says
            which came first; None without times.
        gini: of the interactions of the items: 0 where all are equally popular, 1 where one has all.
        span: from the first time to the last, in the unit of the data.
        days: the same in days, where the unit can be told.
    """

    interactions: int
    users: int
    items: int
    density: float
    lengths: tuple[float, ...]
    repeats: float
    gini: float
    ties: float | None = None
    span: float | None = None
    days: float | None = None


def facts_of(data: Interactions) -> DataFacts:
    """The numbers of a data set.

    Args:
        data: one interaction at least.
    """
    rows = len(data.users)
    _, lengths = np.unique(data.users, return_counts=True)
    _, popularity = np.unique(data.items, return_counts=True)
    pairs = _distinct(data.users, data.items)
    found = DataFacts(
        interactions=rows,
        users=len(lengths),
        items=len(popularity),
        density=pairs / (len(lengths) * len(popularity)),
        lengths=tuple(float(value) for value in np.quantile(lengths, QUANTILES)),
        repeats=repeats(data),
        gini=gini(popularity),
    )
    if data.times is None:
        return found
    span = float(data.times.max() - data.times.min())
    return replace(found, ties=float(tied(data).mean()), span=span, days=_days(data.times, span))


def repeats(data: Interactions) -> float:
    """The share of interactions with an item that the same user has had before."""
    return 1 - _distinct(data.users, data.items) / max(len(data.users), 1)


def gini(counts: _Array) -> float:
    """The Gini coefficient of counts: 0 where they are all equal, near 1 where one has nearly all."""
    ordered = np.sort(counts.astype(np.float64))
    number, total = len(ordered), float(ordered.sum())
    if not number or not total:
        return 0.0
    ranks = np.arange(1, number + 1)
    return float(2 * (ranks * ordered).sum() / (number * total) - (number + 1) / number)


def tied(data: Interactions) -> _Array:
    """The interactions at whose time their user has another one, as a mask."""
    if data.times is None:
        return np.zeros(len(data.users), dtype=bool)
    order = order_within(data.users, data.times)
    same = (np.diff(data.users[order]) == 0) & (np.diff(data.times[order]) == 0)
    mask = np.zeros(len(order), dtype=bool)
    mask[order] = np.append(same, False) | np.append(False, same)[: len(order)]
    return mask


def _distinct(users: _Array, items: _Array) -> int:
    pairs = users.astype(np.int64) * (int(items.max(initial=0)) + 1) + items
    pairs.sort()
    return int(np.count_nonzero(np.diff(pairs))) + min(len(pairs), 1)


def _days(times: _Array, span: float) -> float | None:
    first = float(times.min())
    for (low, high), unit in ((_SECONDS, 1.0), (_MILLISECONDS, 1000.0)):
        if low <= first and first + span < high:
            return span / unit / _DAY
    return None
