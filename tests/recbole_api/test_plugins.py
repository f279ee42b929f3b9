"""Metrics of other packages: found by their entry point, read as text, registered with RecBole's."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest

from recsweep.common.errors import UserError
from recsweep.recbole_api import catalog, compat, plugins

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "a-metric.md"


@pytest.fixture
def install(tmp_path, monkeypatch):
    """A package with one module of metrics, as pip leaves it; asked for anew."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(plugins, "metric_files", plugins.metric_files.__wrapped__)
    monkeypatch.setattr(catalog, "metrics", catalog.metrics.__wrapped__)

    def installed(code: str | None, module: str = "page_metrics") -> None:
        if code is not None:
            (tmp_path / f"{module}.py").write_text(code, encoding="utf-8")
        info = tmp_path / "my_metrics-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-metrics\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[recsweep.metrics]\nmine = {module}\n")

    return installed


def code_of_the_page() -> str:
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    return code


def test_the_metric_of_the_page_is_known_before_it_is_imported(install):
    assert "rbp" not in catalog.metrics()
    install(code_of_the_page())
    assert catalog.metrics()["rbp"] is True
    assert "page_metrics" not in sys.modules


def test_recbole_computes_it_as_its_own(install, monkeypatch):
    compat.apply()
    from recbole.evaluator import register as recboles

    from recsweep.recbole_api import own_metrics

    install(code_of_the_page())
    for table in ("metrics_dict", "metric_information", "metric_types"):
        monkeypatch.setattr(recboles, table, dict(getattr(recboles, table)))
    (module,) = plugins.metric_modules()
    own_metrics.register(module)
    metric = recboles.metrics_dict["rbp"]({"topk": [2], "metric_decimal_place": 4})
    assert metric.metric_info(np.array([[True, True]]))[0, 1] == pytest.approx(0.2 + 0.16)


def test_a_package_whose_module_is_gone_is_named(install):
    install(None, module="gone_metrics")
    with pytest.raises(UserError, match="my-metrics has metrics of its own in gone_metrics"):
        catalog.metrics()


def test_a_name_that_is_taken_is_refused(install):
    install("class NDCG(TopkMetric):\n    pass\n", module="taken_metrics")
    with pytest.raises(UserError, match="the metric ndcg of taken_metrics has the name of another one"):
        catalog.metrics()
