"""Whether the process that runs a trial still lives."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys

import psutil
import pytest

from recsweep.owner import Owner, this_place, this_process


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
    earlier = dataclasses.replace(me, started=me.started - 3600)
    assert earlier.alive() is False


def test_a_process_elsewhere_is_neither_alive_nor_dead():
    assert dataclasses.replace(this_process(), place="other-machine/boot/pid:[1]").alive() is None


@pytest.mark.parametrize("worker", [None, 4711])
def test_an_owner_is_read_back_from_the_store_as_it_was(worker):
    owner = Owner(this_place(), 12, 1234.5, worker)
    assert Owner.from_dict({**owner.to_dict(), "beat": 3}) == owner


def test_the_place_tells_machine_boot_and_process_space_apart():
    assert len([part for part in this_place().split("/") if part]) == 3
