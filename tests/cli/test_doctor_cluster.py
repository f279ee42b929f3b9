"""A node as one of several: each thing that is not as it should be is one BAD line with what to do."""

from __future__ import annotations

import shutil
from collections import namedtuple
from datetime import timedelta

import pytest

from helpers.phased import fill, workspace
from recsweep.cli import doctor_cluster
from recsweep.cli.doctor_cluster import examine_node
from recsweep.common import shared_folder
from recsweep.study import Store

USAGE = namedtuple("USAGE", "total used free")


@pytest.fixture
def plan(tmp_path, store, monkeypatch):
    """A study with two trials, by a worker of the same versions."""
    monkeypatch.setattr(doctor_cluster.provenance, "versions", lambda: {"torch": "2.13.0"})
    monkeypatch.setattr(doctor_cluster.provenance, "commit", lambda: "abc123")
    found = workspace(tmp_path).plan(storage=store.address.reveal(), outputs=str(tmp_path / "outputs"))
    fill(found, store, [0.1, 0.2])
    return found


def bad(plan):
    """What is bad, by its name."""
    return {name: text for name, text, fine in examine_node([plan]) if not fine}


def test_a_sound_node_has_nothing_bad(plan):
    found = {name: text for name, text, _ in examine_node([plan])}
    assert bad(plan) == {}
    assert {"node", "GPUs", "shared folder", "locking", "disk space", "store", "store latency"} < found.keys()
    assert "1 study" in found["store"]


def test_a_slow_store_and_a_clock_that_differs(plan, monkeypatch):
    monkeypatch.setattr(doctor_cluster, "SLOW_SECONDS", 0.0)
    now = Store.now
    monkeypatch.setattr(Store, "now", lambda self: now(self) - timedelta(seconds=90))
    found = bad(plan)
    assert "ms a question; put the store nearer" in found["store latency"]
    assert "90.00 s ahead of the store's; let NTP set both" in found["clock"]


def test_a_store_that_is_away_is_one_line(plan, tmp_path):
    away = workspace(tmp_path).plan(storage="postgresql+psycopg://me:pw-MARKED@127.0.0.1:1/x")
    text = bad(away)["store"]
    assert "127.0.0.1:1" in text
    assert "MARKED" not in text


@pytest.mark.parametrize(
    ("device", "resources", "environment", "text"),
    [
        ("cuda", "", {}, "none, but training.device is cuda; ask for a node with one"),
        ("auto", "resources: {gpus: 2}\n", {}, "none, but resources.gpus is 2; ask the scheduler for them"),
        ("auto", "", {"SLURM_JOB_GPUS": "0,1"}, "none, but SLURM gave 2; see that the driver"),
    ],
)
def test_gpus_that_are_missing(tmp_path, monkeypatch, device, resources, environment, text):
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    made = workspace(tmp_path)
    made.sweep.write_text(made.sweep.read_text() + resources)
    assert bad(made.plan(device=device))["GPUs"].startswith(text)


def test_a_folder_without_locks_or_room(plan, monkeypatch):
    monkeypatch.setattr(shared_folder, "broken_locks", lambda folder: ["flock"])
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: USAGE(10, 9, 1))
    found = bad(plan)
    assert found["locking"] == "flock do not hold between two processes; take another folder"
    assert "0.0 GiB free" in found["disk space"]
    assert "make room" in found["disk space"]


def test_sqlite_on_a_network_file_system(plan, monkeypatch):
    monkeypatch.setattr(shared_folder, "file_system", lambda folder: "nfs4")
    assert "do not hold between machines; use PostgreSQL, or journal:///FILE" in bad(plan)["shared folder"]


def test_versions_that_differ_from_those_of_others(plan, monkeypatch):
    monkeypatch.setattr(doctor_cluster.provenance, "versions", lambda: {"torch": "1.0"})
    ((name, text),) = bad(plan).items()
    assert name.startswith("versions on ")
    assert text.startswith("torch 2.13.0 (1.0 here); install the same lock everywhere")
