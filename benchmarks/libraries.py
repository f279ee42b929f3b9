"""recsweep beside implicit and LensKit: EASE, ItemKNN and matrix factorization.

ml-100k, one random split 8:1:1. Each turn is a process of its own with two threads: recsweep trains and
validates as its worker does; the libraries (`.venv-libraries`, libraries_process.py) fit the same
training pairs and list ten items for each user of the validation, items of the training left out. Imports
and reading are not timed. Of models that learn in epochs, ALS among them, an epoch is timed with one
validation. All have RecBole's defaults or the library's, with equal sizes (64 factors, 100 neighbours,
EASE's regularizer 250): these are implementations of their own, so the scores stand beside the times.

    python benchmarks/libraries.py --write
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from environments import python_of
from recsweep.common.files import write_json
from recsweep.running.templates import worker_environment
from recsweep.statistics.ranking import ranking_metrics
from results import command, own_lines, write_section
from speed_arms import Bench
from speed_cases import BUILTIN, Case
from speed_process import Launch, run_together

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
ENVIRONMENT = ROOT / ".venv-libraries"
REQUIREMENTS = HERE / "requirements-libraries.txt"
THREADS, LENGTH = 2, 10


@dataclass(frozen=True)
class Beside:
    """A model of recsweep's, and what the libraries have of its kind."""

    parameter: tuple[str, Any]
    """What recsweep is told; the rest are RecBole's defaults."""
    others: tuple[str, ...]
    epochs: int = 1
    """Of all; the time is that of one."""


BESIDE = {
    "EASE": Beside(("reg_weight", 250.0), ("LensKit's EASEScorer",)),
    "ItemKNN": Beside(("k", 100), ("implicit's CosineRecommender", "LensKit's ItemKNNScorer")),
    "BPR": Beside(
        ("learning_rate", 0.001),
        (
            "implicit's BayesianPersonalizedRanking",
            "implicit's AlternatingLeastSquares",
            "LensKit's ImplicitMFScorer (ALS)",
        ),
        15,
    ),
}


@dataclass(frozen=True)
class Turn:
    """Seconds of a fit, or an epoch, with its validation; of it lists; and NDCG@10 of the last validation."""

    seconds: float
    score: float
    lists: float | None = None


def main() -> int:
    arguments = _arguments()
    python = python_of(ENVIRONMENT, REQUIREMENTS, _make)
    bench = Bench(python, ROOT, arguments.work / "cache", 1, THREADS)
    cases = {model: _case(model) for model in arguments.models}
    pairs = _pairs(bench, next(iter(cases.values())))
    found: dict[tuple[str, str], list[Turn]] = defaultdict(list)
    for _, (model, case) in itertools.product(range(arguments.repeats), cases.items()):
        figures = bench.run("C", case, 1)
        found[model, "recsweep"].append(Turn(figures.epoch, figures.scores[-1]))
        for other in BESIDE[model].others:
            found[model, other].append(_turn(python, model, other, pairs))
        print(model, found[model, "recsweep"][-1], file=sys.stderr, flush=True)
    lines = list(table(found))
    print("\n".join(lines))
    if arguments.write:
        write_section("libraries", document(lines, arguments.repeats))
    return 0


def _make(python: Path) -> None:
    print(f"making {ENVIRONMENT.name} (once; some minutes)", file=sys.stderr, flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)], check=True)
    wanted = REQUIREMENTS.read_text(encoding="utf-8").splitlines()
    torch = next(line for line in wanted if line.startswith("torch"))
    for what in ([torch], ["-r", str(REQUIREMENTS)]):
        install = [str(python), "-m", "pip", "install", "-qq", "--only-binary", ":all:"]
        subprocess.run([*install, *what], check=True)


def _case(model: str) -> Case:
    beside = BESIDE[model]
    return Case(
        *(BUILTIN, model, 1.0, 1.0, None, beside.epochs, 1, (1.0, 1.0, 1.0)),
        kind="general",
        draws=True,
        parameter=beside.parameter,
    )


def _pairs(bench: Bench, case: Case) -> dict[str, list[tuple[int, int]]]:
    bench.statistics(case)  # the split is in the cache from then on
    return bench.pairs(case)


def _turn(python: Path, model: str, what: str, pairs: dict[str, list[tuple[int, int]]]) -> Turn:
    """One process of a library."""
    wanted: dict[int, set[int]] = defaultdict(set)
    for user, item in pairs["validation"]:
        wanted[user].add(item)
    epochs = BESIDE[model].epochs
    task = {
        **{"what": what, "train": list(zip(*pairs["train"], strict=True)), "users": list(wanted)},
        **{"length": LENGTH, "epochs": epochs},
    }
    with tempfile.TemporaryDirectory(prefix="recsweep-libraries-") as temporary:
        folder = Path(temporary)
        write_json(folder / "task.json", task)
        words = [str(python), str(HERE / "libraries_process.py"), str(folder / "task.json")]
        threads = {**worker_environment(THREADS), "LK_NUM_THREADS": str(THREADS)}
        raw = run_together([Launch(words, {**os.environ, **threads}, folder)])[0]
    score = ndcg(raw["found"], list(wanted.values()))
    return Turn(raw["fit"] / epochs + raw["lists"], score, raw["lists"])


def ndcg(lists: list[list[int]], wanted: list[set[int]]) -> float:
    """The mean over users, as RecBole has it."""
    hits = np.zeros((len(lists), LENGTH), dtype=bool)
    for row, (some, right) in enumerate(zip(lists, wanted, strict=True)):
        hits[row, : len(some)] = [item in right for item in some]
    counts = np.array([len(right) for right in wanted])
    return float(ranking_metrics(hits, counts, ["ndcg"], [LENGTH])[f"ndcg@{LENGTH}"].mean())


def table(found: dict[tuple[str, str], list[Turn]]) -> Iterator[str]:
    """Markdown: a line for each model of each library."""
    yield "| model | of | s | of it lists, s | recsweep is as fast, times | validation NDCG@10 |"
    yield "|---|---|---:|---:|---:|---:|"
    for (model, whose), turns in found.items():
        own = found[model, "recsweep"]
        ratio = statistics.median(one.seconds / ours.seconds for one, ours in zip(turns, own, strict=True))
        what = "an epoch with validation" if BESIDE[model].epochs > 1 else "fit and validation"
        seconds = statistics.median(turn.seconds for turn in turns)
        times = "" if whose == "recsweep" else f"**{ratio:.1f}**"
        lists = [turn.lists for turn in turns if turn.lists is not None]
        of_it = f"{statistics.median(lists):.3g}" if lists else ""
        yield f"| {model}, {what} | {whose} | {seconds:.3g} | {of_it} | {times} | {turns[-1].score:.4f} |"


def document(lines: list[str], repeats: int) -> str:
    """The section of RESULTS.md."""
    versions = [line for line in REQUIREMENTS.read_text(encoding="utf-8").splitlines() if "==" in line]
    epochs = BESIDE["BPR"].epochs
    return "\n".join(
        [
            "## Beside implicit and LensKit",
            "",
            f"Written by `{command()}` on {datetime.now():%Y-%m-%d}.",
            "What is compared, and how, stands at the top of [libraries.py](libraries.py).",
            "",
            f"- ml-100k; medians of {repeats} repeats, in turns; {THREADS} threads each; {epochs} epochs of "
            "what learns in epochs, of different rates and losses: scores after as many are no contest.",
            f"- The libraries: {', '.join(versions)}.",
            *own_lines(),
            "",
            *lines,
            "",
        ]
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="recsweep beside implicit and LensKit.")
    parser.add_argument("--models", nargs="+", choices=list(BESIDE), default=list(BESIDE))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="put the result into RESULTS.md")
    parser.add_argument("--work", type=Path, default=ROOT / "outputs" / "bench-speed")
    arguments = parser.parse_args()
    arguments.work = arguments.work.resolve()
    return arguments


if __name__ == "__main__":
    sys.exit(main())
