"""A search of Ray Tune's that is killed, by the command line; `make test-ray` runs it."""

from __future__ import annotations

import os
import signal

import psutil
import pytest
import yaml

from helpers.ray import needs_ray
from running import Folder, read_until, tune_options, wait_for

pytestmark = [pytest.mark.long, needs_ray]
STUDY = "smoke/ml-100k-small/FPMC/full"
ASKED = ("--engine", "ray", "--scheduler", "asha", "--workers", "2")


def test_a_killed_search_goes_on_and_fills_exactly_its_budget(tmp_path, cache):
    folder = Folder(tmp_path).sharing(cache)
    options = (*tune_options(8, epochs=12), *ASKED)
    done, counted = killed_and_run_again(folder, options, "trial 1 (", 8)
    assert any(trial.state == "pruned" for trial in counted)
    assert "| ml-100k-small | **FPMC** |" in done.stdout
    again = folder.run("tune", *options, fresh=True)
    assert (again.returncode, len(folder.trials(STUDY))) == (0, len(folder.trials(STUDY)))


def test_a_killed_population_goes_on_and_its_winner_is_trained_again(tmp_path, cache):
    folder = Folder(tmp_path).sharing(cache)
    asked = ("--engine", "ray", "--algo", "random", "--scheduler", "pbt", "--perturbation-interval", "2")
    options = (*tune_options(6, epochs=8), *asked, "--workers", "2")
    _, counted = killed_and_run_again(folder, options, "goes on from trial", 6)
    assert any(trial.result.lineage for trial in counted)
    files = folder.outputs / "results" / "smoke" / "ml-100k-small" / "FPMC"
    assert "parent,from_epoch" in (files / "trials.csv").read_text()
    best = yaml.safe_load((files / "best_result.yaml").read_text())
    if "lineage" in best:
        assert best["lineage"]["stretches"][-1]["params"] == best["parameters"]
    again = folder.run("train", "--config", str(files / "best_config.yaml"), fresh=True)
    assert again.returncode == 0, again.stderr
    assert f"validation ndcg@10 {best['score']:.4f}" in again.stdout


def killed_and_run_again(folder, options, when, slots):
    """A run is killed at a line, and the same command fills each slot; how that ended, and what counts."""
    process = folder.start("tune", *options, fresh=True)
    read_until(process, when)
    family = psutil.Process(process.pid).children(recursive=True)
    before = {trial.id for trial in folder.trials(STUDY) if trial.counted}
    os.kill(process.pid, signal.SIGKILL)
    wait_for(lambda: not any(map(_lives, family)), 180, "the end of what it had started")
    done = folder.run("tune", *options, fresh=True)
    assert done.returncode == 0, done.stderr
    counted = [trial for trial in folder.trials(STUDY) if trial.counted]
    assert sorted(trial.slot for trial in counted) == list(range(slots))
    assert before <= {trial.id for trial in counted}, "what was finished stays"
    return done, counted


def _lives(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
