"""A command that is forked is a process of its own, and ends as one that was started does."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import time
from pathlib import Path

import psutil
import pytest

from helpers import warm

pytestmark = pytest.mark.skipif(not warm.POSSIBLE, reason="commands are started afresh on this system")


def test_what_it_says_and_its_exit_code_arrive(tmp_path):
    done = warm.run(["tune", "--config", "none.yaml"], tmp_path, 60)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("recsweep: none.yaml:")
    assert len(done.stderr.splitlines()) == 1
    shown = warm.run(["--version"], tmp_path, 60)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith("recsweep")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_it_hears_signals(tmp_path, empty_store, number):
    shutil.copy(empty_store, tmp_path / "a.db")
    with (tmp_path / "a.db.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        running = warm.start(["ls", "--storage", "sqlite:///a.db"], tmp_path)
        deadline = time.monotonic() + 60
        while f" {running.pid} " not in Path("/proc/locks").read_text():  # it waits for the lock
            assert time.monotonic() < deadline
            time.sleep(0.02)
        own = psutil.Process(running.pid)
        assert (own.cwd(), os.getsid(running.pid)) == (str(tmp_path), running.pid)
        assert running.poll() is None
        running.send_signal(number)
        said, _ = running.communicate(60)
    assert running.returncode == (-9 if number == signal.SIGKILL else 130)
    assert said.lstrip().startswith("recsweep: stopped") == (number != signal.SIGKILL)


@pytest.mark.parametrize(
    ("end", "code", "said"),
    [
        (0, 0, ""),
        (None, 0, ""),
        (3, 3, ""),
        ("a reason", 1, "a reason\n"),
        (ValueError("x"), 1, "ValueError: x\n"),
    ],
)
def test_a_code_is_what_the_interpreter_gives(end, code, said, capsys):
    def main():
        raise end if isinstance(end, Exception) else SystemExit(end)

    assert warm._code_of(main) == code
    assert capsys.readouterr().err.endswith(said)


def test_most_commands_are_forked_without_torch(tmp_path):
    warm.run(["--version"], tmp_path, 60)
    maps = f"/proc/{warm._commands().pid}/maps"
    with open(maps) as libraries:
        assert "libtorch" not in libraries.read()
