"""What workers are forked from is started early, and only where something is to run."""

from __future__ import annotations

import pytest

from helpers.phased import fill, workspace
from recsweep.api.slots import prepare_workers
from recsweep.running import templates
from recsweep.study import Store


@pytest.fixture
def started(monkeypatch):
    """How often a template was asked for."""
    asked = []
    monkeypatch.setattr(templates.TEMPLATES, "get", lambda: asked.append(1))
    monkeypatch.setattr(templates.TEMPLATES, "end_unused", asked.clear)
    return asked


def test_a_template_is_started_where_trials_are_to_run(tmp_path, started):
    plan = workspace(tmp_path, "max_evals: 3").plan()
    prepare_workers([plan, plan])
    assert started == [1]


def test_no_template_is_started_where_none_is_to_run(tmp_path, started):
    plan = workspace(tmp_path, "max_evals: 2").plan()
    plan.outputs.root.mkdir(parents=True, exist_ok=True)
    store = Store(plan.storage_url)
    fill(plan, store, [0.1, 0.2])
    store.close()
    started.append(1)  # as the command line did, before it knew
    prepare_workers([plan])
    assert started == []


def test_what_is_wrong_with_a_study_is_told_later(tmp_path, started):
    plan = workspace(tmp_path, "max_evals: 3").plan()
    prepare_workers([plan], str(tmp_path / "no-such-file.json"))
    assert started == []
