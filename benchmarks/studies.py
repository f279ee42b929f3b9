"""Whole studies of models that are computed, not learnt: `recsweep tune` against RecBole's own tuner.

EASE, ItemKNN and SLIM have no epochs: their time is the fit, the validation and what is done around both.
So a study of `--trials` configurations of each is what is timed, as a user runs it, on a random split of
ml-100k (8:1:1). The arms take turns, each in a fresh process and an empty folder:

    A  RecBole's `HyperTuning.run()` with its `objective_function`, in `.venv-recbole` (recbole_arm.py)
    B  `recsweep tune`: supervisor, worker, store, checkpoints, the winner's test, result files

Both get the same configurations in the same order and must find the same validation scores to four decimals;
the exit code is 1 if not. NumPy's vector code is off in both arms of ItemKNN, as in panel.py. RecBole may
train fewer of them (`Study.theirs`): its time is then that of those, and others at the pace of its warm
trials. RecBole tests every trial, recsweep the winner. `Pop`, which recsweep trains beside a sweep to compare
with (half a second), is switched off.

    python benchmarks/studies.py --write
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from recsweep.common.files import write_yaml
from recsweep.planning.plan import StudyPlan, plan_sweep
from recsweep.sweeps.loading import load_sweep
from results import RESULTS, command, machine_lines, write_section
from side_by_side import NO_VECTORS, Run, recbole_python, run_recbole, run_recsweep

SEED = 2026
TOLERANCE = 1e-4 + 1e-9
"""RecBole rounds scores to four decimals; one in the last may differ."""
SPLIT = {"type": "ratio", "ratio": [0.8, 0.1, 0.1], "order": "random", "group_by": "user"}


@dataclass(frozen=True)
class Study:
    """A model, the grid that is searched, and the targets."""

    grid: dict[str, list[Any]]
    """Values by parameter; the first of each are the defaults."""
    theirs: int
    """Configurations that RecBole trains at most."""
    must: float
    aim: float
    fixed: dict[str, Any]

    @property
    def defaults(self) -> dict[str, Any]:
        return {name: values[0] for name, values in self.grid.items()}

    def points(self) -> list[dict[str, Any]]:
        """The defaults, then the rest of the grid, as an exhaustive search tries them."""
        rows = itertools.product(*self.grid.values())
        found = [dict(zip(self.grid, row, strict=True)) for row in rows]
        return [self.defaults, *(point for point in found if point != self.defaults)]


STUDIES = {
    "EASE": Study({"reg_weight": [250.0, *(float(10 * 2**n) for n in range(19))]}, 20, 8, 30, {}),
    "ItemKNN": Study(
        {"k": [100, 10, 50, 200, 400], "shrink": [0.0, 1.0, 10.0, 100.0]}, 20, 8, 30, {"knn_method": "item"}
    ),
    "SLIMElastic": Study(
        {"alpha": [0.2, 0.1, 0.4, 0.6, 0.8], "l1_ratio": [0.02, 0.005, 0.05, 0.1]},
        *(2, 8, 20),
        {"positive_only": True, "hide_item": True},
    ),
}


@dataclass(frozen=True)
class Turn:
    """A repeat of both arms on one model."""

    theirs: Run
    ours: Run
    scores: list[float]
    """recsweep's, in the order in which RecBole trains."""

    @property
    def far(self) -> list[float]:
        """Differences of the scores of what both trained."""
        return [abs(mine - its) for mine, its in zip(self.scores, self.theirs.scores, strict=False)]

    @property
    def theirs_whole(self) -> float:
        """Seconds of RecBole's study; trials that it did not train take what its warm ones took."""
        left = len(self.scores) - len(self.theirs.ends)
        return self.theirs.wall + left * statistics.median(self.theirs.warm)

    @property
    def ratio(self) -> float:
        return self.theirs_whole / self.ours.wall


def main() -> int:
    arguments = _arguments()
    python = recbole_python()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="recsweep-studies-") as temporary:
        found = {
            model: [turn(model, python, Path(temporary) / f"{model}-{n}") for n in range(arguments.repeats)]
            for model in arguments.models
        }
    lines = [*table(found), "", *scores(found)]
    print("\n" + "\n".join(lines))
    differing = list(differences(found))
    print("\n".join(f"FAILED: {text}" for text in differing))
    if arguments.write and not differing:
        write_section("studies", document(lines, arguments.repeats, python, time.monotonic() - begun))
        print(f"written to {RESULTS.name}")
    return 1 if differing else 0


def turn(model: str, python: Path, folder: Path) -> Turn:
    """RecBole's study, then recsweep's."""
    study = STUDIES[model]
    plan, config = make_sweep(model, folder / "recsweep")
    # One seed for all: it is that of RecBole's split too, and these models draw nothing.
    points = [{**point, "seed": SEED} for point in study.points()]
    with _without_vectors(model, "recbole"):
        theirs = run_recbole(plan, python, folder / "recbole", points[: study.theirs])
    with _without_vectors(model, "recsweep"):
        ours = run_recsweep(plan, config, folder / "recsweep")
    found = {
        tuple(sorted(params.items())): score for params, score in zip(ours.params, ours.scores, strict=True)
    }
    mine = [found[tuple(sorted(point.items()))] for point in study.points()]
    done = Turn(theirs, ours, mine)
    print(f"{model}: RecBole {done.theirs_whole:.1f} s, recsweep {done.ours.wall:.1f} s", file=sys.stderr)
    return done


@contextmanager
def _without_vectors(model: str, arm: str) -> Iterator[None]:
    """NumPy's vector code, off for ItemKNN: of equal neighbours each version keeps others with its own."""
    if model == "ItemKNN":
        os.environ["NPY_DISABLE_CPU_FEATURES"] = NO_VECTORS[arm]
    try:
        yield
    finally:
        os.environ.pop("NPY_DISABLE_CPU_FEATURES", None)


def make_sweep(model: str, folder: Path) -> tuple[StudyPlan, Path]:
    """The sweep of one model, from config files in a folder."""
    study = STUDIES[model]
    space = {name: {"type": "choice", "values": values} for name, values in study.grid.items()}
    described = {"model": model, "fixed": study.fixed, "defaults": study.defaults, "space": space}
    write_yaml(folder / "datasets" / "ml-100k.yaml", {"path": "builtin", "split": SPLIT})
    write_yaml(
        folder / "models" / f"{model}.yaml", {name: value for name, value in described.items() if value}
    )
    sweep = {
        "sweep": "studies",
        "models": [model],
        "datasets": ["ml-100k"],
        "search": {"algo": "exhaustive"},
        "cooldown": {"seconds": 0},
        "popularity": "none",
        "seed": SEED,
        "outputs": str(folder / "outputs"),
    }
    write_yaml(folder / "sweep.yaml", sweep)
    return plan_sweep(load_sweep(folder / "sweep.yaml"))[0], folder / "sweep.yaml"


def table(found: dict[str, list[Turn]]) -> Iterator[str]:
    """Markdown: seconds of a study, and their ratio beside what is to be reached."""
    yield "| study | RecBole, s | a warm trial | recsweep, s | a warm trial | times as fast | must | aim |"
    yield "|---|---:|---:|---:|---:|---:|---:|---:|"
    for model, turns in found.items():
        study = STUDIES[model]
        middle = statistics.median
        theirs, ours = ([middle(getattr(one, arm).warm) for one in turns] for arm in ("theirs", "ours"))
        yield (
            f"| {model}, {len(turns[0].scores)} trials | {middle(one.theirs_whole for one in turns):.1f} "
            f"| {middle(theirs):.2f} | {middle(one.ours.wall for one in turns):.1f} | {middle(ours):.3f} "
            f"| **{middle(one.ratio for one in turns):.1f}** | {study.must:g} | {study.aim:g} |"
        )


def scores(found: dict[str, list[Turn]]) -> Iterator[str]:
    """Markdown: how far validation scores of the two are from one another."""
    yield "| study | configurations that both trained | best score | largest difference |"
    yield "|---|---:|---:|---:|"
    for model, turns in found.items():
        one = turns[0]
        yield f"| {model} | {len(one.theirs.scores)} | {max(one.scores):.4f} | {max(one.far):.1e} |"


def differences(found: dict[str, list[Turn]]) -> Iterator[str]:
    """Configurations whose validation scores differ."""
    for model, turns in found.items():
        for number, far in enumerate(turns[0].far):
            if far > TOLERANCE:
                mine, its = turns[0].scores[number], turns[0].theirs.scores[number]
                yield f"{model} {STUDIES[model].points()[number]}: recsweep {mine:.4f}, RecBole {its:.4f}"


def document(lines: list[str], repeats: int, python: Path, seconds: float) -> str:
    """The section of RESULTS.md."""
    return "\n".join(
        [
            "## Studies of models that are computed",
            "",
            f"Written by `{command()}` on {datetime.now():%Y-%m-%d}, in {seconds / 60:.0f} minutes.",
            "What is compared, and how, stands at the top of [studies.py](studies.py).",
            "",
            f"- ml-100k, random 8:1:1, whole commands; medians of {repeats} repeats, arms in turns.",
            *machine_lines(python),
            "",
            *lines,
            "",
        ]
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Studies of EASE, ItemKNN and SLIM against RecBole's tuner.")
    parser.add_argument("--models", nargs="+", choices=list(STUDIES), default=list(STUDIES))
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
