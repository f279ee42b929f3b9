"""Pruning on FPMC, ml-100k, 20 trials: fewer epochs at the same best score, over five seeds.

For each seed of the sweep, `recsweep tune` runs the study FPMC on ml-100k twice, with the space and the
training of config/config.yaml, one worker, in a folder of its own: without a pruner, and with one as it is
shipped (`pruning` of the sweep file). Everything is read from the stores: epochs trained, and the best
validation score. A trial that was pruned counts with the epochs it had. Epochs and scores are
deterministic, so that other work on the machine changes the seconds only.

The seeds of the trials are the same in both arms. With `--algo random` the parameters are too, so that a
difference of the best scores is a good trial that was pruned; other algos learn from what they see and go
other ways, so that it has luck in it, either way. Targets: at least 1.6 times fewer epochs (the mean of the
seeds' ratios), and the same best score: the 95 % interval of the mean of the paired differences (Student's
t) holds 0, and the mean is at most 1 % below.

    python benchmarks/pruning.py --algo random --pruners median asha

With `--engine ray` the rules are Ray Tune's schedulers, of which the same number of epochs is asked,
and at least 99.5 % of the best score in the mean.

    python benchmarks/pruning.py --engine ray --algo random --pruners asha

Exit code 1 where a target is missed. `--write` puts the result into RESULTS.md. With `--keep FOLDER` a run
that was ended goes on.
"""

from __future__ import annotations

import argparse
import datetime
import math
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from scipy import stats

from recsweep.common.provenance import hardware, versions
from recsweep.planning.plan import find_study, plan_sweep
from recsweep.study import Store, best
from recsweep.sweeps.config import PruningConfig
from recsweep.sweeps.engine_table import RAY
from recsweep.sweeps.loading import load_sweep
from results import command, write_section

ROOT = Path(__file__).resolve().parent.parent
CONFIG = ROOT / "config" / "config.yaml"
WITHOUT = "none"
FEWER_EPOCHS, LOSS = 1.6, 0.01
LOSS_BY_RAY = 0.005
"""Of a scheduler of Ray Tune's, which by design ends trials that a pruner with patience lets go on."""


@dataclass(frozen=True)
class Done:
    """What a study came to."""

    epochs: int
    best: float
    pruned: int
    seconds: float
    """Of all trials together."""


@dataclass(frozen=True)
class Comparison:
    """A pruner against no pruner, seed by seed."""

    pruner: str
    seeds: list[int]
    whole: list[Done]
    pruned: list[Done]
    by_ray: bool = False

    @property
    def ratios(self) -> list[float]:
        return [one.epochs / other.epochs for one, other in zip(self.whole, self.pruned, strict=True)]

    @property
    def differences(self) -> list[float]:
        return [other.best - one.best for one, other in zip(self.whole, self.pruned, strict=True)]

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the mean difference of the best scores."""
        return mean_interval(self.differences)

    @property
    def relative(self) -> float:
        """The mean difference, as a part of the mean best score without a pruner."""
        return statistics.mean(self.differences) / statistics.mean(one.best for one in self.whole)

    @property
    def fewer_epochs(self) -> bool:
        return statistics.mean(self.ratios) >= FEWER_EPOCHS

    @property
    def same_score(self) -> bool:
        low, high = self.interval
        if self.by_ray:
            return self.relative >= -LOSS_BY_RAY
        return low <= 0 <= high and self.relative >= -LOSS


def mean_interval(values: list[float]) -> tuple[float, float]:
    """Student's 95 % interval of a mean; the mean alone where all are equal."""
    mean = statistics.mean(values)
    if len(values) < 2:
        return -math.inf, math.inf
    half = float(stats.t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / math.sqrt(len(values))
    return mean - half, mean + half


def main() -> int:
    arguments = _arguments()
    started = time.monotonic()
    if arguments.keep is not None:
        comparisons = compare(arguments, arguments.keep)
    else:
        with tempfile.TemporaryDirectory(prefix="recsweep-pruning-") as folder:
            comparisons = compare(arguments, Path(folder))
    lines = [line for comparison in comparisons for line in table(comparison)]
    print("\n".join(["", *lines]))
    if arguments.write:
        section = "schedulers" if arguments.engine == RAY else "pruning"
        write_section(section, report(lines, arguments, time.monotonic() - started))
    missed = [one.pruner for one in comparisons if not (one.fewer_epochs and one.same_score)]
    if missed:
        print(f"FAILED: a target is missed with {', '.join(missed)}")
    return 1 if missed else 0


def compare(arguments: argparse.Namespace, folder: Path) -> list[Comparison]:
    """Run both arms for each seed, in turns."""
    done: dict[str, list[Done]] = {pruner: [] for pruner in (WITHOUT, *arguments.pruners)}
    for seed in arguments.seeds:
        for pruner, found in done.items():
            found.append(run(arguments, pruner, seed, folder / f"{arguments.algo}-{pruner}-{seed}"))
            print(
                f"seed {seed}, {pruner}: {found[-1].epochs} epochs, best {found[-1].best:.4f}, "
                f"{found[-1].pruned} pruned, {found[-1].seconds:.0f} s",
                flush=True,
            )
    whole = done.pop(WITHOUT)
    by_ray = arguments.engine == RAY
    return [Comparison(pruner, arguments.seeds, whole, found, by_ray) for pruner, found in done.items()]


def run(arguments: argparse.Namespace, pruner: str, seed: int, outputs: Path) -> Done:
    """One study, by the command itself; what is in its store already is not trained again."""
    rule = "scheduler" if arguments.engine == RAY else "pruner"
    options = {
        "algo": arguments.algo,
        "engine": arguments.engine,
        "pruner": WITHOUT,
        rule: pruner,
        "max_evals": arguments.trials,
        "seed": seed,
        "workers": 1,
        "outputs": outputs,
    }
    written = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    study = ["--models", arguments.model, "--datasets", arguments.dataset]
    command = [sys.executable, "-m", "recsweep", "tune", "--config", str(CONFIG), *study, *written]
    finished = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if finished.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {finished.returncode}: {finished.stdout[-2000:]}")
    return read(arguments, options)


def read(arguments: argparse.Namespace, options: dict[str, object]) -> Done:
    names = {"models": arguments.model, "datasets": arguments.dataset, "outputs": str(options["outputs"])}
    sweep = load_sweep(CONFIG, {**options, **names})
    (plan,) = find_study(plan_sweep(sweep), arguments.dataset, arguments.model)
    store = Store(plan.storage_url)
    try:
        study = store.find_study(plan.name, plan.definition)
        trials = study.results() if study is not None else []
    finally:
        store.close()
    winner = best(trials, maximize=plan.maximize)
    if winner is None or winner.score is None or len(trials) != arguments.trials:
        raise RuntimeError(f"{plan.name}: {len(trials)} of {arguments.trials} trials are in the store")
    return Done(
        sum(max(trial.curve, default=0) for trial in trials),
        winner.score,
        sum(trial.state == "pruned" for trial in trials),
        sum(float(trial.result.seconds or 0.0) for trial in trials),
    )


# -- the report -----------------------------------------------------------------------------------


def table(one: Comparison) -> list[str]:
    """Markdown: each seed, the means, and the targets beside them."""
    rows = []
    for seed, whole, cut, ratio in zip(one.seeds, one.whole, one.pruned, one.ratios, strict=True):
        rows.append(
            f"| {seed} | {whole.epochs} | {cut.epochs} | {ratio:.2f} | {whole.best:.4f} "
            f"| {cut.best:.4f} | {cut.best - whole.best:+.4f} | {cut.pruned} |"
        )
    low, high = one.interval
    epochs = [statistics.mean(done.epochs for done in arm) for arm in (one.whole, one.pruned)]
    bests = [statistics.mean(done.best for done in arm) for arm in (one.whole, one.pruned)]
    pruned = statistics.mean(done.pruned for done in one.pruned)
    return [
        f"| seed | epochs | {one.pruner} | times fewer | best | {one.pruner} | difference | pruned |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
        *rows,
        f"| mean | {epochs[0]:.0f} | {epochs[1]:.0f} | **{statistics.mean(one.ratios):.2f}** "
        f"| {bests[0]:.4f} | {bests[1]:.4f} | {statistics.mean(one.differences):+.4f} | {pruned:.1f} |",
        "",
        "| target | found | |",
        "|---|---|---|",
        f"| at least {FEWER_EPOCHS} times fewer epochs | {statistics.mean(one.ratios):.2f} "
        f"| {_reached(one.fewer_epochs)} |",
        f"| {_wanted(one)} | {low:+.4f} to {high:+.4f}, mean {one.relative:+.2%} "
        f"| {_reached(one.same_score)} |",
        "",
    ]


def _wanted(one: Comparison) -> str:
    if one.by_ray:
        return f"at most {LOSS_BY_RAY:.1%} of the best score lost in the mean"
    return f"same best score: 0 in the 95 % interval of the difference, at most {LOSS:.0%} lost"


def _reached(reached: bool) -> str:
    return "reached" if reached else "**missed**"


def report(lines: list[str], arguments: argparse.Namespace, seconds: float) -> str:
    machine, rule = hardware(), _shipped()
    libraries = ", ".join(f"{name} {version}" for name, version in versions().items() if name != "snakemake")
    training = load_sweep(CONFIG, {}).config.training
    title = "Ray Tune: schedulers" if arguments.engine == RAY else "Pruning"
    return "\n".join(
        [
            f"## {title} on {arguments.model}, {arguments.dataset}, {arguments.trials} trials",
            "",
            f"Written by `{command()}` on {datetime.date.today().isoformat()}, "
            f"in {seconds / 60:.0f} minutes.",
            "What is compared, and how, stands at the top of [pruning.py](pruning.py).",
            "",
            f"- Search: {arguments.engine}/{arguments.algo}. Trials of both arms have at most "
            f"{training.epochs} epochs and stop early after {training.stopping_step} without progress.",
            f"- Grace period: {rule.warmup_epochs} epochs."
            if arguments.engine == RAY
            else f"- Pruning: warmup_epochs {rule.warmup_epochs}, min_trials {rule.min_trials}, "
            f"patience {rule.patience}.",
            f"- Machine: {machine['cores']} cores, {machine['processor']}, {machine['memory_gib']} GiB, "
            f"{machine['system']}.",
            f"- {libraries}.",
            "",
            *lines,
        ]
    )


def _shipped() -> PruningConfig:
    return load_sweep(CONFIG, {}).config.pruning


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Epochs and best scores with a pruner and without one.")
    parser.add_argument("--model", default="FPMC")
    parser.add_argument("--dataset", default="ml-100k")
    parser.add_argument("--engine", default="hyperopt")
    parser.add_argument("--algo", default="bayes")
    parser.add_argument("--pruners", nargs="+", default=["median"])
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--seeds", nargs="+", type=int, default=[2026, 2027, 2028, 2029, 2030])
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="keep the stores there, and go on from them"
    )
    parser.add_argument("--write", action="store_true", help="write the section of benchmarks/RESULTS.md")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
