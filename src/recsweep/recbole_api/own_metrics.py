"""Metrics of our own, beside RecBole's: a class each, which is all that a new one needs.

`catalog` reads this file as text, as it reads RecBole's: a sweep's metrics are checked without importing
torch. `compat` hands the classes to RecBole, whose evaluator computes them as it does its own.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from recbole.evaluator import metrics as recboles_metrics
from recbole.evaluator import register as recboles
from recbole.evaluator.base_metric import AbstractMetric, LossMetric

from recsweep.recbole_api.settings import scale_width
from recsweep.statistics.areas import user_areas

__all__ = ["register"]


class UserAUC(LossMetric):  # type: ignore[misc]
    """GAUC of labelled rows: each user's area, weighted by how many of his rows are labelled 1.

    RecBole's GAUC is of rankings. In a sweep, and in what is reported, this one bears its name.
    """

    metric_need = ("rec.score", "data.label", "data.users")

    def calculate_metric(self, data: Any) -> dict[str, float]:
        scores, labels = self.used_info(data)
        areas, weights = user_areas(scores, labels, data.get("data.users").numpy())
        found = float((areas * weights).sum() / weights.sum()) if weights.any() else float("nan")
        return {"gauc": round(found, self.decimal_place)}


class _InTheirUnit:
    """Put before an error of RecBole's: in the unit of the ratings where these are the labels."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)  # type: ignore[call-arg]
        self._width = scale_width(config)

    def metric_info(self, preds: Any, trues: Any) -> Any:
        return super().metric_info(preds, trues) * self._width  # type: ignore[misc]


class MAE(_InTheirUnit, recboles_metrics.MAE):  # type: ignore[misc]
    """RecBole's, in that unit."""


class RMSE(_InTheirUnit, recboles_metrics.RMSE):  # type: ignore[misc]
    """The same."""


def register(module: ModuleType = sys.modules[__name__]) -> None:
    """Make RecBole know the metrics that a module defines, by their names in lower case."""
    for name, metric in vars(module).items():
        if isinstance(metric, type) and issubclass(metric, AbstractMetric) and _is_from(module, metric):
            _register(name.lower(), metric)


def _is_from(module: ModuleType, metric: Any) -> bool:
    return bool(metric.__module__ == module.__name__)


def _register(name: str, metric: Any) -> None:
    recboles.metrics_dict[name] = metric
    recboles.metric_information[name] = metric.metric_need
    recboles.metric_types[name] = metric.metric_type
    if metric.smaller and name not in recboles.smaller_metrics:
        recboles.smaller_metrics.append(name)
