"""Time outside training and evaluation, per trial: at most 50 ms at the median, on SQLite.

First part: the real worker, engine (each algo of HyperOpt), store and pipe run a study of a
six-parameter space. Only `training.train` is replaced, by a stand-in that reports ten epochs and
hands over weights of the size of a small model; whatever else passes between the ends of two trials
is overhead, split by part:

    claim      take the next slot in the store
    propose    read the history, let HyperOpt suggest
    record     store parameters, seed and environment
    epochs     store ten validation scores
    finish     store the result, close the trial
    best       find out whether it is the best so far; if so, write its two checkpoints
    rest       everything else: HyperTuning's own loop, settings, events to the supervisor

Second part: a small real study in the same harness. What passes between the ends of two trials and
is neither RecBole's training nor its evaluation, and how it is split: the parts above, and `set-up`
(config, loaders, model and trainer of the trial, copies of its best weights).

    python benchmarks/overhead.py --trials 100

Exit code 1 where the median of an algo in the first part is above the limit.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import statistics
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from multiprocessing import Pipe
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from recsweep.common.files import write_yaml
from recsweep.common.owner import this_process
from recsweep.common.provenance import hardware
from recsweep.planning.plan import StudyPlan, plan_sweep
from recsweep.recbole_api import model as recbole
from recsweep.running import trial_run, worker
from recsweep.running.commands import Stop
from recsweep.running.events import Event, Ready, TrialDone
from recsweep.search.engines import hyperopt_
from recsweep.study import Store, Study
from recsweep.sweeps.loading import load_sweep
from recsweep.training import training

ROOT = Path(__file__).resolve().parent.parent
LIMIT_MS = 50.0
EPOCHS = 10
ALGOS = ("random", "bayes", "anneal", "exhaustive")
PARTS = ("claim", "propose", "record", "epochs", "finish", "best", "rest")
DATASET = "ml-100k-small"

SPACE: dict[str, Any] = {
    "learning_rate": {"type": "loguniform", "min": 1.0e-4, "max": 1.0e-2},
    "num_layers": {"type": "choice", "values": [1, 2, 3]},
    "embedding_size": {"type": "choice", "values": [32, 64, 128]},
    "hidden_size": {"type": "choice", "values": [64, 128, 256]},
    "dropout_prob": {"type": "quniform", "min": 0.0, "max": 0.5, "q": 0.1},
    "weight_decay": {"type": "uniform", "min": 0.0, "max": 1.0e-4},
}
# 96 points: as many trials as an exhaustive study of it has.
GRID: dict[str, Any] = {
    "learning_rate": {"type": "choice", "values": [0.0005, 0.001, 0.005]},
    "num_layers": {"type": "choice", "values": [1, 2]},
    "embedding_size": {"type": "choice", "values": [32, 64]},
    "hidden_size": {"type": "choice", "values": [64, 128]},
    "dropout_prob": {"type": "choice", "values": [0.1, 0.3]},
    "weight_decay": {"type": "choice", "values": [0.0, 1.0e-5]},
}
DEFAULTS: dict[str, Any] = {
    "learning_rate": 0.001,
    "num_layers": 1,
    "embedding_size": 64,
    "hidden_size": 128,
    "dropout_prob": 0.3,
    "weight_decay": 0.0,
}


@dataclass
class Stopwatch:
    """Adds up the seconds of each part of the trial that runs."""

    trials: list[dict[str, float]] = field(default_factory=list)
    """One per finished trial: seconds by part, `total` and `inside` (what is not overhead)."""
    _parts: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    _since: float = 0.0

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, with its time counted for a part."""

        def run(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.add(part, time.perf_counter() - started)

        return run

    def add(self, part: str, seconds: float) -> None:
        self._parts[part] += seconds

    def start(self) -> None:
        self._parts.clear()
        self._since = time.perf_counter()

    def trial_ended(self) -> None:
        now = time.perf_counter()
        self.trials.append({**self._parts, "total": now - self._since})
        self._parts.clear()
        self._since = now


def main() -> int:
    arguments = _arguments()
    print(f"{hardware()['cores']} cores, {hardware()['processor']}, torch threads {torch.get_num_threads()}")
    medians: dict[str, float] = {}
    for algo in arguments.algos:
        watch = measure_stand_in(algo, arguments.trials)
        medians[algo] = report(
            f"{algo}: {len(watch.trials)} trials of 6 parameters and {EPOCHS} epoch reports", watch, PARTS
        )
    if arguments.real:
        watch = measure_real(arguments.real)
        report(
            f"a real study: {len(watch.trials)} trials of FPMC on {DATASET}",
            watch,
            (*PARTS[:-1], "set-up", "rest"),
        )
    too_slow = [f"{algo} {median:.1f} ms" for algo, median in medians.items() if median > LIMIT_MS]
    if too_slow:
        print(f"FAILED: the median must be at most {LIMIT_MS:g} ms a trial, but got {', '.join(too_slow)}")
        return 1
    print(f"passed: every median is at most {LIMIT_MS:g} ms a trial")
    return 0


def measure_stand_in(algo: str, trials: int) -> Stopwatch:
    """Everything but training, for `trials` trials."""
    watch = Stopwatch()
    if algo == "exhaustive":
        trials = min(trials, math.prod(len(parameter["values"]) for parameter in GRID.values()))
    model = {
        "model": "GRU4Rec",
        "fixed": {"loss_type": "CE"},
        "defaults": DEFAULTS,
        "space": GRID if algo == "exhaustive" else SPACE,
    }
    with _study("GRU4Rec", model, algo, trials, epochs=EPOCHS) as plan:
        stand_in = patch.object(training, "train", _stand_in())
        _run(plan, watch, trials, [stand_in])
    return watch


def measure_real(trials: int) -> Stopwatch:
    """A real study; `inside` is RecBole's own loop of training and evaluation."""
    watch = Stopwatch()
    model = {
        "model": "FPMC",
        "fixed": {"loss_type": "BPR"},
        "defaults": {"learning_rate": 0.001, "embedding_size": 64},
        "space": {
            "learning_rate": SPACE["learning_rate"],
            "embedding_size": SPACE["embedding_size"],
        },
    }
    original_train, original_fit = training.train, recbole.fit

    def fit(trainer: Any, train: Any, valid: Any, after_epoch: Callable[[int, float], None]) -> Any:
        ours = 0.0

        def timed_after_epoch(epoch: int, score: float) -> None:
            nonlocal ours
            started = time.perf_counter()
            after_epoch(epoch, score)
            ours += time.perf_counter() - started

        started = time.perf_counter()
        result = original_fit(trainer, train, valid, timed_after_epoch)
        watch.add("inside", time.perf_counter() - started - ours)
        return result

    def train(*args: Any, **kwargs: Any) -> Any:
        started, before = time.perf_counter(), watch._parts["inside"] + watch._parts["epochs"]
        result = original_train(*args, **kwargs)
        within = watch._parts["inside"] + watch._parts["epochs"] - before
        watch.add("set-up", time.perf_counter() - started - within)
        return result

    with _study("FPMC", model, "bayes", trials, epochs=2) as plan:
        _run(plan, watch, trials, [patch.object(recbole, "fit", fit), patch.object(training, "train", train)])
    watch.trials = watch.trials[1:]  # the first one warms up torch
    return watch


def _stand_in() -> Callable[..., training.Trained]:
    """Reports epochs and hands over weights; each trial is better than most before it."""
    weights = {"item_embedding": torch.zeros(1682, 64), "user_embedding": torch.zeros(943, 64)}
    moments = {name: {"exp_avg": w.clone(), "exp_avg_sq": w.clone()} for name, w in weights.items()}

    def train(
        settings: Mapping[str, Any], split: Any, device: Any, after_epoch: training.AfterEpoch, **named: Any
    ) -> training.Trained:
        score = 0.1 + (settings["seed"] % 10_000) / 100_000
        for epoch in range(1, EPOCHS + 1):
            after_epoch(epoch, score * epoch / EPOCHS)
        metrics = dict.fromkeys(("recall@10", "mrr@10", "ndcg@10", "hit@10"), score)
        state = {"config": dict(settings), "state_dict": weights, "optimizer": {"state": moments}}
        return training.Trained(score, metrics, EPOCHS, EPOCHS, 0.0, "stand-in", state, dict(state))

    return train


def _run(plan: StudyPlan, watch: Stopwatch, trials: int, patches: list[Any]) -> None:
    """Fill the slots of a study in this process, as a worker process does, with every part timed."""
    store = Store(plan.storage_url)
    store.open_study(plan.name, plan.definition, maximize=plan.maximize).ensure_slots(plan.budget)
    store.close()
    parts = [
        (Study, "claim", "claim"),
        (Study, "start", "record"),
        (Study, "report", "epochs"),
        (Study, "finish", "finish"),
        (trial_run, "keep_if_best", "best"),
        (hyperopt_, "propose", "propose"),
    ]
    with ExitStack() as stack, _supervisor_pipe() as send_to_supervisor:
        for owner, name, part in parts:
            stack.enter_context(patch.object(owner, name, watch.timed(part, getattr(owner, name))))
        for replaced in patches:
            stack.enter_context(replaced)
        stack.enter_context(_silence())

        def send(event: Event) -> None:
            send_to_supervisor(event)
            if isinstance(event, Ready):
                watch.start()
            elif isinstance(event, TrialDone):
                watch.trial_ended()

        one = worker.Worker(this_process(), send, lambda: Stop() if len(watch.trials) >= trials else None)
        one.search(plan)
    if len(watch.trials) != trials:
        raise RuntimeError(f"{trials} trials should have run, but {len(watch.trials)} did")


@contextmanager
def _study(name: str, model: dict[str, Any], algo: str, trials: int, epochs: int) -> Iterator[StudyPlan]:
    """A study of its own config files in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="recsweep-overhead-") as temporary:
        folder = Path(temporary)
        dataset = (ROOT / "config" / "datasets" / f"{DATASET}.yaml").read_text(encoding="utf-8")
        (folder / "datasets").mkdir()
        (folder / "datasets" / f"{DATASET}.yaml").write_text(dataset, encoding="utf-8")
        write_yaml(folder / "models" / f"{name}.yaml", model)
        sweep = {
            "sweep": "overhead",
            "models": [name],
            "datasets": [DATASET],
            "search": {"algo": algo, "max_evals": trials},
            "training": {"epochs": epochs, "train_batch_size": 1024, "device": "cpu"},
            "workers": {"trials_per_worker": 10 * trials},
            "outputs": str(folder / "outputs"),
        }
        write_yaml(folder / "sweep.yaml", sweep)
        yield plan_sweep(load_sweep(folder / "sweep.yaml"))[0]


@contextmanager
def _supervisor_pipe() -> Iterator[Callable[[Event], None]]:
    """A pipe whose other end is read, as the supervisor reads it."""
    ours, theirs = Pipe()

    def read() -> None:
        with contextlib.suppress(EOFError):
            while True:
                ours.recv()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield theirs.send
    finally:
        theirs.close()
        reader.join()
        ours.close()


@contextmanager
def _silence() -> Iterator[None]:
    """HyperOpt's progress bar and RecBole's prints go where a worker's go: not to the terminal."""
    with (
        Path(os.devnull).open("w", encoding="utf-8") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        yield


def report(title: str, watch: Stopwatch, parts: tuple[str, ...]) -> float:
    """Print the parts in ms a trial; the median of the whole overhead."""
    rows: dict[str, list[float]] = {part: [] for part in parts}
    overhead: list[float] = []
    for trial in watch.trials:
        outside = trial["total"] - trial.get("inside", 0.0)
        overhead.append(1000 * outside)
        named = [part for part in parts if part != "rest"]
        for part in named:
            rows[part].append(1000 * trial.get(part, 0.0))
        rows["rest"].append(1000 * (outside - sum(trial.get(part, 0.0) for part in named)))
    inside = statistics.median(1000 * trial.get("inside", 0.0) for trial in watch.trials)
    print(f"\n{title}" + (f" (training and evaluation: {inside:.0f} ms a trial)" if inside else ""))
    print(f"  {'ms a trial':<12}{'median':>9}{'90 %':>9}")
    for part, values in [*rows.items(), ("all", overhead)]:
        print(f"  {part:<12}{statistics.median(values):9.2f}{_percentile_90(values):9.2f}")
    return statistics.median(overhead)


def _percentile_90(values: list[float]) -> float:
    return statistics.quantiles(values, n=10, method="inclusive")[-1] if len(values) > 1 else values[0]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time outside training and evaluation, per trial.")
    parser.add_argument("--trials", type=int, default=100, help="trials of each algo with the stand-in")
    parser.add_argument("--algos", nargs="+", choices=ALGOS, default=list(ALGOS))
    parser.add_argument(
        "--real", type=int, default=6, metavar="TRIALS", help="of the real study; 0: leave it out"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
