"""The command that the user typed, to be pasted into a shell again."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from recsweep.common.masking import mask

GOAL, GIVEN, TYPED = "RECSWEEP_GOAL", "RECSWEEP_GIVEN", "RECSWEEP_TYPED"
"""Words of make, and of a Snakemake that runs us, on themselves: a target and the names of the variables that
were given, each in `RECSWEEP_<NAME>`; a whole command line."""

_FILL_IN = "RECSWEEP_STORAGE=***"


def command_line(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> str:
    """The command that led to this process: of make, of Snakemake, or ours.

    Args:
        arguments: ours, the program first.
    """
    if goal := environment.get(GOAL):
        names = environment.get(GIVEN, "").split()
        values = {name: environment.get(f"RECSWEEP_{name}") for name in names}
        given = [f"{name}={value}" for name, value in values.items() if value is not None]
        return _without_secrets(["make", goal, *given])
    if typed := environment.get(TYPED):
        return _without_secrets(shlex.split(typed))
    return _without_secrets([*_program(arguments[0]), *arguments[1:]])


def _without_secrets(words: Sequence[str]) -> str:
    """The words, quoted. An address with a password in it is left to the environment, to be filled in."""
    kept: list[str] = []
    if hidden := list(words[:1]) == [_FILL_IN]:
        words = words[1:]
    for word in words:
        if mask(word) == word:
            kept.append(word)
        elif kept and kept[-1] == "--storage":
            kept.pop()
    filled_in = f"{_FILL_IN} " if hidden or len(kept) < len(words) else ""
    return filled_in + shlex.join(kept)


def _program(path: str) -> list[str]:
    """How a program is called: by its name where a shell finds it so, else by its path."""
    if Path(path).name == "__main__.py":
        return [*_program(sys.executable), "-m", Path(path).parent.name]
    name = Path(path).name
    found = shutil.which(name)
    return [name if found and Path(found).resolve() == Path(path).resolve() else path]


def is_job(environment: Mapping[str, str] = os.environ) -> bool:
    """True in a job of Snakemake: it is part of a run that was begun, and may be stopped, as a whole."""
    return bool(environment.get(TYPED))


def typed() -> str:
    """The command line of the command that runs."""
    context = click.get_current_context()
    return command_line(context.obj or ["recsweep", context.info_name or ""])
