"""Trackers that hang, fail, run full and are killed; what tracking costs; whether its memory stays as it is.

The trials are told to a store by hand, without training, so that what is measured is tracking alone.

faults: 20 trials with each tracker and each fault. The run may not lose a trial, and takes at most 2 s a
trial longer than without a tracker; once the tracker is back, `recsweep track sync` has sent all, and nothing
twice. A full disk is a mount of 16 KiB, for which one has to be root.
overhead: W&B offline, MLflow and TensorBoard at once. Processor time of their processes and of the one that
reads the store, for each trial and each epoch more, start-up apart.
memory: the same over 500 trials: memory of all these processes after trial 50 and at the end.

    python benchmarks/trackers.py faults overhead memory --write
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

import results

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests")]

from helpers.found import workspace  # noqa: E402
from helpers.mlflow_server import mlflow_server  # noqa: E402
from helpers.tracked import Told  # noqa: E402
from helpers.wandb_server import wandb_server  # noqa: E402
from recsweep.sweeps.tracker_table import TRACKERS  # noqa: E402
from recsweep.tracking.base import Given  # noqa: E402
from recsweep.tracking.beside import Beside  # noqa: E402
from recsweep.tracking.destinations import Destination  # noqa: E402
from recsweep.tracking.follower import A_PERSON_WAITS, Follower  # noqa: E402
from recsweep.tracking.wanted import Wanted  # noqa: E402

EPOCHS = 3
PAUSE = 0.3
"""Seconds of an epoch that a trial here pretends to train."""
FAULTS = ("works", "hangs", "500", "full", "killed")


@dataclass
class Case:
    """One tracker: where it sends, and what it has in the end."""

    to: Destination
    server: Any
    count: Callable[[], list[tuple[int, int]]]
    """Trial and epoch of all that is there, in any order."""


def main() -> int:
    arguments = _arguments()
    lines: list[str] = []
    with tempfile.TemporaryDirectory(prefix="recsweep-trackers-") as folder:
        for part in arguments.parts:
            lines += PARTS[part](arguments, Path(folder))
    print("\n".join(lines))
    if arguments.write:
        told = [f"`{results.command()}`", *results.own_lines(), "", *lines]
        results.write_section(f"trackers {' '.join(arguments.parts)}", "\n".join(["## Trackers", "", *told]))
    return int(any("PROBLEM" in line for line in lines))


# -- faults ----------------------------------------------------------------------------------------


def faults(arguments: argparse.Namespace, folder: Path) -> list[str]:
    """Each fault with each tracker."""
    rows = []
    bare = _run(folder / "bare", arguments.trials, None)[0]
    for name in arguments.trackers:
        for fault in FAULTS:
            if fault == "500" and name not in ("wandb", "mlflow"):
                continue
            rows.append(_fault(name, fault, folder / f"{name}-{fault}", arguments.trials, bare))
            print(rows[-1], flush=True)
    head = ["| tracker | fault | trials | seconds a trial | not sent at the end | sent later | twice |"]
    return [*head, "|---|---|---:|---:|---:|---:|---:|", *rows]


def _fault(name: str, fault: str, folder: Path, trials: int, bare: float) -> str:
    with case_of(name, folder) as case, _disturbed(case, fault) as end:
        seconds, told, lines = _run(folder, trials, case.to, end)
        complete = len(told.study.results())
        left = sum(int(number) for line in lines for number in re.findall(r"(\d+) events? not sent", line))
        later = _sync(told, case)
        there = case.count()
        twice = len(there) - len(set(there))
        missing = trials * EPOCHS - len(set(there))
        told.store.close()
    extra = (seconds - bare) / trials
    wrong = [
        text
        for bad, text in (
            (complete != trials, f"{trials - complete} lost"),
            (extra > 2.0, "slow"),
            (missing, f"{missing} epochs missing"),
            (twice, "twice"),
            (later, f"{later} never sent"),
        )
        if bad
    ]
    note = f" PROBLEM: {', '.join(wrong)}" if wrong else ""
    return f"| {name} | {fault} | {complete} of {trials} | {extra:.2f} | {left} | all | {twice} |{note}"


def _run(
    folder: Path, trials: int, to: Destination | None, end: Callable[[Beside], None] = lambda one: None
) -> tuple[float, Told, list[str]]:
    """A run of trials by hand, with the follower beside it as a run has it; its seconds and last lines."""
    plan = workspace(folder, budget=trials).plan()
    told = Told(plan)
    wanted = Wanted(plan.sweep_name, (plan.name,), plan.sweep.outputs, "")
    began = time.monotonic()
    beside = Beside(told.store.address, wanted, [to]) if to is not None else None
    disturb = threading.Thread(target=lambda: end(beside) if beside else None)
    disturb.start()
    for _ in range(trials):
        claim = told.begin()
        for epoch in range(1, EPOCHS + 1):
            time.sleep(PAUSE)
            told.epochs(claim, epoch)
        told.finish(claim, EPOCHS)
    lines = beside.end() if beside is not None else []
    seconds = time.monotonic() - began
    disturb.join()
    return seconds, told, lines


def _sync(told: Told, case: Case) -> int:
    """Send the rest, as `recsweep track sync` does; how many events stay unsent."""
    wanted = Wanted(told.plan.sweep_name, (told.plan.name,), told.plan.sweep.outputs, "")
    return Follower(told.store, wanted, [case.to], print, A_PERSON_WAITS).run(lambda: True)


@contextmanager
def _disturbed(case: Case, fault: str) -> Iterator[Callable[[Beside], None]]:
    """Gives what disturbs a run from its beginning on; the tracker is back when the run has ended."""
    over = threading.Event()
    where = case.to.given.folder

    def disturb(beside: Beside) -> None:
        if fault in ("hangs", "500") and case.server is not None:
            case.server.how = {"hangs": "hangs", "500": "fails"}[fault]
        while beside._process.poll() is None and not over.is_set():
            for process in _senders(beside):
                if fault == "killed":
                    process.kill()
                elif fault == "hangs" and case.server is None:
                    process.suspend()
            over.wait(0.2)
        if case.server is not None:
            case.server.how = "works"
        if fault == "full":
            subprocess.run(["mount", "-o", "remount,size=256m", str(where)], check=True)

    if fault == "full":
        where.mkdir(parents=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(where)], check=True)
    try:
        yield disturb if fault != "works" else lambda beside: None
    finally:
        over.set()
        if fault == "full":
            subprocess.run(["umount", "-l", str(where)], check=True)


def _senders(beside: Beside) -> list[psutil.Process]:
    try:
        return psutil.Process(beside._process.pid).children()
    except psutil.Error:
        return []


# -- overhead and memory ---------------------------------------------------------------------------


def overhead(arguments: argparse.Namespace, folder: Path) -> list[str]:
    """Processor time for each trial and epoch more, start-up apart."""
    per_epoch: list[float] = []
    per_trial: list[float] = []
    for epochs, found in ((10, per_trial), (40, per_epoch)):
        found += _steady(folder / f"overhead-{epochs}", arguments.steady, epochs)
    trial = (per_trial[0] * 40 - per_epoch[0] * 10) / 30
    epoch = max(0.0, (per_epoch[0] - per_trial[0]) / 30)
    return [
        f"W&B offline, MLflow (SQLite) and TensorBoard at once, {arguments.steady} trials of 10 and of 40 "
        f"epochs: {1000 * trial:.0f} ms of a processor a trial, {1000 * epoch:.1f} ms an epoch, start-up "
        f"{per_trial[1]:.1f} s once a sweep",
    ]


def _steady(folder: Path, trials: int, epochs: int) -> tuple[float, float]:
    """Processor seconds a trial once all is running, and those of the start."""
    with _all_three(folder, trials + 2) as (told, processes):
        for _ in range(2):
            _trial(told, epochs)
        _settled(told)
        start = _busy(processes())
        for _ in range(trials):
            _trial(told, epochs)
        _settled(told)
        return (_busy(processes()) - start) / trials, start


def memory(arguments: argparse.Namespace, folder: Path) -> list[str]:
    """Memory of all processes after a tenth of the trials, and after all."""
    trials, early = arguments.many, max(1, arguments.many // 10)
    with _all_three(folder / "memory", trials) as (told, processes):
        seen = []
        for number in range(1, trials + 1):
            _trial(told, EPOCHS)
            if number in (early, trials):
                _settled(told)
                seen.append(_memory(processes()))
    first, last = (sum(found.values()) for found in seen)
    each = ", ".join(f"{name} {seen[0].get(name, 0):.0f} to {seen[1][name]:.0f} MiB" for name in seen[1])
    note = " PROBLEM: it grows" if last / first > 1.02 else ""
    return [f"memory after {early} and {trials} trials: {last / first:.3f} ({each}){note}"]


@contextmanager
def _all_three(folder: Path, trials: int) -> Iterator[tuple[Told, Callable[[], list[psutil.Process]]]]:
    plan = workspace(folder, budget=trials).plan()
    told = Told(plan)
    wanted = Wanted(plan.sweep_name, (plan.name,), plan.sweep.outputs, "")
    to = [
        Destination(TRACKERS[name], Given("s", folder / "sent" / name, {"mode": "offline"}))
        for name in ("wandb", "mlflow", "tensorboard")
    ]
    beside = Beside(told.store.address, wanted, to)

    def processes() -> list[psutil.Process]:
        own = psutil.Process(beside._process.pid)
        return [own, *own.children(recursive=True)]

    try:
        yield told, processes
    finally:
        beside.end()
        told.store.close()


def _trial(told: Told, epochs: int) -> None:
    claim = told.begin()
    told.epochs(claim, *range(1, epochs + 1))
    told.finish(claim, epochs)


def _settled(told: Told) -> None:
    """Wait until each tracker has all that has ended."""
    wanted = len(told.study.results())
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        kept = [v for k, v in told.study.attributes.items() if k.startswith("tracking:")]
        if len(kept) == 3 and all(_slots(one) >= wanted for one in kept):
            return
        time.sleep(0.5)
    raise TimeoutError("the trackers do not get through")


def _slots(kept: dict[str, Any]) -> int:
    return sum(last - first + 1 for first, last in kept["cursor"]["done"])


def _busy(processes: list[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def _memory(processes: list[psutil.Process]) -> dict[str, float]:
    found: dict[str, float] = {}
    for number, process in enumerate(processes):
        name = "follower" if not number else f"{process.name()} {number}"
        found[name] = process.memory_full_info().uss / 2**20
    return found


# -- the trackers ----------------------------------------------------------------------------------


@contextmanager
def case_of(name: str, folder: Path) -> Iterator[Case]:
    """A tracker, with the server that it needs."""
    with ExitStack() as stack:
        where = folder / "sent" / name
        if name == "wandb":
            server = stack.enter_context(wandb_server())
            to = Destination(TRACKERS[name], Given("s", where, {"mode": "online"}, server.variables))
            yield Case(to, server, lambda: _of_wandb(server))
        elif name == "mlflow":
            door = stack.enter_context(mlflow_server(folder / "server"))
            to = Destination(TRACKERS[name], Given("s", where, {"uri": door.url, "experiment": "s"}))
            yield Case(to, door, lambda: _of_mlflow(door.url))
        else:
            to = Destination(TRACKERS[name], Given("s", where))
            yield Case(to, None, lambda: _of_files(name, where))


def _of_wandb(server: Any) -> list[tuple[int, int]]:
    runs = ((id_, run) for id_, run in server.runs.items() if not id_.endswith("study"))
    return [(int(id_[-5:]), row["epoch"]) for id_, run in runs for row in run.history if "epoch" in row]


def _of_mlflow(url: str) -> list[tuple[int, int]]:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(url)
    (experiment,) = [one for one in client.search_experiments() if one.name == "s"]
    found = client.search_runs([experiment.experiment_id], max_results=5000)
    slots = [(int(run.data.tags["trial"]), run.info.run_id) for run in found if "trial" in run.data.tags]
    return [(slot, m.step) for slot, id_ in slots for m in client.get_metric_history(id_, "ndcg_10")]


def _of_files(name: str, folder: Path) -> list[tuple[int, int]]:
    if name == "jsonl":
        import json

        lines = [json.loads(line) for file in folder.rglob("*.jsonl") for line in file.open()]
        return [(line["run"]["slot"], line["epoch"]) for line in lines if line["kind"] == "epoch"]
    if name == "csv":
        import csv

        rows = [row for file in folder.rglob("epochs.csv") for row in csv.DictReader(file.open())]
        return [(int(row["trial"]), int(row["epoch"])) for row in rows]
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = []
    for path in folder.rglob("trial-*"):
        shown = EventAccumulator(str(path), {"scalars": 0})
        shown.Reload()
        if "ndcg@10" in shown.Tags()["scalars"]:
            found += [(int(path.name[6:]), one.step) for one in shown.Scalars("ndcg@10")]
    return found


PARTS = {"faults": faults, "overhead": overhead, "memory": memory}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"all of {', '.join(PARTS)}")
    parser.add_argument("--trials", type=int, default=20, help="of each fault")
    parser.add_argument("--steady", type=int, default=20, help="trials over which the overhead is measured")
    parser.add_argument("--many", type=int, default=500, help="trials over which memory is measured")
    parser.add_argument("--trackers", nargs="*", default=list(TRACKERS), choices=list(TRACKERS))
    parser.add_argument("--write", action="store_true", help="put the figures into RESULTS.md")
    arguments = parser.parse_args()
    arguments.parts = arguments.parts or list(PARTS)
    if unknown := sorted(set(arguments.parts) - set(PARTS)):
        parser.error(f"no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    return arguments


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *about: sys.exit(143))
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(main())
