"""Signals that end a command: from its first moment, and in one line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from helpers.workspace import run_python
from recsweep.common import interrupts

ASKED_TO_LEAVE = [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1]


@pytest.mark.parametrize("number", ASKED_TO_LEAVE, ids=lambda number: number.name)
def test_what_asks_us_to_leave_is_ctrl_c(number):
    before = signal.getsignal(number)

    def receive():
        with interrupts.as_interrupt():
            os.kill(os.getpid(), number)
            time.sleep(5)

    with pytest.raises(KeyboardInterrupt):
        receive()
    assert signal.getsignal(number) == before


def test_what_nohup_had_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interrupts.as_interrupt(), interrupts.at_once():
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGINT, *ASKED_TO_LEAVE], ids=lambda number: number.name)
def test_while_modules_are_loaded_it_is_one_line_whatever_they_catch(number):
    code = (
        "import os, sys\n"
        "from recsweep.common import interrupts\n"
        "with interrupts.at_once():\n"
        "    try:\n"
        "        os.kill(os.getpid(), int(sys.argv[1]))\n"
        "        sum(range(10**6))\n"
        "    except BaseException:\n"
        "        print('swallowed')\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(int(number))], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", f"{interrupts.STOPPED}\n")


def test_a_worker_leaves_what_a_terminal_sends_to_its_parent():
    code = (
        "import os, signal\n"
        "from recsweep.common.interrupts import leave_to_parent\n"
        "leave_to_parent()\n"
        "for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGTERM):\n"
        "    os.kill(os.getpid(), number)\n"
        "print('lives')"
    )
    assert run_python(code) == "lives"


def test_a_worker_that_alone_is_told_to_leave_does_so_later():
    code = (
        "import os, signal, time\n"
        "from recsweep.common import interrupts\n"
        "interrupts.ALONE_SECONDS = 0.1\n"
        "interrupts.leave_to_parent()\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
        "time.sleep(30)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == -signal.SIGALRM


def test_a_scheduler_that_warns_early_leaves_time():
    def receive():
        with interrupts.as_interrupt():
            os.kill(os.getpid(), signal.SIGUSR1)
            time.sleep(5)

    with pytest.raises(interrupts.EndIsNear):
        receive()


def test_nothing_heavy_is_loaded_before_ctrl_c_is_heard():
    code = (
        "import sys\nbefore = set(sys.modules)\nimport recsweep.cli\n"
        "print([m for m in ('click', 'typing', 'yaml', 'pydantic') if m in set(sys.modules) - before])"
    )
    assert run_python(code) == "[]"


@pytest.mark.parametrize("seconds", [0.0, 0.1, 0.3])
def test_ctrl_c_in_the_first_half_second_is_our_one_line(seconds, tmp_path):
    code = (
        "import sys\nfrom recsweep.cli import main\n"
        "sys.argv = ['recsweep', 'doctor']\nprint('begun', flush=True)\nmain()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stdout.readline() == "begun\n"
    time.sleep(seconds + 0.02)
    process.send_signal(signal.SIGINT)
    said, complained = process.communicate(timeout=30)
    assert (process.returncode, complained) == (130, f"{interrupts.STOPPED}\n"), said
