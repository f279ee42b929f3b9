"""RecBole's metrics of rankings without its loops over the rows: the same numbers, a column at a time."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsweep.statistics.ranking import METRICS

_LOOPS = ("mrr", "map", "ndcg")
"""Those that RecBole computes row by row in Python."""


def install(evaluator: Any) -> None:
    """Let RecBole's evaluator compute its own metrics so; somebody's metric of the same name stays."""
    for name, metric in evaluator.metric_class.items():
        if name in _LOOPS and type(metric).__module__ == "recbole.evaluator.metrics":
            metric.metric_info = partial(_values, name)


def _values(
    name: str, hits: NDArray[np.bool_], right: NDArray[np.integer] | None = None
) -> NDArray[np.float64]:
    """[rows, cutoffs]: as RecBole's `metric_info`."""
    counts = np.ones(len(hits), dtype=np.int64) if right is None else right.astype(np.int64)
    return METRICS[name](hits, counts)
