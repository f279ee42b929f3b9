"""Sweeps whose checkpoints go to real servers of buckets; `make test-buckets` runs these."""

from __future__ import annotations

import signal
import time

import pytest

from helpers.buckets import SECRET, SERVERS, needs_buckets
from recsweep.checkpoints.bucket import Bucket
from running import Folder, read_until, taken, wait_for

pytestmark = [needs_buckets, pytest.mark.long]
STUDY = "smoke/ml-100k-small/FPMC/full"
WAITED_FOR = 30.0
"""Seconds; a trial that has run for less is not waited for when SIGTERM comes."""


@pytest.fixture(params=SERVERS, ids=lambda one: one.kind)
def served(request):
    return request.param


@pytest.fixture
def depot(served):
    return served.depot


@pytest.fixture
def proxy(served, tmp_path, monkeypatch):
    with served.running(tmp_path / "server.log") as made:
        for name, value in served.variables(made).items():
            monkeypatch.setenv(name, value)
        yield made


@pytest.fixture
def machine(tmp_path):
    """A folder of a machine's own; all share a store and a bucket."""

    def make(name):
        (tmp_path / name).mkdir()
        return Folder(tmp_path / name)

    return make


@pytest.fixture
def options(depot, tmp_path):
    shared = ("--storage", f"sqlite:///{tmp_path}/shared.db", "--checkpoints", depot)
    few = ("--models", "FPMC", "--max-evals", "1", "--cooldown", "0", "--checkpoint-epochs", "1")
    return lambda epochs: (*few, *shared, "--epochs", str(epochs), "--patience", str(epochs))


def test_a_slow_bucket_does_not_keep_a_worker(proxy, depot, machine, options):
    first, second = machine("first"), machine("second")
    run = first.start("tune", *options(4000), fresh=True)
    wait_for(lambda: Bucket(depot).names(""), 90, "a checkpoint")
    time.sleep(WAITED_FOR)
    proxy.seconds = 60.0
    began = time.monotonic()
    run.send_signal(signal.SIGTERM)
    said = run.communicate(timeout=60)[0]
    assert time.monotonic() - began < 10.0
    assert run.returncode == 130, said
    assert f"could not be sent to {depot}" in said
    proxy.seconds = 0.0
    synced = first.run("checkpoints", "sync", *taken("checkpoints", options(4000)))
    assert "all checkpoints are at their place" in synced.stdout, synced
    last = sorted(Bucket(depot).names(""))[-1].rpartition("/")[2]
    again = second.start("tune", *options(4000), fresh=True)
    lines = read_until(again, "goes on after epoch")
    assert f"goes on after epoch {int(last.split('-')[1])}," in lines[-1]
    again.send_signal(signal.SIGINT)
    assert SECRET not in said + synced.stdout + synced.stderr + again.communicate(timeout=60)[0]
    for path in (*first.path.rglob("*"), *second.path.rglob("*")):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path


def test_a_bucket_that_is_not_there_costs_no_trial(proxy, depot, machine, options):
    folder = machine("first")
    proxy.away = True
    done = folder.run("tune", *options(3), fresh=True)
    assert done.returncode == 0, done
    assert f"waiting for {depot}" in done.stdout + done.stderr
    assert f"could not be sent to {depot}" in done.stdout + done.stderr
    proxy.away = False
    again = folder.run("tune", *options(3), fresh=True)
    assert "could not be sent" not in again.stdout + again.stderr
    found = sorted(name.rpartition("/")[2] for name in Bucket(depot).names(""))
    assert found == ["best.pth", "last.pth", "manifest.json"]
