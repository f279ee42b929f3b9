"""Metrics of our own, beside RecBole's: a class each, which is all that a new one needs.

`catalog` reads this file as text, as it reads RecBole's: a sweep's metrics are checked without importing
torch. `compat` hands the classes to RecBole, whose evaluator computes them as it does its own.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from recbole.evaluator import register as recboles
from recbole.evaluator.base_metric import AbstractMetric

__all__ = ["register"]


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
