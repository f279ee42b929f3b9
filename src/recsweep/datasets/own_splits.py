"""Ways of splitting that RecBole has not: the part that each interaction goes to.

Each of them gives every interaction one part, so that parts are disjoint and complete by their form.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from recsweep.common.orders import behind_first, order_within
from recsweep.datasets.count import by_ratio
from recsweep.datasets.facts import Interactions
from recsweep.datasets.parts import PARTS, TEST, TRAIN, VALID, part_of_each, shares
from recsweep.sweeps.split import SplitConfig

_Array = np.ndarray[Any, Any]


def parts_of(data: Interactions, split: SplitConfig, seed: int = 0) -> _Array:
    """The part of each interaction: training, validation or test.

    Args:
        data: with times where the split goes by them, and with the file of each row where files are split.
        split: any, RecBole's ways among them.
        seed: draws what is drawn.
    """
    if not split.own:
        return part_of_each(data.users, data.times, split, seed)
    return _WAYS[split.type](data, split, np.random.default_rng(seed))


def samples(data: Interactions, parts: _Array, *, sequential: bool) -> tuple[int, int, int]:
    """Samples for training, validation and test.

    A sequential model has none for the first interaction of a user, which no history comes before.
    """
    if sequential:
        parts = parts[behind_first(data.users, order_within(data.users, _times(data)))]
    train, valid, test = np.bincount(parts, minlength=3).tolist()
    return train, valid, test


def _leave_k_out(data: Interactions, split: SplitConfig, random: np.random.Generator) -> _Array:
    """Each user's last k are for test, the k before for validation; one at least is trained on."""
    key = random.permutation(len(data.users)) if split.order == "random" else _times(data)
    order = order_within(data.users, key)
    _, sizes = np.unique(data.users, return_counts=True)
    test = np.minimum(split.k, sizes - 1)
    valid = np.minimum(split.k, sizes - 1 - test)
    counts = np.stack([sizes - test - valid, valid, test], axis=1)
    parts = np.empty(len(order), dtype=np.int8)
    parts[order] = np.repeat(np.tile(PARTS, len(sizes)), counts.reshape(-1))
    return parts


def _global_date(data: Interactions, split: SplitConfig, random: np.random.Generator) -> _Array:
    times = _times(data)
    later = (times >= float(split.valid_from or 0)).astype(np.int8)
    return later + (times >= float(split.test_from or 0)).astype(np.int8)


def _k_fold(data: Interactions, split: SplitConfig, random: np.random.Generator) -> _Array:
    """Each interaction is in one fold; a fold is the test, the next one is for validation."""
    rows = len(data.users)
    key = random.permutation(rows)
    if split.group_by == "user":
        order = order_within(data.users, key)
        # Another first fold for each user: else the folds before would get what does not divide evenly.
        users, starts = np.unique(data.users[order], return_index=True)
        first = random.integers(split.folds, size=len(users))
        lengths = np.diff(np.append(starts, rows))
        places = np.empty(rows, dtype=np.int64)
        places[order] = np.arange(rows) - np.repeat(starts - first, lengths)
    else:
        places = key
    after = (places % split.folds - (split.fold - 1)) % split.folds
    return np.where(after == 0, TEST, np.where(after == 1, VALID, TRAIN)).astype(np.int8)


def _cold(ids: _Array, split: SplitConfig, random: np.random.Generator) -> _Array:
    """All interactions of a user, or with an item, are in one part."""
    distinct, which = np.unique(ids, return_inverse=True)
    of_each = np.empty(len(distinct), dtype=np.int8)
    of_each[random.permutation(len(distinct))] = np.repeat(PARTS, by_ratio(len(distinct), split.ratio))
    return of_each[which]


def _cold_users(data: Interactions, split: SplitConfig, random: np.random.Generator) -> _Array:
    return _cold(data.users, split, random)


def _cold_items(data: Interactions, split: SplitConfig, random: np.random.Generator) -> _Array:
    return _cold(data.items, split, random)


def _files(data: Interactions, split: SplitConfig, random: np.random.Generator) -> _Array:
    """As the files have it; of two, a share of each user's training interactions is for validation."""
    if data.files is None:
        raise ValueError("the file of each row is not known")
    if len(split.files) == 3:
        return PARTS[data.files]
    parts = np.where(data.files == 1, TEST, TRAIN).astype(np.int8)
    rows = np.flatnonzero(parts == TRAIN)
    order = rows[order_within(data.users[rows], random.permutation(len(rows)))]
    _, sizes = np.unique(data.users[rows], return_counts=True)
    share = split.share_for_validation
    parts[order] = shares(sizes, (1 - share, share))
    return parts


def _times(data: Interactions) -> _Array:
    return np.zeros(len(data.users)) if data.times is None else data.times


_WAYS: Mapping[str, Callable[[Interactions, SplitConfig, np.random.Generator], _Array]] = {
    "leave_k_out": _leave_k_out,
    "global_date": _global_date,
    "k_fold": _k_fold,
    "cold_users": _cold_users,
    "cold_items": _cold_items,
    "files": _files,
}
