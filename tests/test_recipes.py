"""The recipes of CONTRIBUTING.md: what stands there is taken from the page, added, and works."""

from __future__ import annotations

import importlib.util
import json
import re
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Literal

import pytest

from helpers.engine_contract import EngineContract
from helpers.tracker_contract import Seen, TrackerContract
from recsweep.search import engines
from recsweep.sweeps import engine_table, sections, tracker_table
from recsweep.tracking import trackers

PAGE = Path(__file__).parents[1] / "CONTRIBUTING.md"
MOST_LINES = 80


def blocks(heading: str) -> list[str]:
    """The Python code of a section, block by block."""
    _, _, after = PAGE.read_text(encoding="utf-8").partition(f"\n## {heading}\n")
    section = after.partition("\n## ")[0]
    found = re.findall(r"^```python\n(.*?)^```$", section, flags=re.MULTILINE | re.DOTALL)
    assert found, f"CONTRIBUTING.md has no code under {heading}"
    assert sum(code.count("\n") for code in found) < MOST_LINES
    return found


def module_of(code: str, folder: Path, name: str) -> ModuleType:
    """A file with this code, imported."""
    path = folder / f"{name}.py"
    path.write_text(code, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where pydantic and dataclasses look names up
    spec.loader.exec_module(module)
    return module


def recipe_engine() -> engine_table.EngineRow:
    """The row of the engine of the page, whose module is there to be imported."""
    code, row = blocks("Add an engine")
    found: engine_table.EngineRow = eval(row, dict(vars(engine_table)))
    module = ModuleType(f"{engines.__name__}.{found.made_by.split(':')[0]}")
    sys.modules[module.__name__] = module
    exec(code, vars(module))
    return found


def test_a_fast_path(tmp_path, monkeypatch):
    from helpers.fast import RECBOLE, TORCH, assert_equal_runs, run, settings_of, split_of, write_interactions
    from recsweep.training.fast import families

    (code,) = blocks("Add a fast path")
    family = module_of(code, tmp_path, "recipe_fast_path").SpectralCf
    folder = write_interactions(tmp_path / "toy", users=45)
    settings = settings_of(folder, "SpectralCF", {"embedding_size": 16, "train_batch_size": 128})
    split = split_of(settings, folder)
    before = run(settings, split, TORCH, folder)
    assert before.path == "recbole (SpectralCF has no fast path)", "the recipe is of a model that has none"
    monkeypatch.setattr(families, "FAST_FAMILIES", (*families.FAST_FAMILIES, family))
    found = run(settings, split, TORCH, folder)
    assert found.path == "torch"
    assert_equal_runs(found, run(settings, split, RECBOLE, folder))


def test_a_metric(tmp_path, monkeypatch):
    from helpers.fast import CPU, settings_of, split_of, write_interactions
    from recsweep.recbole_api import catalog, compat
    from recsweep.training import training

    compat.apply()
    from recbole.evaluator import register as recboles

    from recsweep.recbole_api import own_metrics

    (code,) = blocks("Add a metric")
    module = module_of(code, tmp_path, "recipe_metric")
    monkeypatch.setattr(catalog, "metrics", catalog.metrics.__wrapped__)
    assert "rbp" not in catalog.metrics()
    monkeypatch.setattr(catalog, "OWN_METRICS", tmp_path / "recipe_metric.py")
    assert catalog.metrics()["rbp"] is True, "the name is known to the checks of a sweep, larger is better"
    for table in ("metrics_dict", "metric_information", "metric_types"):
        monkeypatch.setitem(getattr(recboles, table), "rbp", None)  # taken away again behind the test
    own_metrics.register(module)
    folder = write_interactions(tmp_path / "toy", users=30)
    params = {"embedding_size": 8, "epochs": 1, "metrics": ["RBP", "Hit"], "valid_metric": "RBP@10"}
    settings = settings_of(folder, "BPR", {**params, "topk": [1, 10]})
    trials = [
        training.train({**settings, "fast": fast}, split_of(settings, folder), CPU) for fast in (True, False)
    ]
    assert trials[0].path != trials[1].path
    assert trials[0].metrics == pytest.approx(trials[1].metrics, abs=1e-6)
    assert trials[0].metrics["rbp@1"] == pytest.approx(0.2 * trials[0].metrics["hit@1"])
    assert 0 < trials[0].score == trials[0].metrics["rbp@10"] < trials[0].metrics["hit@10"]


def test_a_pruner(tmp_path, monkeypatch):
    from recsweep.search import pruning, pruning_rules
    from recsweep.search.curves import Curve
    from recsweep.study import State
    from recsweep.sweeps import pruner_table, sections

    monkeypatch.setattr(pruner_table, "PRUNERS", table := dict(pruner_table.PRUNERS))
    monkeypatch.setattr(pruning, "PRUNERS", table)
    monkeypatch.setattr(pruning_rules, "RULES", rules := dict(pruning_rules.RULES))
    monkeypatch.setattr(pruning, "RULES", rules)
    row, rule = blocks("Add a pruner")
    exec(row, dict(vars(pruner_table)))
    exec(rule, dict(vars(pruning_rules)))
    assert rules.keys() == table.keys() - {pruner_table.NO_PRUNER}

    monkeypatch.setattr(pruner_table, "PrunerName", Literal[tuple(table)])
    config = module_of(Path(sections.__file__).read_text(encoding="utf-8"), tmp_path, "recipe_sections")
    given = config.PruningConfig(pruner="quartile", warmup_epochs=1, patience=0)
    others = [Curve(slot, {1: 0.1 * slot}, State.COMPLETE) for slot in range(5)]

    def said(score: float) -> str | None:
        return pruning.verdict(given, Curve(9, {1: score}), others, maximize=True, max_epochs=50)

    assert said(0.05) == "0.0500 < quartile 0.1000"
    assert said(0.15) is None


@pytest.mark.parametrize(
    "heading",
    [
        "Add an engine",
        "Add a fast path",
        "Add a metric",
        "Add a pruner",
        "Add a kind of store",
        "Add a tracker",
    ],
)
def test_a_recipe_names_files_that_there_are(heading):
    _, _, after = PAGE.read_text(encoding="utf-8").partition(f"\n## {heading}\n")
    section = re.sub(r"```.*?```", "", after.partition("\n## ")[0], flags=re.DOTALL)
    named = re.findall(r"`((?:src|tests|docs|benchmarks)/[^`<> ]+)`", section)
    assert named
    assert [name for name in named if not (PAGE.parent / name).exists()] == []


class TestEngine(EngineContract):
    """The engine of the page: every algo of its row, held to the tests of every engine."""

    row = recipe_engine()

    def test_is_made_by_its_row(self):
        assert type(self.make_engine()).__name__ == "ClimbEngine"

    def test_is_new_and_a_sweep_may_ask_for_it(self, monkeypatch, tmp_path):
        assert self.row.name not in engine_table.ENGINES
        monkeypatch.setitem(engine_table.ENGINES, self.row.name, self.row)
        for name, choices in {
            "EngineName": engine_table.ENGINES,
            "AlgoName": engine_table.algo_names(),
        }.items():
            monkeypatch.setattr(engine_table, name, Literal[tuple(choices)])
        config = module_of(
            Path(sections.__file__).read_text(encoding="utf-8"), tmp_path, "recipe_engine_sections"
        )
        assert config.SearchConfig(engine="climb", algo="climb").can(engine_table.Can.LEARN)
        with pytest.raises(ValueError, match="the engine climb has no algo gp; it has random, climb; or use"):
            config.SearchConfig(engine="climb", algo="gp")


def recipe_tracker() -> tracker_table.TrackerRow:
    """The row of the tracker of the page, whose module is there to be imported."""
    code, row = blocks("Add a tracker")
    found: tracker_table.TrackerRow = eval(row, dict(vars(tracker_table)))
    module = ModuleType(f"{trackers.__name__}.{found.made_by.split(':')[0]}")
    sys.modules[module.__name__] = module
    exec(code, vars(module))
    return found


class TestTracker(TrackerContract):
    """The tracker of the page, held to the tests of every tracker."""

    row = recipe_tracker()

    def rows(self, folder):
        with closing(sqlite3.connect(folder / "runs.db")) as database:
            return database.execute("SELECT run, name, step, value FROM runs ORDER BY run, step").fetchall()

    def read_back(self, folder):
        seen = {}
        for run, name, step, value in self.rows(folder):
            if "-" not in run:
                continue
            one = seen.setdefault(int(run.rpartition("-")[2]), Seen())
            if name in ("state", "reason"):
                setattr(one, name, json.loads(value))
            elif name.startswith("params/"):
                one.params[name[7:]] = json.loads(value)
            elif name.startswith("test/"):
                one.test[name[5:]] = json.loads(value)
            elif step:
                one.epochs.append((step, json.loads(value)))
        return seen

    def summaries(self, folder):
        return sum(name == "best" for _, name, _, _ in self.rows(folder))
