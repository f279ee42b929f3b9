"""Recipes: data sets that many people use, from which page they are, and how their files are read.

Each is a file of `recipes/`; nothing here fetches anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

from recsweep.common.errors import InputError
from recsweep.sweeps.documents import load_document, nearest, validate
from recsweep.sweeps.import_file import RecipeFile

_FOLDER = Path(__file__).parent / "recipes"
UNKNOWN = "unknown"
"""The checksum of a download of which none is published, or none that is certain."""


def recipe_names() -> list[str]:
    """The names of all recipes."""
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


@cache
def recipe(name: str) -> RecipeFile:
    """A recipe.

    Raises:
        InputError: there is none of that name.
    """
    if name not in recipe_names():
        raise InputError("--recipe", f"there is no recipe `{name}`", nearest(name, recipe_names()))
    return validate(load_document(_FOLDER / f"{name}.yaml"), RecipeFile)


def files_of(name: str, paths: Sequence[Path]) -> dict[str, list[Path]]:
    """The files that a recipe reads, by what they hold; of a folder, those that it has of them.

    Raises:
        InputError: a file is none of the recipe's, or one is missing.
    """
    found: dict[str, list[Path]] = {}
    patterns = recipe(name).files
    for path in paths:
        listed = sorted(path.iterdir()) if path.is_dir() else [path]
        for one in listed:
            holds = next((kind for kind, some in patterns.items() if _is_one(one, some)), None)
            if holds is not None:
                found.setdefault(holds, []).append(one)
            elif not path.is_dir():
                problem = f"is none of the files of the recipe {name}"
                raise InputError(one, problem, f"name {_words(patterns.values())}, or use --columns", 1, 1)
    for kind in recipe(name).required:
        if kind not in found:
            problem = f"no file of {kind} is among {', '.join(map(str, paths)) or 'what is named'}"
            raise InputError("FILE", problem, f"name {_words([patterns[kind]])}; {where(name)}")
    for kind in ("users", "items"):
        if len(found.get(kind, ())) > 1:
            problem = f"two files of {kind}: {found[kind][0]} and {found[kind][1]}"
            raise InputError("FILE", problem, "name one of them")
    return found


def where(name: str) -> str:
    """The downloads of a recipe, and their page."""
    made = recipe(name)
    sums = "; ".join(f"MD5 of {file} {made.md5[file]}" for file in made.fetch if file in made.md5)
    return f"download {', '.join(made.fetch)} from {made.page}, {made.url} ({sums or f'checksum {UNKNOWN}'})"


def _is_one(path: Path, patterns: Sequence[str]) -> bool:
    return any(fnmatch(path.name.lower(), pattern) for pattern in patterns)


def _words(patterns: object) -> str:
    groups: list[Sequence[str]] = list(patterns)  # type: ignore[call-overload]
    return " or ".join(dict.fromkeys(pattern for some in groups for pattern in some))
