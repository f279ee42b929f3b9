"""The part of a split that each interaction goes to: training, validation or test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from recsweep.common.orders import order_of, order_within
from recsweep.datasets.count import by_ratio
from recsweep.sweeps.config import SplitConfig

TRAIN, VALID, TEST = 0, 1, 2
PARTS = np.array([TRAIN, VALID, TEST], dtype=np.int8)
_Array = np.ndarray[Any, Any]


def part_of_each(users: _Array, times: _Array | None, split: SplitConfig, seed: int = 0) -> _Array:
    """The part of each interaction, as RecBole divides them; of equal times the file's order decides.

    A random split is one of its kind, and not the very one that RecBole draws from the same seed.

    Args:
        users: the user of each interaction, as a whole number.
        times: None where the data have none, which is well for a random order alone.
    """
    if split.order == "random" or times is None:
        key = np.random.default_rng(seed).permutation(len(users))
    else:
        key = times
    if split.type == "ratio" and split.group_by == "none":
        parts = np.empty(len(users), dtype=np.int8)
        parts[order_of(key)] = _block(len(users), split.ratio)
        return parts
    order = order_within(users, key)
    _, sizes = np.unique(users, return_counts=True)
    parts = np.empty(len(users), dtype=np.int8)
    parts[order] = _last_ones(sizes) if split.type == "leave_one_out" else shares(sizes, split.ratio)
    return parts


def split_named(eval_args: Mapping[str, Any]) -> SplitConfig | None:
    """The split that RecBole's `eval_args` ask for; None where it is of a kind that no data set file has."""
    kind, how = next(iter((eval_args.get("split") or {}).items()), ("", None))
    named: dict[str, Any] = {
        "order": {"TO": "time", "RO": "random"}.get(str(eval_args.get("order"))),
        "group_by": str(eval_args.get("group_by")).lower(),
    }
    named |= {"type": "leave_one_out"} if how == "valid_and_test" else {"type": "ratio", "ratio": how}
    try:
        return SplitConfig.model_validate(named) if kind in ("LS", "RS") else None
    except ValueError:
        return None


def _block(size: int, ratio: Sequence[float]) -> _Array:
    return np.repeat(PARTS, by_ratio(size, ratio))


def _last_ones(sizes: _Array) -> _Array:
    """Each user's last interaction is for test where there are two, the one before where there are three."""
    ends = np.cumsum(sizes)
    parts = np.zeros(int(ends[-1]) if len(ends) else 0, dtype=np.int8)
    parts[ends[sizes >= 2] - 1] = TEST
    parts[ends[sizes >= 3] - 2] = VALID
    return parts


def shares(sizes: _Array, ratio: Sequence[float]) -> _Array:
    """The parts of each user's interactions, one user after the other; a ratio of two has no test.

    Users of one length are divided alike: their first and last interactions are counted from there.
    """
    distinct, which = np.unique(sizes, return_inverse=True)
    counts = [by_ratio(int(size), ratio) for size in distinct]
    of_each = np.array(counts, dtype=np.int64).reshape(-1, len(ratio))[which]
    return np.repeat(np.tile(PARTS[: len(ratio)], len(sizes)), of_each.reshape(-1))
