"""Where a result comes from: versions, commit, hardware. Imports nothing heavy."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

LIBRARIES = ("recsweep", "recbole", "torch", "numpy", "pandas", "scipy", "hyperopt", "optuna", "snakemake")


@cache
def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that a result depends on."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


@cache
def commit() -> str:
    """The state of recsweep itself: the commit of its checkout, with `+changes` where files differ from it.

    Its version, where it is no checkout. A checkout of somebody else in which recsweep is installed is none.
    """
    root = own_checkout()
    head = _git(root, "rev-parse", "HEAD") if root else None
    if root is None or head is None:
        return versions()["recsweep"]
    return f"{head}+changes" if _changed(root) else head


@cache
def repository() -> dict[str, Any] | None:
    """The user's own git repository around the working folder: its name, commit, and whether files differ.

    None where there is none, or where it is recsweep's own checkout.
    """
    here = Path.cwd()
    root, head = _git(here, "rev-parse", "--show-toplevel"), _git(here, "rev-parse", "HEAD")
    if root is None or head is None or Path(root) == own_checkout():
        return None
    return {"name": Path(root).name, "commit": head, "changes": _changed(here)}


def own_checkout(file: Path = Path(__file__)) -> Path | None:
    """The checkout that a source file belongs to; one that merely lies in a folder of it is not tracked."""
    folder = file.resolve().parent
    if _git(folder, "ls-files", "--error-unmatch", file.name) is None:
        return None
    root = _git(folder, "rev-parse", "--show-toplevel")
    return Path(root) if root else None


def _changed(folder: Path) -> bool:
    return bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], capture_output=True, text=True, timeout=10, check=True, cwd=folder
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


@cache
def hardware() -> dict[str, Any]:
    """Processor, cores, memory in GiB and system of this machine."""
    import psutil

    return {
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown"
