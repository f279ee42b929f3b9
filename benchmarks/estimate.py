"""Estimates against the truth: seconds and memory that a dry run says of studies, and what they then take.

Each arm is a sweep of some models with a small budget: the shipped sequential models on the five-star ratings
of ml-100k, general ones on all of ml-100k split at random, with few epochs and with early stopping, with and
without the shipped pruner. First its studies are estimated as `make dry-run` does it, in a new folder, with
nothing known; then `recsweep tune` runs them, one worker, and the clock says what each took: from its start
to that of the next one, the first one from the start of the command, the last one to its end. Memory is the
most that any process of the command held.

    python benchmarks/estimate.py --minutes 8

Targets: the estimate is at most 1.5 times too long or too short for three quarters of the studies, and at
most 3 times for all. An arm that would end too late by its estimate is left out, and said to be.
Exit code 1 where a target is missed. `--write` puts the result into RESULTS.md.
"""

from __future__ import annotations

import argparse
import datetime
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from recsweep.api.estimates import estimated
from recsweep.estimating.estimate import StudyEstimate
from recsweep.planning.plan import plan_sweep
from recsweep.running.templates import TEMPLATES
from recsweep.study import Store
from recsweep.sweeps.loading import load_sweep
from results import command, own_lines, write_section

ROOT = Path(__file__).resolve().parent.parent
CONFIG = ROOT / "config" / "config.yaml"
USUAL, ALWAYS, SHARE = 1.5, 3.0, 0.75


@dataclass(frozen=True)
class Arm:
    """A sweep that is estimated, then run."""

    name: str
    models: str
    dataset: str
    settings: dict[str, Any]
    minutes: float
    """That its estimate may take."""


ARMS = (
    Arm("short", "FPMC FOSSIL STAMP GRU4Rec NARM SASRec", "ml-100k-small", {"max_evals": 4, "epochs": 3}, 1),
    Arm(
        "general",
        "BPR ItemKNN EASE MultiVAE NeuMF LightGCN",
        "ml-100k-random",
        {"max_evals": 4, "epochs": 4},
        1,
    ),
    Arm("early stop", "FPMC FOSSIL STAMP", "ml-100k-small", {"max_evals": 8, "patience": 5}, 0.75),
    Arm(
        "pruned", "BPR MultiVAE", "ml-100k-random", {"max_evals": 8, "patience": 3, "pruner": "median"}, 0.75
    ),
)
_TIMES = 3
_SAME = {"pruner": "none", "popularity": "none", "cooldown": 0, "device": "cpu"}


@dataclass
class Compared:
    """A study as it was estimated, and as it was."""

    arm: str
    estimate: StudyEstimate
    seconds: float
    trials: int

    @property
    def ratio(self) -> float:
        """How many times too long or too short the estimate was."""
        told = self.estimate.total.expected
        return max(told / self.seconds, self.seconds / told)

    @property
    def is_in_range(self) -> bool:
        """True where the truth lies between the least and the most that were said."""
        return self.estimate.total.low <= self.seconds <= self.estimate.total.high


@dataclass
class Ran:
    """An arm that was run."""

    arm: Arm
    studies: list[Compared]
    measuring: float
    told_memory: int
    memory: int
    seconds: float = 0.0


def main() -> int:
    """Estimate, run, compare; the exit code."""
    arguments = _arguments()
    deadline = time.monotonic() + arguments.minutes * 60
    began = time.monotonic()
    ran: list[Ran] = []
    left_out: list[str] = []
    with tempfile.TemporaryDirectory(prefix="recsweep-estimate-") as folder:
        for arm in ARMS:
            if arguments.arms and arm.name not in arguments.arms:
                continue
            one = _arm(arm, Path(folder) / arm.name.replace(" ", "-"), deadline)
            ran += [one] if one is not None else []
            left_out += [arm.name] if one is None else []
    compared = [one for arm in ran for one in arm.studies]
    lines, good = _judged(compared, ran, left_out)
    print("\n".join(lines))
    if arguments.write:
        write_section("estimate", _section(lines, time.monotonic() - began))
    return 0 if good else 1


def _arm(arm: Arm, outputs: Path, deadline: float) -> Ran | None:
    """An arm estimated and run; None where there is no time for it."""
    settings = {**_SAME, **arm.settings, "models": arm.models, "datasets": arm.dataset, "outputs": outputs}
    outputs.mkdir(parents=True)
    given = {name: str(value) for name, value in settings.items()}
    plans = plan_sweep(load_sweep(CONFIG, given))
    TEMPLATES.close()  # a command of its own would begin without one
    began = time.monotonic()
    for _ in range(_TIMES):  # what was measured is kept; what there was no time for is measured then
        estimates = estimated(plans, arm.minutes, lambda line: print(f"  {line}", file=sys.stderr))
        if all(one.is_known for one in estimates):
            break
    measuring = time.monotonic() - began
    for one in estimates:
        told = one.total
        print(f"{arm.name} {one.plan.label}: {told.expected:.1f} s ({told.low:.1f} to {told.high:.1f})")
        print(f"    {one.epochs.of_trial}, {one.epochs.source}; trial {one.trial}; fixed {one.fixed:.1f}")
    if unknown := [one.plan.label for one in estimates if not one.is_known]:
        raise SystemExit(f"{arm.name}: nothing is known of {', '.join(unknown)}")
    if began + measuring + sum(one.total.expected for one in estimates) > deadline:
        return None
    started = datetime.datetime.now(datetime.UTC)
    flags = [word for name, value in given.items() for word in (f"--{name.replace('_', '-')}", value)]
    with _watched() as watch:
        line = [sys.executable, "-m", "recsweep", "tune", "--config", str(CONFIG), *flags]
        process = subprocess.Popen(line, stdout=subprocess.DEVNULL)
        watch.root = process.pid
        if process.wait() != 0:
            raise SystemExit(f"{arm.name}: recsweep tune ended with {process.returncode}")
    ended = datetime.datetime.now(datetime.UTC)
    studies = _truth(arm, estimates, started, ended)
    memory = max(one.memory for one in estimates)
    for study in studies:
        print(
            f"{arm.name} {study.estimate.plan.label}: took {study.seconds:.1f} s, {study.ratio:.2f} times off"
        )
    return Ran(arm, studies, measuring, memory, watch.most, (ended - started).total_seconds())


def _truth(
    arm: Arm, estimates: Sequence[StudyEstimate], started: datetime.datetime, ended: datetime.datetime
) -> list[Compared]:
    """The seconds of each study, of the store."""
    store = Store(estimates[0].plan.storage_url)
    begun = {record.name: record.begun for record in store.records()}
    counts = {study.name: len(study.results()) for study in store.studies()}
    store.close()
    names = [one.plan.name for one in estimates]
    starts = [started, *(_aware(begun[name]) for name in names[1:]), ended]
    return [
        Compared(arm.name, one, (until - since).total_seconds(), counts[one.plan.name])
        for one, since, until in zip(estimates, starts, starts[1:], strict=False)
    ]


def _aware(time_: datetime.datetime | None) -> datetime.datetime:
    assert time_ is not None
    return time_ if time_.tzinfo else time_.replace(tzinfo=datetime.UTC)


@dataclass
class _Watch:
    """The most memory of any process below one."""

    root: int = 0
    most: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self.over.wait(0.2):
            if self.root:
                self._look()

    def _look(self) -> None:
        try:
            for process in psutil.Process(self.root).children(recursive=True):
                status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
                peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
                self.most = max(self.most, int(peak.split()[1]) * 1024)
        except (psutil.Error, OSError, StopIteration):
            return


@contextmanager
def _watched() -> Iterator[_Watch]:
    watch = _Watch()
    thread = threading.Thread(target=watch.run)
    thread.start()
    try:
        yield watch
    finally:
        watch.over.set()
        thread.join()


def _judged(
    compared: Sequence[Compared], ran: Sequence[Ran], left_out: Sequence[str]
) -> tuple[list[str], bool]:
    """Tables in Markdown; True where the targets are reached."""
    lines = ["| arm | study | trials | epochs of a trial | said, s | range, s | took, s | times off |"]
    lines += ["|---|---|---:|---|---:|---:|---:|---:|"]
    for one in compared:
        told, epochs = one.estimate.total, one.estimate.epochs
        lines.append(
            f"| {one.arm} | {one.estimate.plan.model_name} | {one.trials} | {epochs.of_trial.expected:.0f}, "
            f"{epochs.source} | {told.expected:.1f} | {told.low:.1f} to {told.high:.1f} | "
            f"{one.seconds:.1f} | {one.ratio:.2f} |"
        )
    lines += ["", "| arm | measuring, s | all of it said, s | took, s | memory said, GiB | was, GiB |"]
    lines += ["|---|---:|---:|---:|---:|---:|"]
    for arm in ran:
        expected = sum(one.estimate.total.expected for one in arm.studies)
        lines.append(
            f"| {arm.arm.name} | {arm.measuring:.0f} | {expected:.0f} | {arm.seconds:.0f} | "
            f"{arm.told_memory / 2**30:.2f} | {arm.memory / 2**30:.2f} |"
        )
    usual = sum(one.ratio <= USUAL for one in compared) / max(1, len(compared))
    worst = max((one.ratio for one in compared), default=0.0)
    within = sum(one.is_in_range for one in compared)
    median = statistics.median(one.ratio for one in compared) if compared else 0.0
    lines += [
        "",
        "| target | found | |",
        "|---|---|---|",
        f"| at most {USUAL} times off for {SHARE:.0%} of the studies | {usual:.0%}, median {median:.2f} | "
        f"{_word(usual >= SHARE)} |",
        f"| at most {ALWAYS} times for all | {worst:.2f} | {_word(worst <= ALWAYS)} |",
        f"| (none) truth within the range that was said | {within} of {len(compared)} | |",
    ]
    if left_out:
        lines += ["", f"Left out, as there was no time for them: {', '.join(left_out)}."]
    return lines, bool(compared) and usual >= SHARE and worst <= ALWAYS


def _word(reached: bool) -> str:
    return "reached" if reached else "missed"


def _section(lines: Sequence[str], seconds: float) -> str:
    return "\n".join(
        [
            "## Estimates before a sweep, against the truth",
            "",
            f"Written by `{command()}` on {datetime.date.today().isoformat()}, "
            f"in {seconds / 60:.0f} minutes.",
            "What is compared, and how, stands at the top of [estimate.py](estimate.py).",
            "",
            *own_lines(),
            "",
            *lines,
        ]
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Seconds and memory of studies, as said and as found.")
    parser.add_argument("--minutes", type=float, default=8.0, help="begin no arm that would take longer")
    parser.add_argument("--arms", nargs="+", choices=[arm.name for arm in ARMS], help="only these")
    parser.add_argument("--write", action="store_true", help="write the section of benchmarks/RESULTS.md")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
