"""Checkpoints in real servers of buckets that are away, refuse or are slow (`make test-buckets`)."""

from __future__ import annotations

import fsspec
import pytest

from helpers.buckets import SERVERS, needs_buckets
from recsweep.checkpoints import background
from recsweep.checkpoints.bucket import Bucket
from recsweep.checkpoints.keeper import Hands, Keeper
from recsweep.checkpoints.manifest import Identity
from recsweep.checkpoints.mirror import Mirror

pytestmark = [needs_buckets, pytest.mark.long]
OWN = Identity("s/d/m/full", "d" * 64, {"torch": "2.13.0"}, "c" * 40)
ENOUGH = 90.0


@pytest.fixture(scope="module", params=SERVERS, ids=lambda one: one.kind)
def served(request, tmp_path_factory):
    with request.param.running(tmp_path_factory.mktemp("server") / "server.log") as proxy:
        yield request.param, proxy


@pytest.fixture
def proxy(served, monkeypatch):
    """The server with an empty bucket, answering everything."""
    kind, server = served
    server.away, server.seconds, server.refused = False, 0.0, 0.0
    for name, value in kind.variables(server).items():
        monkeypatch.setenv(name, value)
    bucket = Bucket(kind.depot)
    bucket.remove(bucket.names(""))
    yield server
    server.away, server.seconds, server.refused = False, 0.0, 0.0


@pytest.fixture
def depot(served):
    return served[0].depot


@pytest.fixture
def keeper_at(depot):
    return lambda folder: Keeper(OWN, folder, Mirror(Bucket(depot), folder, "s/d/m/dddd"), Hands.made())


def put(keeper, *epochs, attempt=0):
    for epoch in epochs:
        about = keeper.described(3, attempt, epoch, epoch / 10)
        keeper.write(about, lambda path, epoch=epoch: _save(path, epoch), 2)
        assert keeper.hands.writer.settle(ENOUGH)


def _save(path, epoch):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes([epoch]) * 300_000)


@pytest.fixture
def names(depot):
    return lambda: [name.rpartition("/")[2] for name in Bucket(depot).names("")]


def states(*epochs):
    return [f"epoch-{epoch:07d}-attempt-000.{end}" for epoch in epochs for end in ("json", "pt")]


def test_states_are_kept_and_found_elsewhere(proxy, keeper_at, names, tmp_path):
    first, second = keeper_at(tmp_path / "first"), keeper_at(tmp_path / "second")
    put(first, 1, 2, 3, 4)
    assert first.hands.sender.settle(ENOUGH)
    assert names() == states(3, 4)
    told = []
    latest = second.candidates(3, told.append, sent=True)[0]
    assert (second.brought(latest), told) == ("", [])
    assert (latest.unit.folder / f"{latest.unit.name}.pt").read_bytes() == bytes([4]) * 300_000
    first.drop(3)
    assert first.hands.sender.settle(ENOUGH)
    assert names() == []


def test_an_outage_loses_nothing(proxy, keeper_at, names, tmp_path, monkeypatch):
    monkeypatch.setattr(background, "LONGEST_PAUSE", 1.0)
    keeper = keeper_at(tmp_path)
    proxy.away = True
    put(keeper, 1, 2, 3)
    assert not keeper.hands.sender.settle(0.5)
    assert len(keeper.unsent()) >= 2  # the one that is being sent stays as well
    proxy.away, proxy.refused = False, 1 / 3
    put(keeper, 4, 5)
    assert keeper.hands.sender.settle(ENOUGH)
    assert proxy.answered_503 > 0
    proxy.refused = 0.0
    assert names() == states(4, 5)
    assert keeper.unsent() == []


def test_an_object_that_is_torn_is_not_used(proxy, depot, keeper_at, tmp_path):
    first, second = keeper_at(tmp_path / "first"), keeper_at(tmp_path / "second")
    put(first, 1, 2)
    assert first.hands.sender.settle(ENOUGH)
    system, root = fsspec.core.url_to_fs(depot)
    (torn,) = [path for path in system.find(root) if path.endswith("2-attempt-000.pt")]
    system.pipe_file(torn, b"torn")
    found = [second.brought(one) for one in second.candidates(3, print, sent=True)]
    assert found[0].endswith(".pt is not whole")
    assert found[1] == ""
