"""What was done to recsweep to break it, once more: `make attack`.

Kills at random moments, every signal, a clock that is set, a disk that fills up. The rest of the attack
stands with what it is about: stores in `test_wholeness.py`, the cache in `test_stored.py`.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import killing
import psutil
import pytest

from recsweep.common.interrupts import STOPPED
from recsweep.study import Store
from running import Folder, read_until, templates, tune_options, wait_for, worker_pids

pytestmark = [pytest.mark.attack, pytest.mark.long]

CONFIG = Path(__file__).parents[2] / "config" / "smoke.yaml"
STUDY = "smoke/ml-100k-small/FPMC/full"

# -- a hundred kills ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "workers", "kills"),
    [("sqlite", 1, 34), ("sqlite", 3, 33), ("postgresql", 3, 33)],
)
def test_a_sweep_killed_at_random_moments_loses_nothing(request, tmp_path, kind, workers, kills):
    url = None if kind == "sqlite" else request.getfixturevalue("postgres").new_url()
    sweep = killing.Sweep(CONFIG, 3 * kills, 4, seed=11, workers=workers, storage=url)
    quiet, killed = tmp_path / "undisturbed", tmp_path / "killed"
    pace = killing.measured_run(replace(sweep, storage=None), quiet)
    killing.kill_and_run_on(sweep, killed, kills, killing.latest_moment(pace, kills, 0.4), seed=11)
    assert killing.store_problems(killed, sweep.trials, url) == []
    assert all(path.is_file() for path in sweep.comparable(killed))
    if workers == 1:  # with more, what is proposed depends on which trial ends first
        assert killing.differences(sweep, quiet, killed) == []
    left = list((killed / killing.OUTPUTS / "scratch").iterdir())
    assert left == [], "what the killed had open is gone"


# -- nine signals ---------------------------------------------------------------------------------

ASK = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")
FORCE = ("SIGKILL", "SIGSEGV", "SIGABRT", "SIGBUS", "SIGUSR1")


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path)
    made.edit("smoke.yaml", training__fast=False)  # long enough to be interrupted
    return made


@pytest.mark.parametrize("name", [*ASK, *FORCE])
def test_whatever_ends_the_parent_leaves_no_process_and_no_trial_behind(folder: Folder, name: str) -> None:
    options = tune_options(2, epochs=8)
    process = folder.start("tune", *options, fresh=True)
    read_until(process, "worker 1 on cpu")
    wait_for(lambda: any(t.state == "running" and t.curve for t in folder.trials(STUDY)), 60, "an epoch")
    workers = [*worker_pids(process.pid), *(template.pid for template in templates(process.pid))]
    if name in ASK:  # as a terminal does: to all of the group
        os.killpg(process.pid, getattr(signal, name))
    else:
        process.send_signal(getattr(signal, name))
    said = process.communicate(timeout=60)[0]
    wait_for(lambda: not any(map(_lives, workers)), 10, "the end of the workers")
    if name in ASK:
        assert process.returncode == 130, said
        assert said.count(STOPPED.split(";")[0]) == 1, said
        assert "Traceback" not in said
        assert not any(trial.state == "running" for trial in folder.trials(STUDY))
    else:
        assert process.returncode == -getattr(signal, name)
    done = folder.run("tune", *options, fresh=True)
    assert done.returncode == 0, done.stderr
    trials = folder.trials(STUDY)
    assert sorted(trial.slot for trial in trials if trial.counted) == [0, 1]
    assert not any(trial.state in ("running", "waiting") for trial in trials)
    assert all(trial.crashes == 0 for trial in trials), "nobody is to blame"


def _lives(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


# -- two clock steps ------------------------------------------------------------------------------

HOLD = """
import sys, time
from recsweep.common.owner import this_process
from recsweep.study import Store
study = Store(sys.argv[1]).find_study("s")
print(study.claim(1, this_process()).slot, flush=True)
time.sleep(600)
"""
LOOK = """
import sys, psutil
from recsweep.study import Store
print(int(psutil.boot_time()), Store(sys.argv[1]).find_study("s").put_back_orphans())
"""


@pytest.fixture
def look_after_step(tmp_path: Path) -> Callable[[str, int], tuple[int, int]]:
    """Look for orphans where the kernel says another time of its start, as it does when the clock is set."""

    def look(url: str, step: int) -> tuple[int, int]:
        told = Path("/proc/stat").read_text()
        boot = int(told.split("btime ")[1].split()[0])
        stat = tmp_path / "stat"
        stat.write_text(told.replace(f"btime {boot}", f"btime {boot + step}"))
        script = 'mount --bind "$1" /proc/stat || exit 77; shift; exec "$@"'
        command = ["unshare", "--mount", "sh", "-c", script, "sh", stat, sys.executable, "-c", LOOK, url]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode == 77 or "unshare" in done.stderr:
            pytest.skip(f"no private mount of /proc/stat can be had here: {done.stderr.strip()}")
        assert done.returncode == 0, done.stderr
        seen, orphans = map(int, done.stdout.split())
        assert seen == boot + step, "the clock was set for whoever looks"
        return seen, orphans

    if not Path("/proc/stat").is_file() or shutil.which("unshare") is None:
        pytest.skip("no /proc/stat, or no unshare: the clock cannot be set for one process alone")
    return look


@pytest.mark.parametrize("step", [5, -86400])
def test_a_clock_that_is_set_makes_no_live_trial_an_orphan(tmp_path, look_after_step, step):
    url = f"sqlite:///{tmp_path}/store.db"
    store = Store(url)
    store.open_study("s", {"model": "FPMC"}, maximize=True).ensure_slots(1)
    store.close()
    holder = subprocess.Popen([sys.executable, "-c", HOLD, url], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "0\n"
    assert look_after_step(url, step)[1] == 0, "it lives"
    holder.kill()
    holder.wait()
    assert look_after_step(url, step)[1] == 1, "it is gone"


# -- six small disks ------------------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """A disk of a size, where the outputs lie; asked again it grows or shrinks to it."""
    outputs = tmp_path / "outputs"
    outputs.mkdir()

    def sized(size: str) -> Path:
        again = ("remount," if os.path.ismount(outputs) else "") + f"size={size}"
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", again, "tmpfs", outputs], capture_output=True, text=True
        )
        if done.returncode:
            pytest.skip(f"no small disk can be had here: {done.stderr.strip()}")
        return outputs

    yield sized
    subprocess.run(["umount", outputs], capture_output=True)


@pytest.mark.parametrize("size", ["16k", "128k", "300k", "512k", "700k", "1m"])
def test_a_full_disk_pauses_and_a_larger_one_goes_on(tmp_path, disk, size):
    folder = Folder(tmp_path)
    disk(size)
    full = folder.run("tune", *tune_options(2), fresh=True)
    said = full.stdout + full.stderr
    assert "Traceback" not in said
    assert full.returncode in (0, 3), said
    if full.returncode == 3:
        (line,) = [line for line in said.splitlines() if line.startswith("recsweep:")]
        assert any(words in line for words in ("free some", "disk")), line
    disk("64m")
    done = folder.run("tune", *tune_options(2), fresh=True)
    assert done.returncode == 0, done.stderr
    trials = folder.trials(STUDY)
    assert sorted(trial.slot for trial in trials if trial.counted) == [0, 1]
    assert all(trial.state == "complete" for trial in trials if trial.counted), "no trial was burned"
