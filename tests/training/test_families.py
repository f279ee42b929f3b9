"""The table of families: each model in one of them, with a reason where it is in none, and in the docs."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from recsweep.recbole_api import catalog
from recsweep.training.fast import ranking, trainer, validation
from recsweep.training.fast.families import FAST_FAMILIES, refused, served

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "fast-paths.md"


def test_a_model_is_in_one_family_or_refused_and_is_recboles():
    names = [name for family in FAST_FAMILIES for name in (*family.models, *family.refused)]
    assert len(names) == len(set(names))
    assert set(names) <= set(catalog.models())


def test_a_transform_is_one_of_a_model_that_is_served():
    for family in FAST_FAMILIES:
        assert set(family.transforms) <= set(family.models)


def test_neither_trainer_nor_ranking_knows_a_model():
    for module in (trainer, validation, ranking):
        source = inspect.getsource(module)
        named = [name for name in catalog.models() if re.search(rf"[\"']{name}[\"']", source)]
        assert not named
        assert "isinstance(" not in source


def test_the_page_has_the_table():
    page = PAGE.read_text(encoding="utf-8")
    for family in FAST_FAMILIES:
        line = next(line for line in page.splitlines() if line.startswith(f"| `{_file(family)}` |"))
        listed = line.split("|")[2].replace(" ", "").split(",")
        mine = [name for other in FAST_FAMILIES if _file(other) == _file(family) for name in other.models]
        assert listed == mine
    assert [line for line in page.splitlines() if line in _refusals()] == _refusals()
    assert set(served()) & set(refused()) == set()


def _file(family: type) -> str:
    return f"{family.__module__.rpartition('.')[2]}.py"


def _refusals() -> list[str]:
    return [f"| {name} | {why} |" for name, why in sorted(refused().items())]
