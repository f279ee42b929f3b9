"""Ranking metrics of each row of a test, from the ranks of its right items; by RecBole's definitions.

RecBole computes them too, and gives their means. These are apart from its code, so that one proves the other,
and vectorised in blocks of rows, so that a million of them takes seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Hits = NDArray[np.bool_]
_BLOCK = 1 << 15
"""Rows at once."""


def ranking_metrics(
    hits: NDArray[np.generic], right: NDArray[np.integer], metrics: Sequence[str], cutoffs: Sequence[int]
) -> dict[str, Floats]:
    """The metrics of each row at each cut-off.

    Args:
        hits: [rows, largest cut-off], true where the item at a rank is a right one.
        right: how many right items a row has.
        metrics: among the keys of `METRICS`.
        cutoffs: each at most the width of `hits`.

    Returns:
        An array of rows for each `metric@k`, metric by metric.
    """
    ks = np.asarray(cutoffs)
    found = {f"{name}@{k}": np.empty(len(hits)) for name in metrics for k in cutoffs}
    for start in range(0, len(hits), _BLOCK):
        rows = slice(start, start + _BLOCK)
        block, count = np.asarray(hits[rows], dtype=bool), np.asarray(right[rows], dtype=np.int64)
        for name in metrics:
            values = METRICS[name](block, count)[:, ks - 1]
            for column, k in enumerate(cutoffs):
                found[f"{name}@{k}"][rows] = values[:, column]
    return found


def _ranks(hits: Hits) -> Floats:
    return np.arange(1, hits.shape[1] + 1, dtype=np.float64)


def _hit(hits: Hits, right: NDArray[np.int64]) -> Floats:
    return np.logical_or.accumulate(hits, axis=1).astype(np.float64)


def _mrr(hits: Hits, right: NDArray[np.int64]) -> Floats:
    first = hits.argmax(axis=1)
    reciprocal: Floats = _hit(hits, right) / (first[:, None] + 1.0)
    return reciprocal


def _precision(hits: Hits, right: NDArray[np.int64]) -> Floats:
    return np.cumsum(hits, axis=1) / _ranks(hits)


def _recall(hits: Hits, right: NDArray[np.int64]) -> Floats:
    return np.cumsum(hits, axis=1) / right[:, None]


def _map(hits: Hits, right: NDArray[np.int64]) -> Floats:
    reached = np.minimum(_ranks(hits)[None, :], right[:, None])
    return np.cumsum(_precision(hits, right) * hits, axis=1) / reached


def _ndcg(hits: Hits, right: NDArray[np.int64]) -> Floats:
    gains = 1.0 / np.log2(_ranks(hits) + 1.0)
    ideal, reached = np.cumsum(gains), np.minimum(_ranks(hits)[None, :], right[:, None]).astype(np.int64)
    return np.cumsum(hits * gains, axis=1) / ideal[reached - 1]


METRICS: dict[str, Callable[[Hits, NDArray[np.int64]], Floats]] = {
    "hit": _hit,
    "mrr": _mrr,
    "map": _map,
    "recall": _recall,
    "ndcg": _ndcg,
    "precision": _precision,
}
"""At every cut-off up to the width of the hits, by RecBole's names."""
