"""The tasks that models are measured by: to rank all items, or to predict the answers of given rows.

A sweep's metrics are all of one task. Those of rankings take a cut-off and are RecBole's to list (`catalog`);
those of predictions stand here.
"""

from __future__ import annotations

from collections.abc import Iterable

LABELS = ("AUC", "GAUC", "LogLoss", "MAE", "RMSE")
"""Metrics of predicted labels, 0 or 1: how likely a user likes an item."""
RATINGS = ("MAE", "RMSE")
"""Those that ratings have too, which are on a scale of their own."""
_SMALLER = frozenset({"logloss", "mae", "rmse"})
PREDICTED = {name.lower(): name.lower() not in _SMALLER for name in LABELS}
"""Metrics of predictions by RecBole's names, and whether larger is better."""
_USUAL = dict.fromkeys(("auc", "gauc", "logloss"), ("AUC", "GAUC", "LogLoss"))


def is_predicted(metric: str) -> bool:
    """True for a metric of predictions, which takes no cut-off."""
    return metric.lower() in PREDICTED


def usual(metric: str) -> tuple[str, ...]:
    """The metrics that are reported beside one of predictions, where nobody says which."""
    return _USUAL.get(metric.lower(), RATINGS)


def misplaced(metric: str, names: Iterable[str]) -> str | None:
    """The first of some metrics that is of another task than the one that is searched for."""
    return next((name for name in names if is_predicted(name) is not is_predicted(metric)), None)
