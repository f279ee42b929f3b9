"""The recipes of CONTRIBUTING.md: what stands there is taken from the page, added, and works."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

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
    spec.loader.exec_module(module)
    return module


def test_a_fast_path(tmp_path, monkeypatch):
    from helpers.fast import RECBOLE, TORCH, assert_equal_runs, run, settings_of, split_of, write_interactions
    from recsweep.training.fast import families

    (code,) = blocks("Add a fast path")
    family = module_of(code, tmp_path, "lightgcn").LightGcn
    folder = write_interactions(tmp_path / "toy", users=45)
    settings = settings_of(folder, "LightGCN", {"embedding_size": 16, "n_layers": 2, "train_batch_size": 128})
    split = split_of(settings, folder)
    before = run(settings, split, TORCH, folder)
    assert before.path == "recbole (LightGCN has no fast path)", "the recipe is of a model that has none"
    monkeypatch.setattr(families, "FAMILIES", (*families.FAMILIES, family))
    found = run(settings, split, TORCH, folder)
    assert found.path == "torch"
    assert_equal_runs(found, run(settings, split, RECBOLE, folder))


@pytest.mark.parametrize("heading", ["Add an engine", "Add a fast path", "Add a pruner"])
def test_a_recipe_names_files_that_there_are(heading):
    _, _, after = PAGE.read_text(encoding="utf-8").partition(f"\n## {heading}\n")
    section = re.sub(r"```.*?```", "", after.partition("\n## ")[0], flags=re.DOTALL)
    named = re.findall(r"`((?:src|tests|docs|benchmarks)/[^`<> ]+)`", section)
    assert named
    assert [name for name in named if not (PAGE.parent / name).exists()] == []
