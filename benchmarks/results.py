"""RESULTS.md has one section for each benchmark that writes there; each replaces its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from recsweep.common.files import write_text
from recsweep.common.provenance import hardware, versions

RESULTS = Path(__file__).resolve().parent / "RESULTS.md"
TITLE = "# Results of the benchmarks\n"
RECBOLE_LIBRARIES = ("recbole", "torch", "numpy", "pandas", "scipy", "ray", "hyperopt", "setuptools")


def command() -> str:
    """The command line of this benchmark, as somebody would type it."""
    name = Path(sys.argv[0]).name
    return " ".join(["python", f"benchmarks/{name}", *sys.argv[1:]])


def write_section(name: str, text: str, path: Path = RESULTS) -> None:
    """Put a section where the one of the same name stands, or at the end."""
    page = path.read_text(encoding="utf-8") if path.is_file() else TITLE
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    section = f"{begin}\n{text.strip()}\n{end}"
    page, count = re.subn(f"{begin}.*?{end}", lambda _: section, page, flags=re.DOTALL)
    write_text(path, page if count else f"{page.rstrip()}\n\n{section}\n")


def own_lines() -> list[str]:
    """Markdown: the machine and the versions here, where no other environment is compared."""
    machine = hardware()
    ours = ", ".join(f"{name} {version}" for name, version in versions().items() if name != "snakemake")
    return [
        f"- Machine: {machine['cores']} cores, {machine['processor']}, {machine['memory_gib']} GiB, "
        f"{machine['system']}.",
        f"- {ours}.",
    ]


def machine_lines(recbole_python: Path) -> list[str]:
    """Markdown: the machine and the versions in both environments."""
    machine = hardware()
    ours = ", ".join(f"{name} {version}" for name, version in versions().items() if name != "snakemake")
    listing = subprocess.run(
        [str(recbole_python), "-m", "pip", "list", "--format=json"],
        capture_output=True,
        text=True,
        check=True,
    )
    installed = {package["name"].lower(): package["version"] for package in json.loads(listing.stdout)}
    theirs = ", ".join(f"{name} {installed[name]}" for name in RECBOLE_LIBRARIES)
    return [
        f"- Machine: {machine['cores']} cores, {machine['processor']}, {machine['memory_gib']} GiB, "
        f"{machine['system']}.",
        f"- Thread settings in the environment: {thread_settings()}.",
        f"- recsweep: {ours}.",
        f"- RecBole's environment: {theirs}.",
    ]


def thread_settings() -> str:
    """Variables that change how many threads torch takes and how they wait."""
    prefixes = ("OMP_", "MKL_", "OPENBLAS_", "GOMP_", "KMP_", "MALLOC_")
    found = [f"`{name}={value}`" for name, value in sorted(os.environ.items()) if name.startswith(prefixes)]
    return ", ".join(found) or "none"
