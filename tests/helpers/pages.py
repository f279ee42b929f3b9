"""The files and the commands that a page of the documentation shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
# What a checkout is made of, as far as a command of a page needs it.
CHECKOUT = ("Makefile", "Snakefile", "profiles", "config", "envs", "src", "benchmarks")
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Shown:
    """A command of a page, and the lines that the page shows below it."""

    command: str
    lines: tuple[str, ...]


def steps(page: str) -> Iterator[tuple[str, str] | Shown]:
    """In the order of the page: files (`# PATH` is the first line of their block), and commands (`$ …`)."""
    for language, content in _BLOCK.findall(page):
        if language in ("python", "yaml") and (named := re.match(r"# (\S+\.\w+)\n", content)):
            yield named[1], content
        elif language == "console":
            for part in re.split(r"^\$ ", content, flags=re.MULTILINE)[1:]:
                command, *lines = part.splitlines()
                yield Shown(command, tuple(lines))


def checkout(folder: Path, environment: Path | None = None) -> Path:
    """A folder in which a page's commands run: this checkout, with outputs of its own.

    Args:
        environment: that of Python; not given: that of this test run.
    """
    for name in CHECKOUT:
        source = ROOT / name
        subprocess.run(["cp", "-r", source, folder / name], check=True)
    (folder / ".venv").symlink_to(environment or sys.prefix, target_is_directory=True)
    return folder


def perform(
    step: tuple[str, str] | Shown, folder: Path, **environment: str
) -> subprocess.CompletedProcess[str] | None:
    """Write a file, or run a command and return what came of it."""
    if not isinstance(step, Shown):
        path = folder / step[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(step[1], encoding="utf-8")
        return None
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("RECSWEEP_", "MAKE", "MFLAGS"))}
    path = f"{folder / '.venv' / 'bin'}:{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", step.command],
        cwd=folder,
        env=kept | {"PATH": path, "PYTHONPATH": str(folder / "src")} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=600,
    )
