"""Ratings as people have them until they are split: processor seconds and peak memory against their number.

The ratings are made, of the shape of ml-20m: 138,493 users, 26,744 items, both long-tailed, half stars,
seconds since 1970. Each command is a process of its own, as a user types it: `recsweep import` of a CSV, then
`recsweep prepare`, which checks every row, filters (5-core) and splits for a general model, once by chance
and once by time.

    python benchmarks/import_data.py --write
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from results import command, own_lines, write_section

USERS, ITEMS = 138_493, 26_744
TARGET_ROWS, TARGET_SECONDS, TARGET_GIB = 20_000_000, 90, 4
_AT_ONCE = 1 << 20
_FILTERS = "min_user_interactions: 5\nmin_item_interactions: 5\n"
_SPLITS = {
    "random 8:1:1": "{type: ratio, ratio: [0.8, 0.1, 0.1], order: random, group_by: none}",
    "by time 8:1:1": "{type: ratio, ratio: [0.8, 0.1, 0.1], order: time, group_by: none}",
}


@dataclass(frozen=True)
class Cost:
    """What a command took."""

    seconds: float
    """Of processors, children included."""
    clock: float
    gib: float


def main() -> int:
    parser = argparse.ArgumentParser(description="Ratings imported, checked, filtered and split.")
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 5_000_000, 20_000_000])
    parser.add_argument("--atomic", action="store_true", help="make an atomic file, and import nothing")
    parser.add_argument("--write", action="store_true", help="put the result into RESULTS.md")
    arguments = parser.parse_args()
    found = {}
    for rows in arguments.rows:
        with tempfile.TemporaryDirectory() as folder:
            found[rows] = measured(Path(folder), rows, arguments.atomic)
            print(rows, found[rows], flush=True)
    text = report(found)
    print(text)
    if arguments.write:
        write_section("import", text)
    return 0


def measured(folder: Path, rows: int, atomic: bool) -> dict[str, Cost]:
    """The cost of each command, by its name."""
    config = folder / "config"
    for name in ("datasets", "models"):
        (config / name).mkdir(parents=True)
    space = "space: {embedding_size: {type: choice, values: [64]}}\ndefaults: {embedding_size: 64}\n"
    (config / "models" / "BPR.yaml").write_text(space)
    found = {}
    if atomic:
        ratings_aside(folder / "data" / "made" / "made.inter", rows, "\t")
        (config / "datasets" / "made.yaml").write_text("path: ../../data/made\n")
    else:
        ratings = folder / "ratings.csv"
        ratings_aside(ratings, rows, ",")
        roles = "user=userId,item=movieId,time=timestamp,rating=rating"
        into = ["--into", str(config), "--data-folder", str(folder / "data")]
        found["import"] = cost("import", str(ratings), "--as", "made", "--columns", roles, *into)
        ratings.unlink()
    imported = (config / "datasets" / "made.yaml").read_text()
    for name, split in _SPLITS.items():
        (config / "datasets" / "made.yaml").write_text(f"{imported}{_FILTERS}split: {split}\n")
        sweep = f"sweep: made\nmodels: [BPR]\ndatasets: [made]\noutputs: {folder / 'outputs'}\n"
        (config / "made.yaml").write_text(sweep)
        found[f"prepare, {name}"] = cost("prepare", "--config", str(config / "made.yaml"))
    return found


def ratings_aside(path: Path, rows: int, separator: str) -> None:
    """Make ratings in another process: what this one needs at most would be counted for those it starts."""
    process = get_context("spawn").Process(target=make_ratings, args=(path, rows, separator))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit("no ratings were made")


def make_ratings(path: Path, rows: int, separator: str) -> None:
    """Ratings of long-tailed users and items, in the order of users."""
    generator = np.random.default_rng(20)
    activity = generator.lognormal(0, 1.2, USERS)
    popularity = 1 / np.arange(1, ITEMS + 1)
    users = np.sort(generator.choice(USERS, rows, p=activity / activity.sum())) + 1
    names = generator.permutation(ITEMS) + 1
    items = names[generator.choice(ITEMS, rows, p=popularity / popularity.sum())]
    stars, times = generator.integers(1, 11, rows) / 2, generator.integers(789_652_004, 1_427_784_002, rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    names_of = {",": "userId,movieId,rating,timestamp"}
    header = names_of.get(separator, "user_id:token\titem_id:token\trating:float\ttimestamp:float")
    with path.open("w", encoding="utf-8") as file:
        file.write(f"{header}\n")
        for start in range(0, rows, _AT_ONCE):
            parts = (column[start : start + _AT_ONCE].tolist() for column in (users, items, stars, times))
            file.writelines(f"{separator.join(map(str, row))}\n" for row in zip(*parts, strict=True))


def cost(*words: str) -> Cost:
    """What a command of recsweep takes."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "recsweep", *words], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise SystemExit(f"recsweep {' '.join(words)} failed")
    clock = time.perf_counter() - began
    return Cost(usage.ru_utime + usage.ru_stime, clock, usage.ru_maxrss / 2**20)


def report(found: dict[int, dict[str, Cost]]) -> str:
    lines = [
        f"## Ratings imported, checked, filtered and split: {USERS:,} users, {ITEMS:,} items",
        "",
        f"Written by `{command()}` on {time.strftime('%Y-%m-%d')}: seconds of processors, and peak memory.",
        "",
        *own_lines(),
        f"- Load of the machine meanwhile: {os.getloadavg()[0]:.1f}.",
        "",
        "| ratings | command | seconds | by the clock | peak, GiB |",
        "|---:|---|---:|---:|---:|",
    ]
    for rows, costs in found.items():
        for name, each in costs.items():
            lines.append(f"| {rows:,} | {name} | {each.seconds:.1f} | {each.clock:.1f} | {each.gib:.2f} |")
    return "\n".join([*lines, "", *_against_target(found[max(found)], max(found))])


def _against_target(costs: dict[str, Cost], rows: int) -> list[str]:
    imported = [costs["import"]] if "import" in costs else []
    slowest = max((costs[f"prepare, {name}"] for name in _SPLITS), key=lambda each: each.seconds)
    seconds = sum(each.seconds for each in (*imported, slowest))
    gib = max(each.gib for each in (*imported, slowest))
    what = "import and the slower split" if imported else "the slower split (nothing was imported)"
    found = f"{rows:,} ratings, {what}: **{seconds:.0f} s of processors, {gib:.2f} GiB**"
    if rows != TARGET_ROWS:
        return [f"{found}."]
    told = "reached" if seconds <= TARGET_SECONDS and gib <= TARGET_GIB else "missed"
    return [f"{found}; target {TARGET_SECONDS} s, {TARGET_GIB} GiB: {told}."]


if __name__ == "__main__":
    raise SystemExit(main())
