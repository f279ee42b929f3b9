"""Names of models of one's own: `my_package.models:MyRec`, or `path/to/file.py:MyRec`."""

from __future__ import annotations

from pathlib import Path


def is_own(model: str) -> bool:
    """True where a model's name says which code it is; False where it is a name of RecBole's."""
    return ":" in model


def split(model: str) -> tuple[str, str]:
    """The file or module of a model of one's own, and the name of its class."""
    where, _, name = model.rpartition(":")
    return where, name


def in_full(model: str, folder: Path) -> str:
    """A model's name with the whole path of its file, where it has one.

    Args:
        folder: the folder of the file that names it, which a relative path is relative to.
    """
    where, name = split(model)
    if not is_own(model) or not where.endswith(".py"):
        return model
    return f"{(folder / Path(where).expanduser()).resolve()}:{name}"


def in_short(model: str) -> str:
    """A model's name without the folders of its file: the same wherever the file lies."""
    where, name = split(model)
    return f"{Path(where).name}:{name}" if is_own(model) and where.endswith(".py") else model
