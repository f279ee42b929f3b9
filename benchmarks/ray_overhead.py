"""Ray Tune's own cost a trial, over the optuna engine with the same number of workers.

Trials are a stand-in that waits 0.2 s and reports once; supervisor, worker processes, store, pipes and events
are the real ones. Both engines propose at random. Reported are the seconds from the end of a worker's
trial to the end of its next one, in the mean: starting workers, or Ray, is left out. The arms take turns.

    python benchmarks/ray_overhead.py --write

Every slot must have been filled exactly once; where it was not, the exit code is 1, as it is where Ray costs
more than the target. Needs `make setup-ray`, and a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import statistics
import sys
import tempfile
from collections import defaultdict
from datetime import datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from helpers.waiting import SECONDS, waiting_main  # noqa: E402
from recsweep.planning.plan import StudyPlan, plan_sweep  # noqa: E402
from recsweep.running.local_workers import LocalWorkers  # noqa: E402
from recsweep.running.progress import Display  # noqa: E402
from recsweep.running.ray_tuner import RayTuner  # noqa: E402
from recsweep.running.supervisor import Supervisor  # noqa: E402
from recsweep.running.workers import Workers  # noqa: E402
from recsweep.study import Store, Trial  # noqa: E402
from recsweep.sweeps.loading import load_sweep  # noqa: E402
from results import command, own_lines, write_section  # noqa: E402

ENGINES = ("optuna", "ray")
TARGET = 0.25


def main() -> int:
    """Measure, print, and write if asked to."""
    arguments = _arguments()
    found: dict[str, list[float]] = {engine: [] for engine in ENGINES}
    with tempfile.TemporaryDirectory(prefix="recsweep-ray-") as folder:
        for turn in range(arguments.repeats):
            for engine in ENGINES:
                found[engine].append(seconds_a_trial(engine, arguments, Path(folder) / f"{engine}-{turn}"))
                print(f"{engine}: {found[engine][-1]:.3f} s a trial", flush=True)
    medians = {engine: statistics.median(values) for engine, values in found.items()}
    text = report(found, medians, arguments)
    print(text)
    if arguments.write:
        write_section("ray overhead", text)
    return 0 if medians["ray"] - medians["optuna"] <= TARGET else 1


def seconds_a_trial(engine: str, arguments: argparse.Namespace, outputs: Path) -> float:
    """Seconds of one worker for one trial, of a whole study."""
    plan = _plan(engine, arguments, outputs)
    workers: Workers = RayTuner(waiting_main) if engine == "ray" else LocalWorkers(waiting_main)
    with Display(plan.outputs.tune_log) as display, Supervisor(display, workers) as supervisor:
        supervisor.run_study(plan, 1, 1)
    store = Store(plan.storage_url)
    study = store.find_study(plan.name)
    trials = study.results() if study is not None else []
    store.close()
    if [trial.slot for trial in trials] != list(range(arguments.trials)):
        raise RuntimeError(f"{engine}: {len(trials)} of {arguments.trials} slots are filled")
    return statistics.fmean(_gaps(trials))


def _gaps(trials: list[Trial]) -> list[float]:
    """Seconds from the end of a worker's trial to the end of its next one."""
    ends: defaultdict[Any, list[datetime]] = defaultdict(list)
    for trial in trials:
        if trial.owner is not None and trial.finished is not None:
            ends[trial.owner.process].append(trial.finished)
    pairs = (pair for of_one in ends.values() for pair in itertools.pairwise(sorted(of_one)))
    return [(later - earlier).total_seconds() for earlier, later in pairs]


def _plan(engine: str, arguments: argparse.Namespace, outputs: Path) -> StudyPlan:
    outputs.mkdir(parents=True)
    given = {
        "models": "FPMC",
        "engine": engine,
        "algo": "random",
        "max_evals": arguments.trials,
        "workers": arguments.workers,
        "cooldown": 0,
        "outputs": str(outputs),
    }
    (plan,) = plan_sweep(load_sweep(ROOT / "config" / "smoke.yaml", given))
    own = plan.sweep.workers.model_copy(update={"threads": 1, "trials_per_worker": 10_000})
    return dataclasses.replace(plan, sweep=plan.sweep.model_copy(update={"workers": own}))


def report(found: dict[str, list[float]], medians: dict[str, float], arguments: argparse.Namespace) -> str:
    """The section of RESULTS.md."""
    cost = medians["ray"] - medians["optuna"]
    rows = [
        f"| {engine} | {medians[engine]:.3f} | {min(values):.3f} to {max(values):.3f} |"
        for engine, values in found.items()
    ]
    reached = "reached" if cost <= TARGET else "**missed**"
    return "\n".join(
        [
            f"## Ray Tune's own cost a trial, {arguments.workers} workers",
            "",
            f"Written by `{command()}`. What is measured, and how, stands at the top of "
            "[ray_overhead.py](ray_overhead.py).",
            "",
            f"- {arguments.trials} trials of {SECONDS:g} s, {arguments.repeats} times, in turns.",
            *own_lines(),
            "",
            "| engine | seconds of a worker for a trial, median | from, to |",
            "|---|---:|---|",
            *rows,
            "",
            f"Ray Tune costs {cost:.3f} s a trial more; the target is at most {TARGET:g}: {reached}.",
        ]
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Ray Tune's own cost a trial.")
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="write the section of benchmarks/RESULTS.md")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
