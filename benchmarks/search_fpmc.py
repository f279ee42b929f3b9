"""Search quality on a real model: what each engine and algo finds for FPMC on ml-100k in 20 trials.

`--record` trains every point of a grid once, through `recsweep tune --algo exhaustive`: FPMC on all of
ml-100k as config/config.yaml trains it, without a pruner, the space of config/models/FPMC.yaml with its
learning rates at six places. The validation scores go to fpmc_grid.csv beside this file.

Then the real loop of each engine searches the recorded grid, many times over with other seeds, from the
published defaults on, as a study does. Reported is the best validation score after 5, 10 and 20 trials,
as a share of the best of the grid, and the difference to random search: paired by seed, with its 95 %
interval. `random` is Optuna's; HyperOpt's stands beside it and shows what chance alone does.

    python benchmarks/search_fpmc.py --record --write

The exit code is 1 where a model-based algo is worse than random search beyond chance.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from multiprocessing import get_context
from pathlib import Path

import yaml

from recsweep.common.files import canonical_json, write_text
from recsweep.common.provenance import hardware, versions
from recsweep.search.engines import make_engine
from recsweep.search.engines.base import Observation, Search
from recsweep.sweeps.config import ModelConfig
from recsweep.sweeps.space import Params, grid_size
from results import command, write_section
from search_published import GAUSSIAN, MODEL_BASED, Arm, arms

ROOT = Path(__file__).resolve().parent.parent
GRID = Path(__file__).resolve().parent / "fpmc_grid.csv"
RATES = [1e-4, 3e-4, 1e-3, 2e-3, 5e-3, 1e-2]
BASE: Arm = ("optuna", "random")
AFTER = (5, 10, 20)


def main() -> int:
    """Record if asked to, search, print, and write if asked to."""
    arguments = _arguments()
    started = time.monotonic()
    if arguments.record:
        record(arguments.workers)
    scores = read_grid()
    jobs = [
        (arm, seed, arguments.startup)
        for arm in arms(arguments.arms)
        if arm[1] != "exhaustive"  # its order is no search
        for seed in range(arguments.gp_seeds if arm[1] == GAUSSIAN else arguments.seeds)
    ]
    jobs.sort(key=lambda job: job[0][1] != GAUSSIAN)
    with ProcessPoolExecutor(arguments.processes, get_context("spawn")) as pool:
        found = dict(zip(jobs, pool.map(run, *zip(*jobs, strict=True), chunksize=4), strict=True))
    shares: dict[Arm, dict[int, tuple[float, ...]]] = {}
    for (arm, seed, _), best in found.items():
        shares.setdefault(arm, {})[seed] = best
    text = report(scores, shares, arguments, time.monotonic() - started)
    print(text, flush=True)
    worse = [arm for arm in shares if arm[1] in MODEL_BASED and sum(_difference(shares, arm, -1)) < 0]
    for arm in worse:
        print(f"PROBLEM: {'/'.join(arm)} is worse than random search, beyond chance", flush=True)
    if arguments.write and not worse:
        write_section("search fpmc", text)
    return 1 if worse else 0


def model() -> ModelConfig:
    """The space that is recorded."""
    shipped = yaml.safe_load((ROOT / "config/models/FPMC.yaml").read_text(encoding="utf-8"))
    shipped["space"]["learning_rate"] = {"type": "choice", "values": RATES}
    del shipped["phases"]
    return ModelConfig.model_validate(shipped)


def record(workers: int) -> None:
    """Train every point of the grid, and keep the scores."""
    with tempfile.TemporaryDirectory(prefix="recsweep-grid-") as name:
        folder = Path(name)
        config = ROOT / "config"
        for part in ("config.yaml", "datasets/ml-100k.yaml"):
            (folder / part).parent.mkdir(exist_ok=True)
            write_text(folder / part, (config / part).read_text(encoding="utf-8"))
        plain = model().model_dump(mode="json", exclude={"phases"})
        for parameter in plain["space"].values():
            parameter.pop("when", None)
        write_text(folder / "models/FPMC.yaml", yaml.safe_dump(plain))
        options = ["--models=FPMC", "--algo=exhaustive", "--pruner=none", "--cooldown=0"]
        command = [sys.executable, "-m", "recsweep", "tune", *options, f"--workers={workers}"]
        subprocess.run([*command, "--config=config.yaml"], cwd=folder, check=True)
        rows = list(csv.DictReader((folder / "outputs/results/default/ml-100k/FPMC/trials.csv").open()))
    columns = [*plain["space"], "score", "epochs"]
    lines = [",".join(columns), *(",".join(row[column] for column in columns) for row in rows)]
    write_text(GRID, "\n".join(lines) + "\n")


def read_grid() -> dict[str, float]:
    """Validation scores by the canonical JSON of the parameters."""
    space = model().space
    scores = {}
    with GRID.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            params = {name: parameter.cast(json.loads(row[name])) for name, parameter in space.items()}
            scores[canonical_json(params)] = float(row["score"])
    if len(scores) != grid_size(space):
        raise SystemExit(f"{GRID.name} holds {len(scores)} of {grid_size(space):g} points; run with --record")
    return scores


@dataclass
class Replay:
    """A session (`engines.base.Session`) in which recorded results take the place of training."""

    scores: dict[str, float]
    search: Search
    seed: int
    found: list[Observation] = field(default_factory=list)

    def next_slot(self) -> int | None:
        return len(self.found) if len(self.found) < max(AFTER) else None

    def proposal_seed(self, slot: int) -> int:
        return self.seed * 1000 + slot

    def history(self) -> list[Observation]:
        return list(self.found)

    def running(self) -> list[Params]:
        return []

    def take(self, slot: int, params: Params) -> bool:
        return all(one.params != params for one in self.found)

    def run(self, slot: int, params: Params) -> Observation:
        self.found.append(Observation(slot, params, self.scores[canonical_json(params)]))
        return self.found[-1]


def run(arm: Arm, seed: int, startup: int) -> tuple[float, ...]:
    """The best of one search after some trials, as shares of the best of the grid."""
    engine, algo = arm
    scores, shipped = read_grid(), model()
    session = Replay(scores, Search(shipped.space, dict(shipped.defaults), True, algo, startup), seed)
    make_engine(engine).search(session)
    top = max(scores.values())
    return tuple(max(one.score or 0.0 for one in session.found[:count]) / top for count in AFTER)


def _difference(shares: dict[Arm, dict[int, tuple[float, ...]]], arm: Arm, at: int) -> tuple[float, float]:
    """Mean of the paired differences to random search, and half of its 95 % interval."""
    pairs = [best[at] - shares[BASE][seed][at] for seed, best in shares[arm].items()]
    return statistics.fmean(pairs), 1.96 * statistics.stdev(pairs) / math.sqrt(len(pairs))


def report(
    scores: dict[str, float],
    shares: dict[Arm, dict[int, tuple[float, ...]]],
    arguments: argparse.Namespace,
    seconds: float,
) -> str:
    """The section of RESULTS.md."""
    machine, ordered = hardware(), sorted(scores.values())
    libraries = ", ".join(f"{name} {versions()[name]}" for name in ("python", "hyperopt", "optuna", "scipy"))
    lines = [
        "## Search quality on FPMC",
        "",
        f"Written by `{command()}` on {date.today()}, in {seconds:.0f} s.",
        "What is compared, and how, stands at the top of [search_fpmc.py](search_fpmc.py).",
        "",
        f"- {len(scores)} configurations of FPMC on ml-100k, each trained to its early stop: validation "
        f"NDCG@10 from {ordered[0]:.4f} to {ordered[-1]:.4f}, median {statistics.median(ordered):.4f}, "
        f"of the defaults {scores[canonical_json(model().defaults)]:.4f}.",
        f"- {arguments.seeds} seeds each (gp {arguments.gp_seeds}), {arguments.startup} random trials before "
        "a model proposes, the defaults first.",
        f"- Machine: {machine['cores']} cores, {machine['processor']}. {libraries}.",
        "",
        "Best score as a share of the grid's best, and the difference to random search after "
        f"{AFTER[-1]} trials, in points of a hundred, with its 95 % interval:",
        "",
        f"| engine/algo | {' | '.join(f'after {count}' for count in AFTER)} | than random |",
        "|---|" + "---:|" * (len(AFTER) + 1),
    ]
    for arm, found in shares.items():
        means = [
            f"{100 * statistics.fmean(best[i] for best in found.values()):.1f} %" for i in range(len(AFTER))
        ]
        mean, half = (100 * part for part in _difference(shares, arm, -1))
        than = "" if arm == BASE else f"{mean:+.1f} ± {half:.1f}"
        lines.append(f"| {'/'.join(arm)} | {' | '.join(means)} | {than} |")
    return "\n".join(lines)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What each algo finds for FPMC in 20 trials.")
    parser.add_argument("--record", action="store_true", help="train the grid first (some ten minutes)")
    parser.add_argument("--workers", type=int, default=2, help="that record")
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--gp-seeds", type=int, default=40)
    parser.add_argument("--startup", type=int, default=8, help="random trials before a model proposes")
    parser.add_argument("--arms", nargs="*", help="engine/algo; optuna/random must be among them")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--write", action="store_true", help="put the result into RESULTS.md")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
