"""The area under each user's ROC curve, from the scores and labels of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]


def user_areas(scores: Floats, labels: Floats, users: Whole) -> tuple[Floats, Floats]:
    """How well each user's own rows are told apart: GAUC's parts (Zhou et al., KDD 2018).

    Equal scores share their ranks. A user whose rows are all labelled alike has no area.

    Args:
        scores: of each row.
        labels: 1 or 0.
        users: whose row it is.

    Returns:
        For each row the area of its user, 0 where there is none; and the row's weight in the mean over users:
        1 for a row labelled 1 of a user who has an area, else 0.
    """
    _, owner = np.unique(users, return_inverse=True)
    right = labels > 0
    ranks = _ranks_within(owner, scores)
    size = int(owner.max(initial=-1)) + 1
    ones = np.bincount(owner, weights=right, minlength=size)
    zeros = np.bincount(owner, weights=~right, minlength=size)
    sums = np.bincount(owner, weights=np.where(right, ranks, 0.0), minlength=size)
    pairs = sums - ones * (ones + 1) / 2
    usable = (ones > 0) & (zeros > 0)
    area = np.divide(pairs, ones * zeros, out=np.zeros(size), where=usable)
    return area[owner], (right & usable[owner]).astype(np.float64)


def _ranks_within(owner: NDArray[Any], scores: Floats) -> Floats:
    """The rank of each row among its owner's, from 1, the least score first; equal ones share the mean."""
    order = np.lexsort((scores, owner))
    sorted_owner, sorted_scores = owner[order], scores[order]
    begins = np.ones(len(order), dtype=bool)
    begins[1:] = sorted_owner[1:] != sorted_owner[:-1]
    new = begins.copy()
    new[1:] |= sorted_scores[1:] != sorted_scores[:-1]
    places = np.arange(len(order), dtype=np.float64)
    first = places[new]
    last = np.append(first[1:], len(order)) - 1
    shared = ((first + last) / 2)[np.cumsum(new) - 1]
    starts = places[begins][np.cumsum(begins) - 1]
    ranks = np.empty(len(order))
    ranks[order] = shared - starts + 1
    return ranks
