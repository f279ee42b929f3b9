"""A sweep with everything it names, small, in a folder of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recsweep.planning.plan import StudyPlan, plan_sweep
from recsweep.sweeps.loading import Sweep, load_sweep

HEADER = "user_id:token\titem_id:token\ttimestamp:float"
SWEEP = "sweep: toy-sweep\nmodels: [NARM]\ndatasets: [toy]\n"
NARM = "defaults: {n_layers: 1}\nspace:\n  n_layers: {type: choice, values: [1, 2]}\n"
# Four users, each with 6 of 15 items: enough for the usual cut-off of 10, and nobody has seen them all.
ROWS = tuple(f"{user}\t{3 * user - 3 + n}\t{user * 100 + n}" for user in range(1, 5) for n in range(1, 7))


@dataclass(frozen=True)
class Workspace:
    """`sweep.yaml`, `models/NARM.yaml`, `datasets/toy.yaml` and the atomic files of `toy`."""

    root: Path

    @property
    def sweep(self) -> Path:
        return self.root / "sweep.yaml"

    @property
    def model(self) -> Path:
        return self.root / "models" / "NARM.yaml"

    @property
    def dataset(self) -> Path:
        return self.root / "datasets" / "toy.yaml"

    @property
    def inter(self) -> Path:
        return self.root / "datasets" / "toy" / "toy.inter"

    def load(self, **overrides: Any) -> Sweep:
        return load_sweep(self.sweep, overrides)

    def plans(self, **overrides: Any) -> list[StudyPlan]:
        return plan_sweep(self.load(**overrides))

    def plan(self, **overrides: Any) -> StudyPlan:
        (only,) = self.plans(**overrides)
        return only

    def write_rows(self, *rows: str, header: str = HEADER) -> None:
        self.inter.write_text("".join(f"{line}\n" for line in (header, *rows)), encoding="utf-8")


def make_workspace(
    root: Path,
    sweep: str = SWEEP,
    model: str = NARM,
    dataset: str = "path: toy\n",
    rows: Iterable[str] = ROWS,
) -> Workspace:
    workspace = Workspace(root)
    workspace.inter.parent.mkdir(parents=True, exist_ok=True)
    workspace.model.parent.mkdir(exist_ok=True)
    workspace.sweep.write_text(with_noise(sweep), encoding="utf-8")
    workspace.model.write_text(model, encoding="utf-8")
    workspace.dataset.write_text(dataset, encoding="utf-8")
    workspace.write_rows(*rows)
    return workspace


def with_noise(sweep: str) -> str:
    """A sweep file under which even a tiny space fills any budget; no line and no column of it moves."""
    if re.search("noise|exhaustive", sweep):
        return sweep
    if re.search("^search:", sweep, re.MULTILINE):
        return re.sub(r"^(search: \{.+)\}$", r"\1, noise: true}", sweep, flags=re.MULTILINE)
    return f"{sweep}search: {{noise: true}}\n" if sweep.endswith("\n") else sweep


def run_python(code: str, *arguments: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
