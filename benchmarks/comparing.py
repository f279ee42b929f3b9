"""The statistics against what they promise: false positives, power, coverage of intervals, time and memory.

Scores per user are recorded ones: NDCG@10 of small models on ml-100k, each trained with five seeds
(`user_scores.parquet` beside this file; `--record` makes it again, in some minutes). In simulations users are
drawn anew from those recorded, and:

- no difference: each user's scores are dealt to six models at random. Found is what `recsweep compare` would
  say: p after Holm below 5 % and 0 outside the interval, for any of the 15 pairs. With five seeds each
  training has an effect of its own besides, as large as the recorded ones.
- power: two models whose true difference is three standard errors.
- coverage: two models, their users, the effects of their seeds and the noise of single trainings drawn
  anew; how often the 95 % interval holds the true difference.
- time and memory: hits of 1,000,000 users to ten metrics of each, with the users' own ids, into a file.

    python benchmarks/comparing.py [--write] [--record] [--simulations N] [--errors | --size]

Exit code 1 where a target is missed. `--write` puts the result into RESULTS.md.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recsweep.common.parquet import read_parquet, write_parquet
from recsweep.statistics.comparison import Procedure, compared
from recsweep.statistics.ranking import ranking_metrics
from recsweep.statistics.resampling import Resampling
from recsweep.statistics.sample import Sample
from recsweep.statistics.users import UserScores
from results import command, own_lines, write_section

ROOT = Path(__file__).resolve().parent.parent
RECORDED = Path(__file__).resolve().parent / "user_scores.parquet"
MODELS, SEEDS, EPOCHS = ("FPMC", "FOSSIL", "STAMP"), 5, 20
COMPARED = 6
QUICK = Resampling(1_000)
USERS, CUTOFFS = 1_000_000, (10, 20)
METRICS = ("recall", "mrr", "ndcg", "hit", "precision")
MOST_SECONDS, MOST_GIB = 10.0, 2.0
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Line:
    """A figure and its target."""

    what: str
    found: str
    target: str
    met: bool


@dataclass(frozen=True)
class Recorded:
    """Scores of one model: [seeds, users], in parts."""

    values: Floats

    @property
    def users(self) -> Floats:
        """Mean over seeds of each user."""
        means: Floats = self.values.mean(axis=0)
        return means

    @property
    def noise(self) -> Floats:
        """What is of one training and one user alone, as large as if there were any number of seeds."""
        values = self.values
        left = values - self.users - values.mean(axis=1, keepdims=True) + values.mean()
        found: Floats = left * math.sqrt(len(values) / (len(values) - 1))
        return found

    @property
    def seed_effect(self) -> float:
        """Standard deviation of what a seed does to all users at once."""
        noise = float((self.noise**2).mean()) / self.values.shape[1]
        return math.sqrt(max(float(self.values.mean(axis=1).var(ddof=1)) - noise, 0.0))


def recorded() -> dict[str, Recorded]:
    columns, _ = read_parquet(RECORDED)
    models = dict.fromkeys(name.split(":")[0] for name in columns if ":" in name)
    return {
        model: Recorded(np.stack([v for name, v in columns.items() if name.split(":")[0] == model]))
        for model in models
    }


# -- simulations ----------------------------------------------------------------------------------


def false_positives(simulations: int, seeds: int) -> float:
    """Share of simulations in which any two of six equal models are told apart."""
    draw = np.random.default_rng(seeds)
    models = list(recorded().values())
    pool = np.concatenate([model.values for model in models])
    effect = max(model.seed_effect for model in models) if seeds > 1 else 0.0
    wrong = 0
    for number in range(simulations):
        users = draw.integers(pool.shape[1], size=(pool.shape[1],))
        runs = COMPARED * seeds
        # More trainings than were recorded: of each user's scores some are dealt twice.
        dealt = np.argsort(draw.random((max(runs, len(pool)), len(users))), axis=0)[:runs] % len(pool)
        values = pool[dealt, users] + draw.normal(0.0, effect, (runs, 1))
        samples = [
            Sample(f"model {n}", values[n * seeds : (n + 1) * seeds], (0,) * seeds) for n in range(COMPARED)
        ]
        wrong += any(one.found for one in compared("d", "ndcg@10", samples, _procedure(number)))
    return wrong / simulations


def power(simulations: int) -> float:
    """Share of simulations in which a true difference of three standard errors is found."""
    draw = np.random.default_rng(7)
    a, b, *_ = (model.values[0] for model in recorded().values())
    users = len(a)
    shift = 3.0 * float((a - b).std(ddof=1)) / math.sqrt(users) - float((a - b).mean())
    found = 0
    for number in range(simulations):
        drawn = draw.integers(users, size=users)
        samples = [Sample("a", a[drawn][None] + shift), Sample("b", b[drawn][None])]
        (one,) = compared("d", "ndcg@10", samples, _procedure(number))
        found += one.better == "a"
    return found / simulations


def coverage(simulations: int, seeds: int) -> float:
    """Share of intervals that hold the true difference of two models, each trained with so many seeds."""
    draw = np.random.default_rng(100 + seeds)
    a, b, *_ = recorded().values()
    truth = float(a.users.mean() - b.users.mean())
    held = 0
    for number in range(simulations):
        users = draw.integers(len(a.users), size=len(a.users))
        samples = [
            Sample(name, _trained(model, users, seeds, draw), (0,) * seeds)
            for name, model in (("a", a), ("b", b))
        ]
        (one,) = compared("d", "ndcg@10", samples, _procedure(number))
        low, high = (one.low, one.high) if one.a == "a" else (-one.high, -one.low)
        held += low <= truth <= high
    return held / simulations


def _trained(model: Recorded, users: NDArray[np.int64], seeds: int, draw: np.random.Generator) -> Floats:
    """Scores of a model trained anew; of one training alone the truth is that training's."""
    if seeds == 1:
        return model.users[users][None]
    noise = model.noise
    which = draw.integers(len(noise), size=(seeds, len(users)))
    return model.users[users] + noise[which, users] + draw.normal(0.0, model.seed_effect, (seeds, 1))


def _procedure(number: int) -> Procedure:
    return Procedure(resampling=Resampling(QUICK.resamples, number))


# -- time and memory ------------------------------------------------------------------------------


def one_million(file: Path) -> dict[str, float]:
    """Seconds on the clock and of the processor, and the peak of memory, of a process of its own."""
    draw = np.random.default_rng(0)
    hits = np.zeros((USERS, max(CUTOFFS)), dtype=np.int32)  # as RecBole's evaluation has them
    rows = np.flatnonzero(draw.random(USERS) < 0.3)
    hits[rows, draw.integers(max(CUTOFFS), size=len(rows))] = 1
    right = draw.integers(1, 5, size=USERS)
    ids = np.array([f"user-{number}" for number in draw.permutation(USERS)])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    clock, cpu = time.perf_counter(), time.process_time()
    values = ranking_metrics(hits, right, METRICS, CUTOFFS)
    scores = UserScores.of_rows(ids, values)
    scores.write(file)
    return {
        "seconds": time.perf_counter() - clock,
        "processor": time.process_time() - cpu,
        "gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "before": before,
        "columns": len(scores.metrics),
        "mib": file.stat().st_size / 2**20,
    }


def measured_apart() -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        arguments = [sys.executable, __file__, "--one-million", str(Path(folder) / "users.parquet")]
        done = subprocess.run(arguments, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout))


# -- recording ------------------------------------------------------------------------------------


def record() -> None:
    """Train the models, and write their scores per user beside this file."""
    import torch

    from recsweep.datasets.prepare import prepare
    from recsweep.planning.plan import plan_sweep
    from recsweep.sweeps.loading import load_sweep
    from recsweep.training import training, users

    columns: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder:
        for model in MODELS:
            changes = {"models": model, "datasets": "ml-100k", "epochs": EPOCHS, "outputs": folder}
            plan = plan_sweep(load_sweep(ROOT / "config" / "config.yaml", changes))[0]
            for seed in range(1, SEEDS + 1):
                settings = plan.settings(plan.defaults, seed)
                split = prepare(settings, plan.files, plan.outputs.cache).split
                state = training.train(settings, split, torch.device("cpu")).best
                found = users.tested(settings, split, torch.device("cpu"), state).users
                columns |= {"user": found.users.tolist(), f"{model}:{seed}": found.metrics["ndcg@10"]}
                print(model, seed, found.means())
    kinds = {name: "text" if name == "user" else "float64" for name in columns}
    write_parquet(RECORDED, kinds, columns)


# -- the report -----------------------------------------------------------------------------------


def lines(simulations: int) -> list[Line]:
    found = []
    for seeds, label in ((1, "one training each"), (SEEDS, f"{SEEDS} seeds each")):
        share = false_positives(simulations, seeds)
        what = f"false positives under no difference, {COMPARED} models, Holm at 5 %, {label}"
        found.append(Line(what, f"{100 * share:.1f} %", "2 to 7 %", 0.02 <= share <= 0.07))
        print(found[-1])
    share = power(simulations)
    what = "power at a true difference of three standard errors"
    found.append(Line(what, f"{100 * share:.1f} %", "≥ 80 %", share >= 0.8))
    print(found[-1])
    for seeds, label in ((1, "one training each: users alone"), (3, "3 seeds"), (SEEDS, f"{SEEDS} seeds")):
        share = coverage(2 * simulations, seeds)
        what = f"95 % intervals that hold the true difference, {label}"
        found.append(Line(what, f"{100 * share:.1f} %", "93 to 97 %", 0.93 <= share <= 0.97))
        print(found[-1])
    return found


def size() -> list[Line]:
    one = measured_apart()
    name = f"scores per user, {USERS:,} users × {one['columns']:.0f} metrics, into a file"
    return [
        Line(
            f"{name}: time",
            f"{one['seconds']:.1f} s ({one['processor']:.1f} s of the processor)",
            f"≤ {MOST_SECONDS:g} s",
            one["seconds"] <= MOST_SECONDS,
        ),
        Line(
            f"{name}: peak of the process (hits and ids {one['before']:.2f} GiB of it)",
            f"{one['gib']:.2f} GiB",
            f"≤ {MOST_GIB:g} GiB",
            one["gib"] <= MOST_GIB,
        ),
    ]


def section(title: str, found: list[Line], how: str = "") -> str:
    rows = "\n".join(f"| {one.what} | {one.found} | {one.target} |" for one in found)
    about = "\n".join([*own_lines(), *([how] if how else [])])
    return f"""## {title}

`{command()}` (both parts: `make bench-statistics`)

{about}

| | found | target |
|---|---|---|
{rows}
"""


def how_often(simulations: int) -> str:
    return (
        f"- {simulations} simulations for each share of false positives and of power, {2 * simulations} for "
        f"each of coverage, with {QUICK.resamples:,} resamples; users are drawn from 943 recorded ones "
        f"(NDCG@10 of {', '.join(recorded())} on ml-100k, five seeds each)"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the result into RESULTS.md")
    parser.add_argument("--record", action="store_true", help="train the models anew first")
    parser.add_argument("--simulations", type=int, default=500)
    parser.add_argument("--errors", action="store_true", help="the simulations alone")
    parser.add_argument("--size", action="store_true", help="time and memory alone")
    parser.add_argument("--one-million", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one_million:
        print(json.dumps(one_million(asked.one_million)))
        return 0
    if asked.record:
        record()
    found: list[Line] = []
    if not asked.size:
        found += lines(asked.simulations)
        _told(
            "statistics", section("Errors of comparisons", found, how_often(asked.simulations)), asked.write
        )
    if not asked.errors:
        found += (sizes := size())
        _told("statistics-size", section("Scores of a million users", sizes), asked.write)
    return 0 if all(one.met for one in found) else 1


def _told(name: str, text: str, write: bool) -> None:
    print(text)
    if write:
        write_section(name, text)


if __name__ == "__main__":
    sys.exit(main())
