"""Numbers of interactions that the filters leave, and how many samples each part of the split gets.

RecBole filters and splits. This counts by itself what has to come of it, from the tables that RecBole is
handed; where the two differ, a run stops instead of training on other data than were said.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from recsweep.common.errors import SplitMismatch
from recsweep.datasets.table import Table
from recsweep.datasets.tables import Reading, Tables

if TYPE_CHECKING:
    from recsweep.recbole_api.data import Kept  # which imports torch

_Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Counts:
    """Numbers of what is left after filtering."""

    interactions: int
    users: int
    items: int
    """Users and items with interactions."""
    all_users: int
    all_items: int
    """With those that only `.user` and `.item` list; every one of the items is ranked."""
    histories: _Array
    """How many interactions each user has."""
    full_users: int
    """Users who have interactions with all items."""

    @property
    def longest(self) -> int:
        """The most interactions of a user."""
        return int(self.histories.max(initial=0))


def can_count(reading: Reading, inter: Table) -> bool:
    """True where the filters are those that are counted here; others are RecBole's alone."""
    floats = all(field in inter.numbers for field in reading.keep)
    return floats and not reading.merged and {reading.user, reading.item} <= inter.texts.keys()


@dataclass(frozen=True)
class _Filtered:
    """The rows that the filters leave."""

    rows: _Array
    of_users: _Array
    of_items: _Array
    """Interactions that each user and each item has left."""
    out_users: _Array
    out_items: _Array
    """Who was dropped for the number of interactions."""


def filtered_rows(tables: Tables, inter: Table) -> _Array:
    """The rows of all interactions, or of those that are listed, that the filters keep: a mask, read-only."""
    return _filtered(tables, inter).rows


def _filtered(tables: Tables, inter: Table) -> _Filtered:
    """The same with its numbers; of all interactions it is found once."""
    kept = tables.found
    if inter is not tables.interactions:
        return _filter(tables.reading, inter)
    if _Filtered not in kept:
        kept[_Filtered] = _filter(tables.reading, inter)
        kept[_Filtered].rows.flags.writeable = False
    found: _Filtered = kept[_Filtered]
    return found


def _filter(reading: Reading, inter: Table) -> _Filtered:
    users, items = inter.texts[reading.user], inter.texts[reading.item]
    rows = _without_duplicates(reading, inter)
    for name, interval in reading.keep.items():
        rows &= inside(interval, inter.numbers[name])
    out_users = np.zeros(len(users.values), dtype=bool)
    out_items = np.zeros(len(items.values), dtype=bool)
    while True:
        of_users = np.bincount(users.codes[rows], minlength=len(out_users))
        of_items = np.bincount(items.codes[rows], minlength=len(out_items))
        bad_users = (of_users > 0) & ~inside(reading.user_range, of_users)
        bad_items = (of_items > 0) & ~inside(reading.item_range, of_items)
        if not (bad_users.any() or bad_items.any()):
            return _Filtered(rows, of_users, of_items, out_users, out_items)
        out_users |= bad_users
        out_items |= bad_items
        rows &= ~(bad_users[users.codes] | bad_items[items.codes])


def count(tables: Tables) -> Counts:
    """Apply the filters of a config to its tables."""
    reading, inter = tables.reading, tables.kept_rows()
    users, items = inter.texts[reading.user], inter.texts[reading.item]
    left = _filtered(tables, inter)
    all_users = _count_ids(tables, "user", reading.user, reading.user_range, left.of_users, left.out_users)
    all_items = _count_ids(tables, "item", reading.item, reading.item_range, left.of_items, left.out_items)
    histories = left.of_users[left.of_users > 0]
    return Counts(
        int(np.count_nonzero(left.rows)),
        len(histories),
        int(np.count_nonzero(left.of_items)),
        all_users,
        all_items,
        histories,
        _full_users(users.codes[left.rows], items.codes[left.rows], all_items, histories),
    )


def _without_duplicates(reading: Reading, inter: Table) -> _Array:
    """The rows that stay where of equal user-item pairs one does, or none."""
    alive = np.ones(inter.rows, dtype=bool)
    if reading.duplicates is None:
        return alive
    pairs, times = inter.pairs(reading.user, reading.item), inter.precise(reading.time)
    order = np.arange(inter.rows) if times is None else np.argsort(times, kind="stable")
    if reading.duplicates == "last":
        order = order[::-1]
    _, first, sizes = np.unique(pairs[order], return_index=True, return_counts=True)
    alive[:] = False
    alive[order[first] if reading.duplicates else order[first[sizes == 1]]] = True
    return alive


def _count_ids(
    tables: Tables, suffix: str, field: str, interval: str | None, counts: _Array, out: _Array
) -> int:
    """Users or items that are left: with interactions, or listed without a filter that asks for some."""
    left, table = int(np.count_nonzero(counts)), tables.get(suffix)
    if table is None or field not in table.texts or _lowest(interval) > 0:
        return left
    values = tables.interactions.texts[field].values
    gone = {value for value, is_out in zip(values, out, strict=True) if is_out}
    used = {value for value, number in zip(values, counts, strict=True) if number}
    return len(used | (set(table.texts[field].values) - gone))


def _full_users(users: _Array, items: _Array, all_items: int, histories: _Array) -> int:
    if not all_items or histories.max(initial=0) < all_items:
        return 0
    pairs = np.unique(users.astype(np.int64) * (int(items.max(initial=0)) + 1) + items)
    distinct = np.bincount(pairs // (int(items.max(initial=0)) + 1))
    return int(np.count_nonzero(distinct == all_items))


def inside(interval: str | None, values: _Array) -> _Array:
    """Which numbers lie in RecBole's interval notation: `[4,inf)`, or several parted by `;`."""
    if interval is None:
        return np.ones(len(values), dtype=bool)
    found = np.zeros(len(values), dtype=bool)
    for part in str(interval).split(";"):
        text = part.strip()
        low, high = (float(bound) for bound in text[1:-1].split(","))
        above = values >= low if text[0] == "[" else values > low
        found |= above & (values <= high if text[-1] == "]" else values < high)
    return found


def _lowest(interval: str | None) -> float:
    return -math.inf if interval is None else float(str(interval).split(";")[0].strip()[1:].split(",")[0])


def part_sizes(reading: Reading, histories: _Array, *, sequential: bool) -> tuple[int, int, int] | None:
    """Samples for training, validation and test; None for a split that is not counted here.

    A sequential model has a sample for each interaction of a user but the first.
    """
    lengths = histories - 1 if sequential else histories
    lengths = lengths[lengths > 0]
    (kind, how), *_ = [*reading.split.items(), (None, None)]
    if kind == "LS" and how == "valid_and_test":
        test = int(np.count_nonzero(lengths >= 2))
        valid = int(np.count_nonzero(lengths >= 3))
        return int(lengths.sum()) - valid - test, valid, test
    if kind != "RS":
        return None
    if reading.group_by == "user":
        sizes, times = np.unique(lengths, return_counts=True)
    else:
        sizes, times = np.array([lengths.sum()]), np.array([1])
    total = [0, 0, 0]
    for size, number in zip(sizes.tolist(), times.tolist(), strict=True):
        total = [sum_ + number * part for sum_, part in zip(total, by_ratio(size, how), strict=True)]
    return total[0], total[1], total[2]


def by_ratio(total: int, ratio: Sequence[float]) -> list[int]:
    """As RecBole divides a user's interactions: rounded down, but one for each part while there are some."""
    whole = sum(ratio)
    shares = [part / whole for part in ratio]
    parts = [int(share * total) for share in shares]
    parts[0] = total - sum(parts[1:])
    for index in range(1, len(parts)):
        if parts[0] <= 1:
            break
        if 0 < shares[-index] * total < 1:
            parts[-index] += 1
            parts[0] -= 1
    return parts


def confirm(tables: Tables, kept: Kept) -> None:
    """Compare what RecBole has made of the tables with what has to come of them.

    Raises:
        SplitMismatch: they differ.
    """
    samples = kept.interactions - (kept.users if kept.sequential else 0)
    if sum(kept.parts) != samples:
        raise _mismatch(tables, "samples in the parts", samples, sum(kept.parts))
    if not can_count(tables.reading, tables.interactions):
        return
    counts = count(tables)
    for name, counted in (
        ("interactions", counts.interactions),
        ("users", counts.users),
        ("items", counts.items),
    ):
        if getattr(kept, name) != counted:
            raise _mismatch(tables, name, counted, getattr(kept, name))
    parts = part_sizes(tables.reading, counts.histories, sequential=kept.sequential)
    if parts is not None and parts != kept.parts:
        raise _mismatch(tables, "samples for training, validation and test", parts, kept.parts)


def _mismatch(tables: Tables, what: str, counted: object, found: object) -> SplitMismatch:
    return SplitMismatch(
        f"{tables.folder}: the split does not hold the data that were checked; {what}: {counted} were "
        f"counted, RecBole has {found}; this is a fault of recsweep, please report it with the data"
    )
