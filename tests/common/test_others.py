"""Cores that other programs use: those of another process count, and one's own do not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import psutil
import pytest

from recsweep.common import others

BUSY = [sys.executable, "-c", "while True: pass"]


@pytest.fixture
def stat(tmp_path, monkeypatch):
    """A system's file of two processors, and how to let time pass in it."""
    file = tmp_path / "stat"
    monkeypatch.setattr(others, "_STAT", file)
    monkeypatch.setattr(others, "cores", lambda: 2)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1})
    ticks = os.sysconf("SC_CLK_TCK")

    def write(first: float, second: float, third: float = 0.0) -> None:
        lines = [
            f"cpu{number} {int(some * ticks)} 0 0 999 9 0 0 5 0 0"
            for number, some in enumerate((first, second, third))
        ]
        file.write_text("\n".join(["cpu  9 9 9 9 9 9 9 9 9 9", *lines, "intr 3", ""]))

    write(100, 50)
    return write


def passing(monkeypatch, write, *, own: float) -> None:
    """Half a second in which the second processor computes for 0.4, and this process for some of them."""
    clock = {"now": 10.0, "own": 3.0}

    def sleep(seconds: float) -> None:
        clock["now"] += seconds
        clock["own"] += own
        write(100, 50.4, 70.0)

    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr(time, "monotonic", lambda: clock["now"])
    monkeypatch.setattr(os, "times", lambda: (clock["own"], 0.0, 0.0, 0.0, clock["now"]))


@pytest.mark.parametrize(("own", "used"), [(0.0, 0.8), (0.3, 0.2), (0.6, 0.0)])
def test_what_this_process_computes_is_not_counted(stat, monkeypatch, own, used):
    passing(monkeypatch, stat, own=own)
    assert others.cores_of_others(0.5) == pytest.approx(used)


def test_children_that_compute_are_no_other_programs(stat, monkeypatch):
    passing(monkeypatch, stat, own=0.1)
    seconds = iter([0.0, 0.2])
    child = SimpleNamespace(cpu_times=lambda: (next(seconds), 0.0, 0.0, 0.0, 0.0))
    monkeypatch.setattr(others.psutil, "Process", lambda: SimpleNamespace(children=lambda recursive: [child]))
    assert others.cores_of_others(0.5) == pytest.approx(0.2)


def test_a_child_that_ends_while_it_is_counted_is_left_out(stat, monkeypatch):
    def gone() -> None:
        raise psutil.NoSuchProcess(7)

    passing(monkeypatch, stat, own=0.1)
    child = SimpleNamespace(cpu_times=gone)
    monkeypatch.setattr(others.psutil, "Process", lambda: SimpleNamespace(children=lambda recursive: [child]))
    assert others.cores_of_others(0.5) == pytest.approx(0.6)


def test_a_processor_that_is_not_allowed_is_not_counted(stat, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0})
    monkeypatch.setattr(others, "cores", lambda: 1)
    passing(monkeypatch, stat, own=0.0)
    assert others.cores_of_others(0.5) == 0.0


def test_under_a_limit_nothing_is_said(monkeypatch):
    monkeypatch.setattr(others, "cores", lambda: len(os.sched_getaffinity(0)) - 1)
    assert others.cores_of_others(0.0) is None


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="Linux alone tells")
def test_a_busy_program_is_seen():
    if others.cores_of_others(0.01) is None:
        pytest.skip("under a limit")
    begin = f"import subprocess; print(subprocess.Popen({BUSY!r}, stdout=subprocess.DEVNULL).pid)"
    busy = int(subprocess.check_output([sys.executable, "-c", begin]))  # an orphan, no child of ours
    try:
        time.sleep(0.2)
        assert others.cores_of_others(0.5) > 0.25
    finally:
        os.kill(busy, signal.SIGKILL)
