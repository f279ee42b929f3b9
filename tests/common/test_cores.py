"""How many processors a process may use."""

from __future__ import annotations

import os

import pytest

from recsweep.common import cores as module
from recsweep.common.cores import cores


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch):
    """A machine of 16 cores, without a container's limit and without SLURM."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)), raising=False)
    monkeypatch.setattr(module, "_CGROUP", tmp_path)
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)
    return tmp_path


def test_all_that_the_system_gives():
    assert cores() == 16


@pytest.mark.parametrize(
    ("text", "expected"),
    [("400000 100000", 4), ("150000 100000", 2), ("10000 100000", 1), ("max 100000", 16), ("damaged", 16)],
)
def test_no_more_than_the_container_has(machine, text, expected):
    (machine / "cpu.max").write_text(f"{text}\n")
    assert cores() == expected


@pytest.mark.parametrize(("quota", "expected"), [("300000", 3), ("-1", 16)])
def test_the_same_in_an_older_container(machine, quota, expected):
    (machine / "cpu").mkdir()
    (machine / "cpu" / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (machine / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert cores() == expected


@pytest.mark.parametrize(("given", "expected"), [("6", 6), ("64", 16), ("", 16), ("0", 16), ("six", 16)])
def test_no_more_than_slurm_gives_the_job(monkeypatch, given, expected):
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", given)
    assert cores() == expected
