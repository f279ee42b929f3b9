"""Metrics of our own: known to RecBole by their names, as its own are."""

from __future__ import annotations

from types import ModuleType

import pytest

from recsweep.recbole_api import compat

compat.apply()

from recbole.evaluator import register as recboles  # noqa: E402
from recbole.evaluator.base_metric import TopkMetric  # noqa: E402

from recsweep.recbole_api import own_metrics  # noqa: E402


@pytest.fixture
def recboles_tables(monkeypatch):
    for name in ("metrics_dict", "metric_information", "metric_types"):
        monkeypatch.setattr(recboles, name, dict(getattr(recboles, name)))
    monkeypatch.setattr(recboles, "smaller_metrics", list(recboles.smaller_metrics))


@pytest.mark.usefixtures("recboles_tables")
def test_classes_of_the_module_itself_are_registered():
    module = ModuleType("mine")
    module.TopkMetric = TopkMetric  # imported there, so none of its own
    module.Regret = type("Regret", (TopkMetric,), {"__module__": "mine", "smaller": True})
    before = set(recboles.metrics_dict)
    own_metrics.register(module)
    own_metrics.register(module)
    assert set(recboles.metrics_dict) - before == {"regret"}
    assert recboles.metric_information["regret"] == ["rec.topk"]
    assert recboles.smaller_metrics.count("regret") == 1


def test_every_metric_of_ours_is_recboles_too():
    own = [name.lower() for name, value in vars(own_metrics).items() if _is_metric(value)]
    assert set(own) <= set(recboles.metrics_dict)


def _is_metric(value: object) -> bool:
    own = isinstance(value, type) and value.__module__ == own_metrics.__name__
    return own and not value.__name__.startswith("_")
