"""Evidence is killed at random, again and again, and ends as if nothing had been."""

from __future__ import annotations

import csv
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from recsweep.statistics.users import UserScores
from recsweep.study import EVIDENCE, Store
from running import LIMIT_SECONDS, Folder

SEEDS = 8
KILLS = 6
MODEL = "smoke/ml-100k-small/FPMC"


def command(folder: Folder, name: str, *options: str) -> list[str]:
    return folder.command(name, "--models", "FPMC", "--cooldown", "0", *options)


def run(folder: Folder, name: str, *options: str) -> None:
    done = subprocess.run(
        command(folder, name, *options),
        cwd=folder.path,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def killed(folder: Folder, after: float, *options: str) -> bool:
    """Kill the command with all of its processes after some seconds; False where it had ended by itself."""
    process = subprocess.Popen(
        command(folder, "evidence", *options),
        cwd=folder.path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    time.sleep(after)
    alive = process.poll() is None
    if alive:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return alive


def found(folder: Folder) -> Iterator[object]:
    """All that the evidence came to, without how long it took."""
    results = folder.outputs / "results" / "smoke"
    yield (results / "evidence.csv").read_text()
    own = results / "ml-100k-small" / "FPMC" / "evidence"
    with (own / "trials.csv").open(newline="") as lines:
        yield [{name: row[name] for name in row if name != "seconds"} for row in csv.DictReader(lines)]
    for file in sorted(own.glob("*.parquet")):
        yield file.name, UserScores.read(file).means()


@pytest.mark.long
@pytest.mark.parametrize("workers", ["1", "2"])
def test_evidence_killed_at_random_ends_as_undisturbed(tmp_path: Path, workers: str) -> None:
    whole, broken = Folder(tmp_path / "whole"), Folder(tmp_path / "broken")
    options = ("--training-seeds", str(SEEDS), "--workers", workers)
    run(whole, "tune")
    shutil.copytree(whole.outputs, broken.outputs)
    began = time.monotonic()
    run(whole, "evidence", *options)
    seconds = time.monotonic() - began
    moments = random.Random(int(workers))
    hits = sum(killed(broken, moments.uniform(0.2, 1.0) * seconds, *options) for _ in range(KILLS))
    assert hits, "no run lived long enough to be killed"
    run(broken, "evidence", *options)
    assert list(found(broken)) == list(found(whole))
    store = Store(f"sqlite:///{broken.outputs / 'recsweep.db'}")
    (study,) = store.studies(kind=EVIDENCE)
    counted = [trial for trial in study.trials() if trial.counted]
    store.close()
    assert (study.name, sorted(trial.slot for trial in counted)) == (f"{MODEL}/evidence", list(range(SEEDS)))
