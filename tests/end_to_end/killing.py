"""Kill a sweep again and again, run it on, and see that it ends as if nothing had been.

A run is a process group of its own (`recsweep tune`: the supervisor and its workers), killed as a
whole with SIGKILL. A warm one is forked, as its workers are: two groups, killed one right after the
other. What is left in the store is read from a copy, so that the next run finds exactly what the kill
left behind.
"""

from __future__ import annotations

import csv
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psutil
import yaml

from helpers import warm
from recsweep.common.paths import Outputs
from recsweep.study import Store, Trial
from running import Process, taken, templates

VOLATILE = frozenset({"seconds", "attempt", "kwh", "co2_g", "energy_read"})
"""Columns that tell how a sweep went and not what it found."""
OUTPUTS = "outputs"
RUN_LIMIT_SECONDS = 1800.0
_GROUP_GONE_SECONDS = 10.0
_DRAWS_PER_KILL = 5
_EARLIEST = 0.3


@dataclass(frozen=True)
class Sweep:
    """A sweep of one model on one data set, small enough to be run many times."""

    config: Path
    trials: int
    epochs: int
    seed: int
    model: str = "FPMC"
    dataset: str = "ml-100k-small"
    workers: int = 1
    storage: str | None = None
    """Where the store is; None: SQLite, in the sweep's outputs."""
    warm: bool = False
    """Fork its commands (`helpers/warm.py`) where that is possible, which spares their imports."""

    def command(self, name: str) -> list[str]:
        """`recsweep tune` or another command on this sweep; it runs in the sweep's folder."""
        options = {
            "config": self.config.resolve(),
            "models": self.model,
            "datasets": self.dataset,
            "max-evals": self.trials,
            "epochs": self.epochs,
            "cooldown": 0,
            "seed": self.seed,
            "outputs": OUTPUTS,
        }
        if self.workers > 1:
            options["workers"] = self.workers
        if self.storage is not None:
            options["storage"] = self.storage
        pairs = [text for key, value in options.items() for text in (f"--{key}", str(value))]
        return [sys.executable, "-m", "recsweep", name, *taken(name, tuple(pairs))]

    def comparable(self, folder: Path) -> list[Path]:
        """Files that say what the sweep found, and nothing about when or how fast."""
        outputs = Outputs(folder / OUTPUTS, yaml.safe_load(self.config.read_text(encoding="utf-8"))["sweep"])
        return [
            outputs.summary("csv"),
            outputs.trials(self.dataset, self.model),
            outputs.best_config(self.dataset, self.model),
            outputs.best_params(self.dataset, self.model),
        ]


@dataclass(frozen=True)
class Kill:
    """One kill and what it left behind."""

    after_seconds: float
    counted: int
    """Trials that fill their slots."""
    running: int
    """Trials that the kill interrupted."""


@dataclass(frozen=True)
class Pace:
    """How long a run of a sweep takes, to place kills by."""

    startup: float
    """Seconds from the start of the process to the first trial."""
    trials: float
    """Seconds from the first trial to the end of the process."""


def run_to_end(sweep: Sweep, folder: Path) -> None:
    """Run `recsweep tune` and then `recsweep summarize`, undisturbed.

    Raises:
        RuntimeError: one of them failed or never ended.
    """
    for name in ("tune", "summarize"):
        code = _run(sweep, name, folder, RUN_LIMIT_SECONDS)
        if code is None:
            raise RuntimeError(f"`recsweep {name}` did not end; its output:\n{log_tail(folder)}")
        if code != 0:
            raise RuntimeError(
                f"`recsweep {name}` ended with exit code {code}; its output:\n{log_tail(folder)}"
            )


def measured_run(sweep: Sweep, folder: Path) -> Pace:
    """As `run_to_end`, and how long its parts took."""
    clock, started = datetime.now(), time.monotonic()
    run_to_end(sweep, folder)
    seconds = time.monotonic() - started
    first = min(trial.started for trial in stored_trials(folder) if trial.started is not None)
    startup = max((first - clock).total_seconds(), 0.0)
    return Pace(startup, max(seconds - startup, 0.0))


def kill_and_run_on(
    sweep: Sweep,
    folder: Path,
    kills: int,
    latest: float,
    seed: int,
    tell: Callable[[str], None] = lambda text: None,
) -> list[Kill]:
    """Kill the sweep `kills` times at random moments, each time run it on, then run it to its end.

    Args:
        latest: a run is killed at most this many seconds after its start.
        seed: of the moments.

    Raises:
        RuntimeError: a run failed by itself, a process outlived its group's kill, or runs kept
            ending before they could be killed.
    """
    moments = random.Random(seed)
    done: list[Kill] = []
    counted = 0
    for _ in range(kills * _DRAWS_PER_KILL):
        if len(done) == kills:
            break
        after = moments.uniform(
            _EARLIEST, max(_EARLIEST, latest * _room(counted / sweep.trials, len(done) / kills))
        )
        code = _run(sweep, "tune", folder, after)
        if code is not None:
            if code != 0:
                raise RuntimeError(f"a run failed with exit code {code}; its output:\n{log_tail(folder)}")
            counted = sweep.trials
            tell(f"the run ended before it could be killed after {after:.1f} s; another moment is drawn")
            continue
        trials = stored_trials(folder, sweep.storage)
        states = Counter(trial.state for trial in trials)
        counted = sum(trial.counted for trial in trials)
        kill = Kill(after, counted, states["running"])
        done.append(kill)
        tell(
            f"kill {len(done)} of {kills} after {after:.1f} s: "
            f"{kill.counted} of {sweep.trials} trials counted, {kill.running} running"
        )
    if len(done) < kills:
        raise RuntimeError(f"only {len(done)} of {kills} runs lived long enough to be killed")
    run_to_end(sweep, folder)
    return done


def _room(trained: float, killed: float) -> float:
    """The part of the planned time that a run may have: less where trials are used up faster than kills.

    A machine that has become faster than when its pace was measured would else leave nothing to kill.
    """
    return min(1.0, (1 - trained) / (1 - killed))


def latest_moment(pace: Pace, kills: int, share: float = 0.7) -> float:
    """The latest moment of a kill, so that all kills together leave the sweep work to do.

    A kill at a moment uniform in (0, latest) lets (latest - startup)^2 / (2 * latest) seconds of
    trials happen on average; `kills` of these are to make up `share` of the whole.
    """
    work = share * pace.trials / max(kills, 1)
    return pace.startup + work + math.sqrt(work * work + 2 * work * pace.startup)


def stored_trials(folder: Path, storage: str | None = None) -> list[Trial]:
    """Every trial in the store; where it is a file, it is read from a copy."""
    if storage is not None:
        return _trials_of(storage)
    database = folder / OUTPUTS / "recsweep.db"
    if not database.is_file():
        return []
    with tempfile.TemporaryDirectory() as copies:
        for path in database.parent.glob(f"{database.name}*"):
            shutil.copy(path, copies)
        return _trials_of(f"sqlite:///{Path(copies) / database.name}")


def _trials_of(url: str) -> list[Trial]:
    store = Store(url)
    try:
        studies = [store.find_study(name) for name in store.names()]
        return [trial for study in studies if study is not None for trial in study.trials()]
    finally:
        store.close()


def store_problems(folder: Path, trials: int, storage: str | None = None) -> list[str]:
    """What is wrong with the store of a sweep that should be complete."""
    found = stored_trials(folder, storage)
    counted = Counter(trial.slot for trial in found if trial.counted)
    open_states = Counter(trial.state for trial in found if trial.state in ("running", "waiting"))
    problems = [
        f"slot {slot} is filled {times} times" for slot, times in sorted(counted.items()) if times > 1
    ]
    if set(counted) != set(range(trials)):
        problems.append(f"slots 0 to {trials - 1} should be filled, but these are: {sorted(counted)}")
    if sum(counted.values()) != trials:
        problems.append(f"there should be {trials} counted trials, but there are {sum(counted.values())}")
    problems += [f"{number} trial(s) still {state}" for state, number in open_states.items()]
    return problems


def differences(sweep: Sweep, expected: Path, found: Path) -> list[str]:
    """Where the result files of two runs of one sweep differ, durations aside."""
    problems: list[str] = []
    for one, other in zip(sweep.comparable(expected), sweep.comparable(found), strict=True):
        if not other.is_file():
            problems.append(f"{other.name} is missing")
        elif one.suffix == ".csv":
            problems += _table_differences(one, other)
        elif one.read_bytes() != other.read_bytes():
            problems.append(f"{one.name} differs: {one.read_text()!r} and {other.read_text()!r}")
    return problems


def _table_differences(expected: Path, found: Path) -> list[str]:
    one, other = _rows(expected), _rows(found)
    problems = []
    if len(one) != len(other):
        problems.append(f"{expected.name}: {len(one)} rows and {len(other)} rows")
    for number, (left, right) in enumerate(zip(one, other, strict=False)):
        for column in sorted({*left, *right} - VOLATILE):
            if left.get(column) != right.get(column):
                problems.append(
                    f"{expected.name} row {number} {column}: {left.get(column)!r} and {right.get(column)!r}"
                )
    return problems


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def _run(sweep: Sweep, name: str, folder: Path, limit: float) -> int | None:
    """Exit code of a command, or None if all of its processes had to be killed after `limit` seconds."""
    folder.mkdir(parents=True, exist_ok=True)
    command = sweep.command(name)
    with _log(folder).open("ab") as log:
        process: Process
        if sweep.warm and warm.POSSIBLE:
            process = warm.start_into(log.fileno(), command[3:], folder)
        else:
            process = subprocess.Popen(
                command, cwd=folder, stdout=log, stderr=log, start_new_session=True, text=True
            )
    groups = [process.pid]
    try:
        return process.wait(timeout=limit)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.returncode is None:
            if isinstance(process, warm.Running):
                groups += [template.pid for template in templates(process.pid)]
            for group in groups:
                with suppress(ProcessLookupError):  # a template ends with its command
                    os.killpg(group, signal.SIGKILL)
            process.wait()
        for group in groups:
            _require_gone(group)


def _require_gone(group: int) -> None:
    deadline = time.monotonic() + _GROUP_GONE_SECONDS
    while left := _living(group):
        if time.monotonic() > deadline:
            raise RuntimeError(f"processes outlived the kill of their group: {left}")
        time.sleep(0.02)


def _living(group: int) -> list[int]:
    """Processes of a group, without those that are dead and wait to be collected."""
    alive = []
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                alive.append(process.pid)
        except (ProcessLookupError, PermissionError, psutil.Error):
            continue
    return alive


def _log(folder: Path) -> Path:
    return folder / "runs.log"


def log_tail(folder: Path, lines: int = 30) -> str:
    """The last lines that the runs in a folder printed."""
    text = _log(folder).read_text(encoding="utf-8", errors="replace") if _log(folder).is_file() else ""
    return "\n".join(text.splitlines()[-lines:])
