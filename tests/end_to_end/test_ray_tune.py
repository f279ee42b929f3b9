"""A search of Ray Tune's that is killed, by the command line; `make test-ray` runs it."""

from __future__ import annotations

import os
import signal

import psutil
import pytest

from helpers.ray import needs_ray
from running import Folder, read_until, tune_options, wait_for

pytestmark = [pytest.mark.long, needs_ray]
STUDY = "smoke/ml-100k-small/FPMC/full"
ASKED = ("--engine", "ray", "--scheduler", "asha", "--workers", "2")


def test_a_killed_search_goes_on_and_fills_exactly_its_budget(tmp_path, cache):
    folder = Folder(tmp_path).sharing(cache)
    options = (*tune_options(8, epochs=12), *ASKED)
    process = folder.start("tune", *options, fresh=True)
    read_until(process, "trial 1 (")
    family = psutil.Process(process.pid).children(recursive=True)
    before = {trial.id for trial in folder.trials(STUDY) if trial.counted}
    os.kill(process.pid, signal.SIGKILL)
    wait_for(lambda: not any(map(_lives, family)), 180, "the end of what it had started")
    done = folder.run("tune", *options, fresh=True)
    assert done.returncode == 0, done.stderr
    counted = [trial for trial in folder.trials(STUDY) if trial.counted]
    assert sorted(trial.slot for trial in counted) == list(range(8))
    assert before <= {trial.id for trial in counted}, "what was finished stays"
    assert any(trial.state == "pruned" for trial in counted)
    assert "| ml-100k-small | **FPMC** |" in done.stdout
    again = folder.run("tune", *options, fresh=True)
    assert (again.returncode, len(folder.trials(STUDY))) == (0, len(folder.trials(STUDY)))


def _lives(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
