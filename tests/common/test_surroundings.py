"""Variables for a while; that processes end with their starter is tested where they are started."""

from __future__ import annotations

import os

import pytest

from recsweep.common.surroundings import variables


def fail_within(seen: list[str | None]) -> None:
    with variables({"BEFORE": "new", "NOT_BEFORE": "there"}):
        seen += [os.environ.get("BEFORE"), os.environ.get("NOT_BEFORE")]
        raise KeyError


def test_variables_are_as_before_after_an_error_too(monkeypatch):
    monkeypatch.setenv("BEFORE", "old")
    monkeypatch.delenv("NOT_BEFORE", raising=False)
    seen: list[str | None] = []
    with pytest.raises(KeyError):
        fail_within(seen)
    assert seen == ["new", "there"]
    assert os.environ["BEFORE"] == "old"
    assert "NOT_BEFORE" not in os.environ
