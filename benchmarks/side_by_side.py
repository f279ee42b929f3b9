"""recsweep against RecBole's own `HyperTuning`: the same three trials a model, side by side.

The arms take turns (A B A B …) in one run of this script, each time in a fresh process and an
empty folder, with the threads that each one takes by itself:

    A  `recsweep tune`, the command that a user types: supervisor, worker, store, checkpoints, test
       of the winner, result files. An exhaustive search over three learning rates, so its three
       points are known.
    B  RecBole's `HyperTuning.run()` with RecBole's `objective_function` (recbole_arm.py), in an
       environment of its own in which they work (requirements-recbole.txt), fed with the same three
       points in the same order.

Both train the same configurations on the same data: the seeds that recsweep derives for its trials
are handed to B as one more parameter, and A takes `time_order: recbole`, so that both round times
as RecBole does. So the validation scores must agree to four decimals; the exit code is 1 if not.

What is reported, per model, as medians over all repeats:

    warm    seconds from the end of one trial to the end of the next, within a run
    cold    seconds of the whole process, from its start to its end, divided by its trials; preparing
            data, and A's final test of the winner, are in it
    inside  seconds of a trial that training takes: in B RecBole's `fit` (training and validation);
            in A `training.train`, as its trials.csv says (it makes the loaders and the model too)

B tests every trial on the test split as RecBole's objective does; A tests the winner once.

    python benchmarks/side_by_side.py            # five-star ratings of ml-100k
    python benchmarks/side_by_side.py --full     # all of ml-100k
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from environments import python_of
from recsweep.common.files import write_yaml
from recsweep.planning.plan import StudyPlan, plan_sweep
from recsweep.recbole_api.settings import TIME_ORDER
from recsweep.study import Store
from recsweep.sweeps.documents import load_document
from recsweep.sweeps.loading import load_sweep
from results import RESULTS, machine_lines, write_section

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
ENVIRONMENT = ROOT / ".venv-recbole"
NO_VECTORS = {
    "recsweep": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
    "recbole": "AVX F16C FMA3 AVX2 AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL",
}
"""What NumPy is to leave unused (`NPY_DISABLE_CPU_FEATURES`), by the names of either version."""
REQUIREMENTS = HERE / "requirements-recbole.txt"
NEWEST_PYTHON = (3, 11)
TOLERANCE = 0.00005
POINTS: list[float] = [0.001, 0.003, 0.01]

# Small, but of the shapes that config/models/ searches. Without dropout: recsweep's masks are other random
# numbers than torch's, and the scores of both arms have to agree.
MODELS: dict[str, dict[str, Any]] = {
    "FPMC": {"loss_type": "BPR", "embedding_size": 32},
    "GRU4Rec": {
        "loss_type": "CE",
        "embedding_size": 32,
        "hidden_size": 64,
        "num_layers": 1,
        "dropout_prob": 0.0,
    },
    "SASRec": {
        **{"loss_type": "CE", "hidden_size": 32, "inner_size": 64, "n_layers": 1, "n_heads": 1},
        **{"hidden_dropout_prob": 0.0, "attn_dropout_prob": 0.0},
    },
}


@dataclass
class Run:
    """What one process of one arm came to."""

    wall: float
    ends: list[float]
    """When each trial ended, in seconds on one clock."""
    inside: list[float]
    scores: list[float]
    params: list[dict[str, Any]] = field(default_factory=list)
    """Of each trial; recsweep's alone, RecBole's are given."""

    @property
    def cold(self) -> float:
        return self.wall / len(self.ends)

    @property
    def warm(self) -> list[float]:
        return [later - earlier for earlier, later in zip(self.ends, self.ends[1:], strict=False)]


@dataclass
class Arm:
    """All runs of one arm on one model."""

    runs: list[Run] = field(default_factory=list)

    @property
    def warm(self) -> float:
        return statistics.median(seconds for run in self.runs for seconds in run.warm)

    @property
    def cold(self) -> float:
        return statistics.median(run.cold for run in self.runs)

    @property
    def inside(self) -> float:
        # As in `warm`, the first trial of a run is left out.
        return statistics.median(seconds for run in self.runs for seconds in run.inside[1:])


def main() -> int:
    arguments = _arguments()
    python = recbole_python()
    found: dict[str, tuple[Arm, Arm]] = {}
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="recsweep-side-by-side-") as temporary:
        for model in arguments.models:
            found[model] = compare(model, arguments, python, Path(temporary))
    lines = list(table(found))
    print("\n" + "\n".join(lines))
    differing = list(disagreements(found))
    for text in differing:
        print(f"FAILED: {text}")
    if arguments.write and not differing:
        write_section("side by side", document(lines, arguments, python, time.monotonic() - started))
        print(f"\nwritten to {RESULTS.relative_to(ROOT)}")
    return 1 if differing else 0


def compare(model: str, arguments: argparse.Namespace, python: Path, folder: Path) -> tuple[Arm, Arm]:
    """Run both arms on one model, in turns."""
    ours, theirs = Arm(), Arm()
    for repeat in range(1, arguments.repeats + 1):
        own = folder / f"{model}-{repeat}"
        plan, config = make_sweep(model, arguments, own / "recsweep")
        for arm, run in (
            (ours, run_recsweep(plan, config, own / "recsweep")),
            (theirs, run_recbole(plan, python, own / "recbole", _points(plan))),
        ):
            arm.runs.append(run)
            name = "recsweep" if arm is ours else "RecBole"
            print(
                f"{model} {repeat}/{arguments.repeats} {name}: "
                f"warm {statistics.median(run.warm):.2f} s a trial, cold {run.cold:.2f} s a trial, "
                f"scores {_scores(run.scores)}",
                flush=True,
            )
    return ours, theirs


def make_sweep(model: str, arguments: argparse.Namespace, folder: Path) -> tuple[StudyPlan, Path]:
    """The sweep of one model, from config files in a folder."""
    name = "ml-100k" if arguments.full else "ml-100k-small"
    dataset = load_document(ROOT / "config" / "datasets" / f"{name}.yaml").data
    write_yaml(folder / "datasets" / f"{name}.yaml", {**dataset, TIME_ORDER: "recbole"})
    write_yaml(
        folder / "models" / f"{model}.yaml",
        {
            "model": model,
            "fixed": MODELS[model],
            "defaults": {"learning_rate": POINTS[0]},
            "space": {"learning_rate": {"type": "choice", "values": POINTS}},
        },
    )
    sweep = {
        "sweep": "side-by-side",
        "models": [model],
        "datasets": [name],
        "search": {"algo": "exhaustive"},
        "training": {"epochs": arguments.epochs, "stopping_step": arguments.stopping_step},
        "cooldown": {"seconds": 0},
        "seed": arguments.seed,
        "outputs": str(folder / "outputs"),
    }
    write_yaml(folder / "sweep.yaml", sweep)
    return plan_sweep(load_sweep(folder / "sweep.yaml"))[0], folder / "sweep.yaml"


def run_recsweep(plan: StudyPlan, config: Path, folder: Path) -> Run:
    """One `recsweep tune`."""
    command = [sys.executable, "-m", "recsweep", "tune", "--config", str(config)]
    wall = run_timed(command, folder, dict(os.environ))
    store = Store(plan.storage_url)
    study = store.find_study(plan.name)
    trials = study.results() if study is not None else []
    store.close()
    if len(trials) != plan.budget or any(trial.score is None or trial.finished is None for trial in trials):
        raise SystemExit(f"{plan.label}: {plan.budget} trials should have succeeded; see {folder}")
    ends = [trial.finished.timestamp() for trial in trials if trial.finished is not None]
    with plan.outputs.trials(plan.dataset_name, plan.model_name).open(encoding="utf-8") as rows:
        inside = [float(row["seconds"]) for row in csv.DictReader(rows)]
    scores = [trial.score for trial in trials if trial.score is not None]
    return Run(wall, ends, inside, scores, [dict(trial.params) for trial in trials])


def run_recbole(plan: StudyPlan, python: Path, folder: Path, points: list[dict[str, Any]]) -> Run:
    """One `HyperTuning.run()` over points, each with its seed."""
    folder.mkdir(parents=True)
    settings = plan.settings({}, 0)
    fixed = {name: value for name, value in settings.items() if name not in (TIME_ORDER, "seed")}
    config, task, result = folder / "fixed.yaml", folder / "task.json", folder / "result.json"
    config.write_text(yaml.safe_dump(fixed), encoding="utf-8")
    task.write_text(json.dumps({"points": points, "config": str(config)}), encoding="utf-8")
    command = [str(python), str(HERE / "recbole_arm.py"), str(task), str(result)]
    wall = run_timed(command, folder, {**os.environ, "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"})
    found = json.loads(result.read_text(encoding="utf-8"))
    return Run(wall, found["ends"], found["seconds_inside"], found["scores"])


def _points(plan: StudyPlan) -> list[dict[str, Any]]:
    """An exhaustive search of a plan, with the seed of each slot: the defaults, then the grid."""
    default = plan.defaults
    others = [{"learning_rate": value} for value in POINTS if value != default["learning_rate"]]
    return [{**params, "seed": plan.trial_seed(slot)} for slot, params in enumerate([default, *others])]


def run_timed(command: list[str], folder: Path, environment: dict[str, str]) -> float:
    log = folder / "output.log"
    started = time.perf_counter()
    with log.open("w", encoding="utf-8") as output:
        done = subprocess.run(command, cwd=folder, env=environment, stdout=output, stderr=output, check=False)
    seconds = time.perf_counter() - started
    if done.returncode:
        tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-25:])
        raise SystemExit(f"{shlex.join(command)}\nended with exit code {done.returncode}:\n{tail}")
    return seconds


def recbole_python() -> Path:
    """The interpreter of RecBole's environment, which is made now unless it is there."""
    return python_of(ENVIRONMENT, REQUIREMENTS, _make_environment)


def _make_environment(python: Path) -> None:
    if sys.version_info[:2] > NEWEST_PYTHON:
        raise SystemExit(
            f"RecBole's tuner needs ray 2.6.3, and that Python 3.11 or older, but got "
            f"{sys.version.split()[0]}; run this script with a recsweep environment on Python 3.11"
        )
    print(f"making {ENVIRONMENT.name} (once; some minutes)", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)], check=True)
    torch = next(
        line for line in REQUIREMENTS.read_text(encoding="utf-8").splitlines() if line[:5] == "torch"
    )
    for what in ([torch], ["-r", str(REQUIREMENTS)]):
        subprocess.run([str(python), "-m", "pip", "install", "-qq", *what], check=True)


def table(found: dict[str, tuple[Arm, Arm]]) -> Iterator[str]:
    """Markdown: times and ratios, then scores."""
    yield "| model | s a trial, warm: RecBole | recsweep | ratio | cold: RecBole | recsweep | ratio |" + (
        " inside: RecBole | recsweep |"
    )
    yield "|---|---:|---:|---:|---:|---:|---:|---:|---:|"
    for model, (ours, theirs) in found.items():
        yield (
            f"| {model} | {theirs.warm:.2f} | {ours.warm:.2f} | **{theirs.warm / ours.warm:.2f}** "
            f"| {theirs.cold:.2f} | {ours.cold:.2f} | **{theirs.cold / ours.cold:.2f}** "
            f"| {theirs.inside:.2f} | {ours.inside:.2f} |"
        )
    yield ""
    yield "| model | validation scores: RecBole | recsweep |"
    yield "|---|---|---|"
    for model, (ours, theirs) in found.items():
        yield f"| {model} | {_scores(theirs.runs[0].scores)} | {_scores(ours.runs[0].scores)} |"


def disagreements(found: dict[str, tuple[Arm, Arm]]) -> Iterator[str]:
    """Scores that differ between the arms, or between repeats of one."""
    for model, (ours, theirs) in found.items():
        for repeat, (one, other) in enumerate(zip(ours.runs, theirs.runs, strict=True), 1):
            for number, (mine, its) in enumerate(zip(one.scores, other.scores, strict=True)):
                if abs(mine - its) > TOLERANCE:
                    yield (
                        f"{model} trial {number}, repeat {repeat}: recsweep {mine:.4f}, RecBole {its:.4f}; "
                        "equal seeds must give equal scores"
                    )


def document(lines: list[str], arguments: argparse.Namespace, python: Path, seconds: float) -> str:
    """The section of RESULTS.md."""
    data = (
        "all of ml-100k"
        if arguments.full
        else "the five-star ratings of ml-100k (config/datasets/ml-100k-small.yaml)"
    )
    command = shlex.join(["python", "benchmarks/side_by_side.py", *sys.argv[1:]])
    return "\n".join(
        [
            "## recsweep and RecBole's own tuner, side by side",
            "",
            f"Written by `{command}` on {datetime.now():%Y-%m-%d}, in {seconds:.0f} s.",
            "What is compared, and how, stands at the top of [side_by_side.py](side_by_side.py).",
            "Ratio: how many times as long RecBole takes.",
            "",
            f"- Data: {data}.",
            f"- {len(POINTS)} trials a model, at most {arguments.epochs} epochs each, early stop after "
            f"{arguments.stopping_step} without progress, seed {arguments.seed}.",
            f"- Medians of {arguments.repeats} repeats, arms in turns.",
            *machine_lines(python),
            "",
            *lines,
            "",
            "Equal seeds, equal scores: to four decimals, in every repeat.",
            "",
        ]
    )


def _scores(scores: list[float]) -> str:
    return " ".join(f"{score:.4f}" for score in scores)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="recsweep against RecBole's HyperTuning, side by side.")
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=["FPMC", "GRU4Rec"])
    parser.add_argument("--full", action="store_true", help="all of ml-100k instead of its five-star ratings")
    parser.add_argument("--epochs", type=int, default=10, help="most epochs of a trial")
    parser.add_argument("--stopping-step", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.relative_to(ROOT)}")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
