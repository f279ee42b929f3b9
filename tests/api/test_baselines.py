"""Popularity beside a sweep is trained by the workers that are there."""

from __future__ import annotations

from helpers.phased import workspace
from recsweep.api import baselines as module
from recsweep.api.baselines import train_baselines
from recsweep.planning.baseline import baselines


class Supervising:
    """Takes a study as a supervisor does."""

    def __init__(self):
        self.ran = []

    def run_study(self, plan, position, count, *, restart):
        self.ran.append((plan.model_name, position, count, restart))


class Lines(list):
    """What a display was told."""

    line = list.append


def test_workers_that_are_there_train_the_baseline(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_written", lambda plan: f"{plan.model_name} is written")
    supervising, lines = Supervising(), Lines()
    train_baselines(baselines([workspace(tmp_path, "max_evals: 2").plan()]), lines, supervising)
    assert supervising.ran == [("Pop", 1, 1, True)]
    assert lines == ["Pop is written"]
