"""The page of the Python names, and the names."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import Annotated, Literal

import pytest

import recsweep
from recsweep.cli.api_page import api_page, prose, type_name

NAMES = [name for names in recsweep.PUBLIC.values() for name in names]
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "api.md"


def test_the_page_is_what_the_docstrings_say():
    told = "docs/reference/api.md is old; run `make docs`"
    assert PAGE.read_text(encoding="utf-8") == api_page(), told


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_has_a_docstring_of_its_own(name):
    thing = getattr(recsweep, name)
    assert thing.__name__ == name
    assert inspect.cleandoc(thing.__doc__ or "")


def test_type_checkers_see_the_names_that_there_are():
    source = ast.parse(Path(recsweep.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in source.body if isinstance(node, ast.If))
    seen = {
        alias.asname: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == {
        name: f"recsweep.{home}" for names in recsweep.PUBLIC.values() for name, home in names.items()
    }


def test_a_name_that_is_not_there_is_no_attribute():
    assert not hasattr(recsweep, "tuna")
    assert set(NAMES) <= set(dir(recsweep))


def test_the_sections_of_a_docstring_become_lists():
    text = """One line.

    More of it.

    Args:
        first: what it is,
            over two lines.
        second: another.

    Returns:
        A number.

    Raises:
        ValueError: when it is none.
    """
    assert prose(text) == [
        *("One line.", "", "More of it.", ""),
        *("Args:", "", "- `first`: what it is, over two lines.", "- `second`: another.", ""),
        *("Returns:", "", "- A number.", ""),
        *("Raises:", "", "- `ValueError`: when it is none.", ""),
    ]


def test_a_type_is_written_without_what_checks_it():
    assert type_name(tuple[Annotated[str, "checked"], ...]) == "tuple[str, ...]"
    assert type_name(Literal["a", "b"] | None) == '"a" | "b" | None'
