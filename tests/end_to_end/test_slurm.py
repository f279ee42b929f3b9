"""Sweeps on a real SLURM of two nodes on this machine: `make test-slurm`."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from helpers.slurm import Slurm, missing, running_slurm
from recsweep.common.address import StoreAddress
from recsweep.study import State, Store

pytestmark = [pytest.mark.long, pytest.mark.skipif(bool(missing()), reason=missing())]

MODELS = ("one", "two", "three")
MAX_EVALS = 3
SWEEP = """\
sweep: slurm
models: [one, two, three]
datasets: [ml-100k]
search: {engine: optuna, algo: random, max_evals: 3}
training: {epochs: 90, stopping_step: 90, device: cpu}
workers: {threads: 1}
checkpoints: {every_epochs: 1}
resources: {cpus: 1, mem_gib: 1, minutes: 50}
outputs: outputs
"""
MODEL = """\
model: FPMC
fixed: {embedding_size: 64}
defaults: {learning_rate: 0.001}
space: {learning_rate: {type: loguniform, min: 1.0e-4, max: 1.0e-2}}
"""
CONFIG = Path(__file__).parents[2] / "config"


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    with running_slurm(tmp_path_factory.mktemp("slurm")) as cluster:
        yield cluster


@pytest.fixture
def sweep(tmp_path) -> Path:
    """A folder with a sweep of three studies on ml-100k."""
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    (tmp_path / "datasets").symlink_to(CONFIG / "datasets")
    (tmp_path / "models").mkdir()
    for name in MODELS:
        (tmp_path / "models" / f"{name}.yaml").write_text(MODEL)
    return tmp_path


def recsweep(slurm: Slurm, folder: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "recsweep", *words, "--config", "sweep.yaml"],
        cwd=folder,
        env=slurm.environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def trials(folder: Path, model: str):
    store = Store(StoreAddress.of(f"sqlite:///{folder}/outputs/recsweep.db"))
    try:
        study = store.find_study(f"slurm/ml-100k/{model}/full")
        return study.trials() if study is not None else []
    finally:
        store.close()


def running_for(folder: Path, epochs: int) -> list[str]:
    """Models of which a trial has come so far."""
    found = []
    for model in MODELS:
        for trial in trials(folder, model):
            if trial.state == State.RUNNING and len(trial.curve) >= epochs:
                found.append(model)
                break
    return found


def said(folder: Path) -> str:
    return "".join(path.read_text() for path in sorted((folder / "outputs" / "logs").rglob("*.log")))


def test_three_studies_of_two_workers_lose_nothing(slurm, sweep):
    """One node is drained and its jobs requeued, one task is cancelled, all in the middle of trials."""
    began = time.monotonic()
    recsweep(slurm, sweep, "slurm", "--tasks", "2")
    slurm.wait("trials in every study", lambda: len(running_for(sweep, 20)) == 3, 400)
    slurm.ask("scontrol", "update", "nodename=n2", "state=drain", "reason=maintenance")
    moved = [job for job, state, node in slurm.jobs("%i", "%T", "%N") if (state, node) == ("RUNNING", "n2")]
    for job in moved:
        slurm.ask("scontrol", "requeue", job)
    cancelled = next(
        job for job, state, node in slurm.jobs("%i", "%T", "%N") if (state, node) == ("RUNNING", "n1")
    )
    slurm.ask("scancel", cancelled)
    slurm.wait(
        "the requeued jobs are off the node",
        lambda: all(node != "n2" for *_, node in slurm.jobs("%i", "%T", "%N")),
    )
    slurm.ask("scontrol", "update", "nodename=n2", "state=resume")
    slurm.wait("the end of all jobs", lambda: not slurm.jobs("%i"), 560)
    counted = {model: sum(trial.counted for trial in trials(sweep, model)) for model in MODELS}
    assert counted == dict.fromkeys(MODELS, MAX_EVALS)
    results = sweep / "outputs" / "results" / "slurm" / "ml-100k"
    assert all((results / model / "best_result.yaml").is_file() for model in MODELS)
    resumed = said(sweep).count("where it was left")
    put_back = sum(not trial.counted for model in MODELS for trial in trials(sweep, model))
    print(
        json.dumps(
            {
                "moved": len(moved),
                "cancelled": 1,
                "put back": put_back,
                "went on inside": resumed,
                "seconds": round(time.monotonic() - began),
            }
        )
    )
    assert resumed >= 1
