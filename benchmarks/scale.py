"""Time and memory against the number of interactions: a split, the start of a trial, a validation, workers.

Made interactions of ml-20m's shape (`import_data.py`). `recsweep prepare` is a process of its own, as a user
types it. Then one worker, and four at once, read the split from the cache, make a trial, train a few batches
and validate (`scale_process.py`); their memory is added up, each page counted once.

    python benchmarks/scale.py --write
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from import_data import Cost, cost, ratings_aside
from results import command, own_lines, write_section

ROWS = (100_000, 1_000_000, 5_000_000, 20_000_000)
WORKERS = 4
MUST_SECONDS, AIM_SECONDS, MUST_RATIO, AIM_RATIO = 60, 30, 1.3, 1.1
_BATCHES = 5
_FILTERS = "min_user_interactions: 5\nmin_item_interactions: 5\n"
_RANDOM = "{type: ratio, ratio: [0.8, 0.1, 0.1], order: random, group_by: none}"
MODELS = {
    "BPR": (_RANDOM, "embedding_size: 64"),
    "LightGCN": (_RANDOM, "embedding_size: 64, n_layers: 2"),
    "SASRec": ("{type: leave_one_out}", "hidden_size: 64"),
}


@dataclass(frozen=True)
class Measured:
    """One model on so many interactions."""

    prepare: Cost
    cache: float
    """GiB on disk."""
    one: dict[str, Any]
    four: dict[str, Any] | None
    """What `scale_process.py` prints; None where it was not run."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Time and memory against the number of interactions.")
    parser.add_argument("--rows", type=int, nargs="+", default=list(ROWS))
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=["BPR", "SASRec"])
    parser.add_argument("--workers", type=int, default=WORKERS, help="at once, on the largest number of rows")
    parser.add_argument("--folder", type=Path, help="keeps the data; without it they are removed")
    parser.add_argument("--write", action="store_true", help="put the result into RESULTS.md")
    arguments = parser.parse_args()
    found: dict[tuple[int, str], Measured] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for rows in arguments.rows:
            folder = (arguments.folder or Path(scratch)) / str(rows)
            for model in arguments.models:
                config = written(folder, rows, model)
                workers = arguments.workers if rows == max(arguments.rows) else 0
                found[rows, model] = measured(config, folder, workers)
                print(rows, model, found[rows, model], flush=True)
    text = report(found, arguments.workers)
    print(text)
    if arguments.write:
        write_section("scale", text)
    return 0


def written(folder: Path, rows: int, model: str) -> Path:
    """The data, where they are not there, and the sweep of one model; its file."""
    split, fixed = MODELS[model]
    config = folder / model / "config"
    for name in ("datasets", "models"):
        (config / name).mkdir(parents=True, exist_ok=True)
    data = folder / "data" / "made"
    if not (data / "made.inter").is_file():
        ratings_aside(data / "made.inter", rows, "\t")
    values = "".join(
        f"  {name}: {{type: choice, values: [{value}]}}\n"
        for name, value in (pair.split(": ") for pair in fixed.split(", "))
    )
    (config / "models" / f"{model}.yaml").write_text(f"space:\n{values}defaults: {{{fixed}}}\n")
    (config / "datasets" / "made.yaml").write_text(f"path: {data}\n{_FILTERS}split: {split}\n")
    sweep = config / "sweep.yaml"
    outputs = folder / model / "outputs"
    sweep.write_text(f"sweep: made\nmodels: [{model}]\ndatasets: [made]\noutputs: {outputs}\n")
    return sweep


def measured(config: Path, folder: Path, workers: int) -> Measured:
    prepared = cost("prepare", "--config", str(config))
    cache = sum(path.stat().st_size for path in config.parents[1].rglob("arrays.bin")) / 2**30
    return Measured(prepared, cache, _workers(config, 1), _workers(config, workers) if workers else None)


def _workers(config: Path, number: int) -> dict[str, Any]:
    script = Path(__file__).with_name("scale_process.py")
    words = [sys.executable, "-W", "ignore", str(script), str(config), str(number), str(_BATCHES)]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def report(found: dict[tuple[int, str], Measured], workers: int) -> str:
    lines = [
        "## Time and memory against the number of interactions: 138,493 users, 26,744 items",
        "",
        f"Written by `{command()}` on {time.strftime('%Y-%m-%d')}.",
        "Seconds are of processors; a trial has one thread.",
        "",
        *own_lines(),
        f"- Load of the machine meanwhile: {os.getloadavg()[0]:.1f}.",
        "",
        "| interactions | model, its path | prepare | by the clock | its peak, GiB | cache, GiB | read it "
        f"| start of a trial | {_BATCHES - 1} batches | validation | peak of a worker, GiB |",
        "|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for (rows, model), each in found.items():
        (trial,) = each.one["trials"]
        parts = " | ".join(f"{seconds:.2f}" for _, seconds in trial["parts"].values())
        lines.append(
            f"| {rows:,} | {model}, {trial['path']} | {each.prepare.seconds:.1f} | {each.prepare.clock:.1f} "
            f"| {each.prepare.gib:.2f} | {each.cache:.2f} | {parts} | {_gib(each.one['most']):.2f} |"
        )
    return "\n".join([*lines, "", *_shared(found, workers), *_against_target(found)])


def _shared(found: dict[tuple[int, str], Measured], workers: int) -> list[str]:
    """The memory of several workers over that of one."""
    lines = [
        f"| interactions | model | one worker, GiB | of it its own | {workers} workers | over one "
        "| over one, or over preparing where that took more |",
        "|---:|---|---:|---:|---:|---:|---:|",
    ]
    for (rows, model), each in found.items():
        if each.four is None:
            continue
        one, four = _gib(each.one["most"]), _gib(each.four["most"])
        most = max(one, each.prepare.gib)
        lines.append(
            f"| {rows:,} | {model} | {one:.2f} | {_gib(each.one['own']):.2f} | {four:.2f} | {four / one:.2f} "
            f"| {max(four, each.prepare.gib) / most:.2f} |"
        )
    return [*lines, ""] if len(lines) > 2 else []


def _against_target(found: dict[tuple[int, str], Measured]) -> list[str]:
    rows = max(rows for rows, _ in found)
    if rows != max(ROWS):
        return []
    last = {model: each for (number, model), each in found.items() if number == rows}
    slowest = max(each.prepare.clock for each in last.values())
    lines = [
        f"{rows:,} interactions: prepared in **{slowest:.0f} s** by the clock; {MUST_SECONDS} must be, "
        f"{AIM_SECONDS} is the aim."
    ]
    ratios = [each.four["most"] / each.one["most"] for each in last.values() if each.four is not None]
    if ratios:
        lines.append(
            f"Several workers take **{max(ratios):.2f} times** the memory of one; {MUST_RATIO} must be, "
            f"{AIM_RATIO} is the aim."
        )
    return lines


def _gib(count: float) -> float:
    return count / 2**30


if __name__ == "__main__":
    raise SystemExit(main())
