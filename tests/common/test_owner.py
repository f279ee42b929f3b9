"""Whether the process that runs a trial still lives."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from recsweep.common.owner import Owner, this_pid_space, this_process


@pytest.fixture
def sleeper():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def test_this_process_is_alive():
    assert this_process().alive() is True


def test_another_process_of_this_machine_is_seen_alive_and_dead(sleeper):
    owner = this_process(sleeper.pid)
    assert owner.alive() is True
    sleeper.kill()
    sleeper.wait()
    assert owner.alive() is False


def test_a_killed_process_that_nobody_reaped_counts_as_dead(sleeper):
    owner = this_process(sleeper.pid)
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert psutil.Process(sleeper.pid).status() == psutil.STATUS_ZOMBIE
    assert owner.alive() is False


def test_a_reused_process_number_is_another_process():
    me = this_process()
    assert dataclasses.replace(me, ticks=me.ticks - 1).alive() is False
    assert dataclasses.replace(me, ticks=None, started=me.started - 3600).alive() is False


@pytest.mark.skipif(not Path("/proc/stat").is_file(), reason="the clock of the kernel is read from /proc")
@pytest.mark.parametrize("step", [5, -5, 86400, -86400])
def test_a_process_lives_on_when_the_clock_is_set(monkeypatch, sleeper, step):
    owner, me = this_process(sleeper.pid), this_process()
    created = psutil.Process.create_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda process: created(process) + step)
    assert (owner.alive(), me.alive()) == (True, True)
    assert this_process() == me, "and its name is the same"
    sleeper.kill()
    sleeper.wait()
    assert owner.alive() is False


def test_an_owner_of_an_earlier_version_is_known_by_its_time(sleeper):
    old = this_process(sleeper.pid).to_dict()
    del old["ticks"]
    assert Owner.from_dict(old).alive() is True
    assert Owner.from_dict({**old, "started": old["started"] + 60}).alive() is True
    sleeper.kill()
    sleeper.wait()
    assert Owner.from_dict(old).alive() is False


def test_a_name_with_brackets_hides_nothing(tmp_path):
    link = tmp_path / "a) Z 1 (b"
    link.symlink_to(sys.executable)
    process = subprocess.Popen([link, "-c", "print(flush=True); input()"], stdin=-1, stdout=-1)
    process.stdout.readline()
    owner = this_process(process.pid)
    assert owner.alive() is True
    assert owner.ticks >= this_process().ticks
    process.communicate(b"\n")
    assert owner.alive() is False


def test_a_process_elsewhere_is_neither_alive_nor_dead():
    assert dataclasses.replace(this_process(), pid_space="other-machine/boot/pid:[1]").alive() is None


@pytest.mark.parametrize("worker", [None, 4711])
def test_an_owner_is_read_back_from_the_store_as_it_was(worker):
    owner = Owner(this_pid_space(), 12, 987, 1234.5, worker)
    assert Owner.from_dict({**owner.to_dict(), "beat": 3}) == owner


def test_the_place_tells_machine_boot_and_process_space_apart():
    assert len([part for part in this_pid_space().split("/") if part]) == 3
