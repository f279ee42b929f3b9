"""Kill workers with SIGKILL at random epochs, and compare the end of their trials with undisturbed ones.

    python benchmarks/resume.py [--kills 3] [--models SASRec LightGCN] [--seed 2026] [--write]

Each model with a fast path (`families.served`), and one of each kind that has none, which RecBole's own
code trains. A worker is a process; after each kill the slot is put back, and another worker, which has
other outputs and shares nothing but the store and a folder for checkpoints, takes it. Score, metrics,
curve, parameters, and the weights of the best and the last epoch must be those of a trial that nobody
killed, to the last digit; what is computed rather than learnt has one epoch, and is killed at its end.
Exit code 1 where they are not.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "benchmarks")]

from helpers.catalogue import OWN, SMALL, write_dataset  # noqa: E402
from recsweep.checkpoints.bucket import Bucket  # noqa: E402
from recsweep.common.owner import this_process  # noqa: E402
from recsweep.planning.plan import StudyPlan, plan_sweep  # noqa: E402
from recsweep.recbole_api import catalog, compat  # noqa: E402
from recsweep.recbole_api.model_facts import facts, refusal  # noqa: E402
from recsweep.recbole_api.packages import complete  # noqa: E402
from recsweep.running.events import EpochDone, Event, Note  # noqa: E402
from recsweep.running.worker import Worker  # noqa: E402
from recsweep.study import Store, Study  # noqa: E402
from recsweep.sweeps.loading import load_sweep  # noqa: E402
from recsweep.training import training  # noqa: E402
from recsweep.training.fast.families import served  # noqa: E402
from results import command, own_lines, write_section  # noqa: E402

PLAIN_KINDS = ("general", "context", "sequential")
"""Of each of them a model that RecBole's own code trains is killed too."""
EPOCHS = 12
PACE_SECONDS = 0.05
"""An epoch of these data is over before a signal arrives; so each waits a moment."""
LIMIT_SECONDS = 300.0
_GOES_ON = re.compile(r"goes on after epoch (\d+)")


@dataclass
class Came:
    """What a slot came to."""

    path: str
    numbers: dict[str, Any]
    weights: dict[str, dict[str, Any]]


@dataclass
class Broken:
    """A trial that was killed."""

    model: str
    killed: list[int]
    """Epochs at which its workers were."""
    went_on: list[int]
    """Epochs after which the next ones went on."""
    path: str
    wrong: list[str]


def main() -> int:
    arguments = _arguments()
    torch.set_num_threads(1)
    compat.apply()
    Bucket(tempfile.gettempdir()).names("none")  # both import what each worker would in its first epochs
    drawn = random.Random(arguments.seed)
    began, found = time.process_time(), []
    with tempfile.TemporaryDirectory(prefix="recsweep-resume-") as folder:
        data = write_dataset(Path(folder))
        for model in arguments.models or [*sorted(filter(complete, served())), *plain()]:
            found.append(broken_trial(model, data, Path(folder) / model, arguments.kills, drawn))
            _tell(found[-1])
    kills = sum(len(one.killed) for one in found)
    resumed = sum(len(one.went_on) for one in found)
    wrong = [one for one in found if one.wrong or (facts(one.model).learns and not one.went_on)]
    print(
        f"{'FAILED' if wrong else 'passed'}: {len(found)} models, {kills} kills, {resumed} times gone on, "
        f"{len(wrong)} trials with another result; {time.process_time() - began:.0f} s of this process"
    )
    if arguments.write and not wrong:
        write_section("resume", _markdown(found))
    return 1 if wrong else 0


def plain() -> list[str]:
    """Of each kind the first model that learns, needs nothing more, and has no fast path."""
    slow = [facts(name) for name in catalog.models() if name not in served()]
    usable = [one for one in slow if one.learns and not (one.packages or one.stages)]
    return [next(one.name for one in usable if one.kind == kind) for kind in PLAIN_KINDS]


def broken_trial(model: str, data: Path, folder: Path, kills: int, drawn: random.Random) -> Broken:
    """Train a trial undisturbed, and once more with kills."""
    sweep = write_sweep(model, data, folder)
    whole = machine(sweep, folder, "whole", shared=False)
    opened(whole)
    run_worker(whole, None)
    expected = outcome(whole)
    done = Broken(model, [], [], expected.path, [])
    opened(machine(sweep, folder, "machine-0"))
    last, until = 0, EPOCHS - 1 if facts(model).learns else 1
    for number in range(kills + 1):
        plan = machine(sweep, folder, f"machine-{number}")
        at = drawn.randint(last + 1, until) if number < kills and last < until else None
        reached, notes = run_worker(plan, at)
        done.went_on += [int(found[1]) for found in map(_GOES_ON.search, notes) if found]
        if at is None:
            break
        done.killed.append(reached)
        last = max(last, done.went_on[-1] if done.went_on else 0)
        with store_of(plan) as (_, study):
            if not study.put_back_orphans():
                break  # it had ended
    done.wrong = differences(expected, outcome(plan))
    return done


def write_sweep(model: str, data: Path, folder: Path) -> Path:
    """A sweep of one model of RecBole's on the small data set."""
    for name in ("models", "datasets"):
        (folder / name).mkdir(parents=True)
    known = catalog.parameters(model)
    fixed = {name: value for name, value in {**SMALL, **OWN.get(model, {})}.items() if name in known}
    columns: dict[str, list[str]] = {"inter": ["user_id", "item_id", "timestamp"]}
    if "selected_features" in catalog.published_defaults(model):
        fixed["selected_features"] = ["class"]
        columns["item"] = ["item_id", "class"]
    rate = {"learning_rate": {"type": "loguniform", "min": 1e-4, "max": 1e-1}}
    searched = {"defaults": {"learning_rate": 0.003}, "space": rate} if facts(model).learns else {"space": {}}
    files = {
        f"models/{model}.yaml": {"fixed": fixed, **searched},
        "datasets/rich.yaml": {"path": str(data), "columns": columns, "max_sequence_length": 6},
        "sweep.yaml": {
            "sweep": "resume",
            "models": [model],
            "datasets": ["rich"],
            "search": {"max_evals": 1},
            "training": {"epochs": EPOCHS, "stopping_step": EPOCHS, "train_batch_size": 64, "device": "cpu"},
            "evaluation": {"metric": "NDCG@5", "topk": [5]},
            "cooldown": {"seconds": 0},
            "checkpoints": {"every_epochs": 1},
        },
    }
    for name, content in files.items():
        (folder / name).write_text(yaml.safe_dump(content))
    return folder / "sweep.yaml"


def machine(sweep: Path, folder: Path, name: str, *, shared: bool = True) -> StudyPlan:
    """The study as a machine has it: outputs of its own, and the store and the checkpoints that all share."""
    given: dict[str, Any] = {"outputs": str(folder / name)}
    if shared:
        given |= {"storage": f"sqlite:///{folder}/shared.db", "checkpoints": str(folder / "share")}
    return plan_sweep(load_sweep(sweep, given))[0]


@contextmanager
def store_of(plan: StudyPlan) -> Iterator[tuple[Store, Study]]:
    """A study in its store, for a moment: whoever forks has none open."""
    plan.sweep.outputs.mkdir(parents=True, exist_ok=True)
    store = Store(plan.storage_url)
    try:
        yield store, store.open_study(plan.name, plan.definition, maximize=plan.maximize)
    finally:
        store.close()


def opened(plan: StudyPlan) -> None:
    """Put the study and its slot into the store."""
    with store_of(plan) as (_, study):
        study.ensure_slots(plan.budget)


def run_worker(plan: StudyPlan, kill_at: int | None) -> tuple[int, list[str]]:
    """A worker to its end, or until it tells an epoch; how far it told, and its lines."""
    plan.sweep.outputs.mkdir(parents=True, exist_ok=True)
    ours, theirs = multiprocessing.Pipe(duplex=False)
    context = multiprocessing.get_context("fork")
    process = context.Process(target=_work, args=(plan, theirs), daemon=True)
    process.start()
    theirs.close()
    reached, notes, until = 0, [], time.monotonic() + LIMIT_SECONDS
    while ours.poll(max(0.0, until - time.monotonic())):
        try:
            event = ours.recv()
        except EOFError:
            break
        if isinstance(event, EpochDone):
            reached = event.epoch
            if kill_at is not None and reached >= kill_at:
                process.kill()
        elif isinstance(event, Note):
            notes.append(event.text)
    process.join()
    if kill_at is None and process.exitcode != 0:
        raise RuntimeError(f"the worker of {plan.label} ended with {process.exitcode}: {notes}")
    return reached, notes


def _work(plan: StudyPlan, pipe: Connection) -> None:
    def send(event: Event) -> None:
        if isinstance(event, EpochDone | Note):
            pipe.send(event)
        if isinstance(event, EpochDone):
            time.sleep(PACE_SECONDS)

    worker = Worker(this_process(), send)
    worker.search(plan)
    worker.close()


def outcome(plan: StudyPlan) -> Came:
    """All that a slot came to, but for the seconds and the energy."""
    with store_of(plan) as (_, study):
        (trial,) = study.results()
    if trial.score is None:
        raise RuntimeError(f"{plan.label}: the trial failed; {trial.failure}")
    dataset, model, phase = plan.folder_names
    folder = plan.outputs.trial_checkpoints(dataset, model, 0, phase)
    found = {name: training.load_checkpoint(folder, name) for name in ("best", "last")}
    weights = {name: one["state_dict"] for name, one in found.items() if one is not None}
    numbers = {
        "score": trial.score,
        "seed": trial.seed,
        "parameters": trial.params,
        "result": replace(trial.result, seconds=None, energy=None),
        "curve": dict(trial.curve),
    }
    return Came(trial.result.path or "", numbers, weights)


def differences(expected: Came, found: Came) -> list[str]:
    """In what two trials differ."""
    wrong = [name for name, value in expected.numbers.items() if found.numbers[name] != value]
    for name, weights in expected.weights.items():
        other = found.weights.get(name, {})
        if weights.keys() != other.keys() or not all(
            torch.equal(weights[key], other[key]) for key in weights
        ):
            wrong.append(f"weights of the {name} epoch")
    return wrong if expected.weights else [*wrong, "no weights"]


def _tell(done: Broken) -> None:
    said = f"killed at {done.killed}, gone on after {done.went_on}, by {done.path or '?'}"
    print(f"{done.model}: {said}: {'; '.join(done.wrong) or 'the same'}", flush=True)


def _markdown(found: list[Broken]) -> str:
    lines = [
        "## Trials killed at random epochs, and gone on with",
        "",
        f"`{command()}`. Each worker is a process, killed with SIGKILL; the next one has other outputs, and "
        "finds the checkpoint in a shared folder. The end is compared with an undisturbed trial: score, "
        "metrics, curve, parameters, weights of the best and of the last epoch, to the last digit.",
        "",
        *own_lines(),
        *(f"- Left out: {name}, which {why.problem}." for name in sorted(served()) if (why := refusal(name))),
        "",
        "| model | trained by | killed at epoch | gone on after epoch | result |",
        "|---|---|---|---|---|",
    ]
    for one in found:
        killed, went_on = (", ".join(map(str, epochs)) for epochs in (one.killed, one.went_on))
        lines.append(f"| {one.model} | {one.path} | {killed} | {went_on} | equal |")
    return "\n".join(lines)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Kill workers at random epochs; compare their trials' ends.")
    parser.add_argument("--kills", type=int, default=3, help="of each trial, at most")
    parser.add_argument("--models", nargs="*", help="all with a fast path, and three without")
    parser.add_argument("--seed", type=int, default=2026, help="of the epochs")
    parser.add_argument("--write", action="store_true", help="put the result into RESULTS.md")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
