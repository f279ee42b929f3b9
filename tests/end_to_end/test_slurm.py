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


def went_on(folder: Path) -> int:
    """How many trials went on where they were left, as the jobs say."""
    logs = (folder / "outputs" / "logs" / "slurm" / "slurm").rglob("*.log")
    return sum(path.read_text().count("where it was left") for path in logs)


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
    resumed = went_on(sweep)
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


def test_a_job_that_runs_out_of_time_goes_on_in_the_next(slurm, sweep):
    longer = ("--epochs", "2500", "--patience", "2500")  # than the two minutes that a limit may be away
    recsweep(slurm, sweep, "slurm", "--tasks", "1", "--models", "one", "--max-evals", "1", *longer)
    slurm.wait("a trial", lambda: "one" in running_for(sweep, 20), 300)
    job, passed = next(
        (job, passed) for job, state, passed in slurm.jobs("%i", "%T", "%M") if state == "RUNNING"
    )
    slurm.ask("scontrol", "update", f"jobid={job}", f"timelimit={int(passed.split(':')[-2]) + 2}")
    slurm.wait(
        "the job is queued again",
        lambda: slurm.jobs("%r")[0][0] in ("BeginTime", "None") and went_back(sweep),
        200,
    )
    slurm.ask("scontrol", "update", f"jobid={job}", "timelimit=50")
    slurm.wait("the end of all jobs", lambda: not slurm.jobs("%i"), 400)
    assert sum(trial.counted for trial in trials(sweep, "one")) == 1
    assert went_on(sweep) == 1


def went_back(folder: Path) -> bool:
    return any(
        not trial.counted and trial.state != State.RUNNING and trial.curve for trial in trials(folder, "one")
    )


def test_snakemake_runs_its_jobs_on_slurm(slurm, sweep):
    pytest.importorskip("snakemake_executor_plugin_slurm", reason="make setup-cluster")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "snakemake", "--snakefile", str(CONFIG.parent / "Snakefile")),
            *("--profile", str(CONFIG.parent / "profiles" / "slurm"), "--slurm-status-command", "squeue"),
            *(
                "--slurm-init-seconds-before-status-checks",
                "5",
                "--slurm-no-account",
                "--directory",
                str(sweep),
            ),
            *(
                "--config",
                "sweep_file=sweep.yaml",
                "models=one",
                "max_evals=2",
                "epochs=3",
                "workers_per_study=2",
            ),
        ],
        cwd=sweep,
        env=slurm.environment,
        capture_output=True,
        text=True,
        start_new_session=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert sum(trial.counted for trial in trials(sweep, "one")) == 2
    assert (sweep / "outputs" / "results" / "slurm" / "summary.md").is_file()


def test_a_job_sees_the_gpus_that_slurm_gives_it(slurm, sweep):
    told = slurm.ask(
        *("srun", "--gres=gpu:1", "--mem=500", "--chdir", str(sweep)),
        *(sys.executable, "-c", "import os; print(os.environ['CUDA_VISIBLE_DEVICES'])"),
    )
    assert told in ("0", "1")
