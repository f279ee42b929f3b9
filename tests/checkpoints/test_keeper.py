"""Checkpoints written here, sent to a place that may fail, kept by rules, and found again elsewhere."""

from __future__ import annotations

import threading
import time
import uuid

import fsspec
import pytest

from recsweep.checkpoints import background
from recsweep.checkpoints.background import Background, within
from recsweep.checkpoints.bucket import Bucket
from recsweep.checkpoints.keeper import Hands, Keeper
from recsweep.checkpoints.manifest import Identity
from recsweep.checkpoints.mirror import Mirror
from recsweep.checkpoints.units import units

OWN = Identity("s/d/m/full", "d" * 64, {"torch": "2.13.0"}, "c" * 40)
ENOUGH = 10.0
"""Seconds for what takes milliseconds."""


class Flaky(Bucket):
    """A place that is away for some calls, counted."""

    def __init__(self, depot, failing=0):
        super().__init__(depot)
        self.failing, self.calls = failing, 0

    def _open(self):
        self.calls += 1
        if self.calls <= self.failing or (self.failing < 0 and self.calls % 3 == 0):
            raise OSError("503 SlowDown")
        return super()._open()


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr(background, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(background, "LONGEST_PAUSE", 0.002)


@pytest.fixture(params=["memory", "folder"])
def depot(request, tmp_path):
    return f"memory://{uuid.uuid4().hex}/p" if request.param == "memory" else str(tmp_path / "share")


@pytest.fixture
def keeper_on(tmp_path, depot):
    """The keeper of one study, on a machine of that name."""
    made = []

    def make(machine="here", failing=0, at=depot):
        folder = tmp_path / machine
        mirror = Mirror(Flaky(at, failing), folder, "s/d/m/dddd")
        made.append(Keeper(OWN, folder, mirror, Hands.made()))
        return made[-1]

    yield make
    for keeper in made:
        keeper.hands.writer.close()
        keeper.hands.sender.close()


def put(keeper, epoch, *, attempt=0, slot=3, keep=2):
    about = keeper.described(slot, attempt, epoch, epoch / 10)
    keeper.write(about, lambda path: _save(path, f"state {attempt} {epoch}"), keep)
    settled(keeper)


def _save(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def settled(keeper):
    assert keeper.hands.writer.settle(ENOUGH)
    assert keeper.hands.sender.settle(ENOUGH)


def there(depot):
    """The files at a place, by their names, and what they hold."""
    system, root = fsspec.core.url_to_fs(depot)
    try:
        return {path.rpartition("/")[2]: system.cat_file(path) for path in system.find(root)}
    except FileNotFoundError:
        return {}


def names(found):
    return sorted(name for name in found if name.endswith((".pt", ".pth", ".json", ".part")))


def states(*epochs, attempt=0):
    stems = [f"epoch-{epoch:07d}-attempt-{attempt:03d}" for epoch in epochs]
    return sorted(f"{stem}.{end}" for stem in stems for end in ("json", "pt"))


def latest(keeper, slot=3, sent=True):
    """What the first candidate that is whole says, and what was told of others."""
    told = []
    for one in keeper.candidates(slot, told.append, sent=sent):
        if not (wrong := keeper.brought(one)):
            return (one.unit.folder / f"{one.unit.name}.pt").read_text(), told
        told.append(wrong)
    return None, told


def test_the_last_are_kept_here_and_there(keeper_on, depot):
    keeper = keeper_on()
    for epoch in range(1, 6):
        put(keeper, epoch)
    assert names(path.name for path in keeper.slot(3).iterdir()) == states(4, 5)
    assert names(there(depot)) == states(4, 5)
    keeper.drop(3)
    settled(keeper)
    assert not keeper.slot(3).exists()
    assert there(depot) == {}


@pytest.mark.parametrize("failing", [5, -1])
def test_an_outage_loses_nothing(keeper_on, depot, failing):
    keeper = keeper_on(failing=failing)
    for epoch in (1, 2, 3):
        put(keeper, epoch)
    assert names(there(depot)) == states(2, 3)
    assert keeper.unsent() == []


def test_what_is_not_sent_is_known(keeper_on, depot):
    keeper = keeper_on(failing=10**9)
    about = keeper.described(3, 0, 1, 0.5)
    keeper.write(about, lambda path: _save(path, "state"), 2)
    assert keeper.hands.writer.settle(ENOUGH)
    assert not keeper.hands.sender.settle(0.05)
    assert [unit.name for unit in keeper.unsent()] == ["epoch-0000001-attempt-000"]
    assert keeper.trouble() == "OSError: 503 SlowDown"
    assert there(depot) == {}


def test_another_machine_goes_on_from_there(keeper_on, depot):
    first, second = keeper_on("first"), keeper_on("second")
    for epoch in (1, 2, 3):
        put(first, epoch)
    assert latest(second) == ("state 0 3", [])
    put(second, 4, attempt=1)
    assert names(there(depot)) == sorted(states(3) + states(4, attempt=1))
    assert latest(first) == ("state 1 4", [])


def test_nobody_asks_the_place_for_a_first_attempt(keeper_on):
    keeper = keeper_on(failing=10**9)
    assert latest(keeper, sent=False) == (None, [])


def damage(depot, end, change):
    system, root = fsspec.core.url_to_fs(depot)
    (path,) = [path for path in system.find(root) if path.endswith(f"3-attempt-000.{end}")]
    system.pipe_file(path, change(system.cat_file(path)))


@pytest.mark.parametrize(
    ("end", "change", "why"),
    [
        ("pt", lambda data: data[:-1] + b"?", "the SHA-256 of"),
        ("pt", lambda data: data[:-1], "is not whole"),
        ("json", lambda data: data[:-9], "its manifest is not whole"),
        ("json", lambda data: data.replace(b"d" * 64, b"e" * 64), "another definition"),
        ("json", lambda data: data.replace(b"2.13.0", b"2.14.0"), "torch 2.14.0"),
        ("json", lambda data: data.replace(b".pt", b"/../x.pt"), "its manifest is not whole"),
    ],
)
def test_one_that_is_damaged_or_foreign_is_left(keeper_on, depot, end, change, why):
    first, second = keeper_on("first"), keeper_on("second")
    for epoch in (1, 2, 3):
        put(first, epoch)
    damage(depot, end, change)
    found, told = latest(second)
    assert (found, len(told)) == ("state 0 2", 1)
    assert why in told[0]


def test_one_that_is_damaged_here_is_brought_again(keeper_on):
    keeper = keeper_on()
    put(keeper, 1)
    next(keeper.slot(3).glob("*.pt")).write_text("torn")
    found, told = latest(keeper)
    assert found == "state 0 1"
    assert "is not whole" in told[0]


def test_data_without_a_manifest_are_no_checkpoint(keeper_on, depot):
    first, second = keeper_on("first"), keeper_on("second")
    put(first, 1)
    system, root = fsspec.core.url_to_fs(depot)
    (manifest,) = [path for path in system.find(root) if path.endswith(".json")]
    system.rm_file(manifest)
    assert latest(second) == (None, [])


def test_a_place_that_is_away_costs_a_trial_a_while(keeper_on, monkeypatch):
    monkeypatch.setattr("recsweep.checkpoints.keeper.ASK_SECONDS", 0.05)
    found, told = latest(keeper_on(failing=10**9))
    assert found is None
    assert "cannot be asked for a checkpoint (OSError: 503 SlowDown)" in told[0]


def test_weights_of_the_best_are_there_and_no_others(keeper_on, depot):
    keeper = keeper_on()
    for slot in (1, 2, 3):
        for name in ("best", "last"):
            _save(keeper.weights(slot).folder / f"{name}.pth", f"{name} {slot}")
        keeper.keep_weights(keeper.described(slot, 0, 5, 0.5))
    keeper.send_weights([1, 2], [])
    settled(keeper)
    keeper.send_weights([2, 3], [1])
    settled(keeper)
    found = Mirror(Bucket(depot), keeper.folder, "s/d/m/dddd").names()
    assert sorted({name.partition("/")[0] for name in found}) == ["trial-2", "trial-3"]
    other = keeper_on("other")
    assert other.fetch_weights(3, print)
    assert (other.weights(3).folder / "best.pth").read_text() == "best 3"
    assert not other.fetch_weights(1, print)


def test_a_slow_place_holds_nobody_up(tmp_path):
    class Slow(Bucket):
        def put(self, source, name):
            wait.wait(ENOUGH)

    wait = threading.Event()
    keeper = Keeper(OWN, tmp_path, Mirror(Slow(str(tmp_path / "p")), tmp_path, "p"), Hands.made())
    began = time.monotonic()
    for epoch in (1, 2, 3, 4):
        keeper.write(keeper.described(3, 0, epoch, 0.5), lambda path: _save(path, "state"), 2)
        assert keeper.hands.writer.settle(ENOUGH)
    assert time.monotonic() - began < ENOUGH
    assert set(states(3, 4)) <= {path.name for path in keeper.slot(3).iterdir()}
    wait.set()


def test_states_made_faster_than_they_are_sent_arrive_all_the_same(tmp_path):
    class Slow(Bucket):
        def put(self, source, name):
            began.set()
            assert go.wait(ENOUGH)
            super().put(source, name)

    began, go, depot = threading.Event(), threading.Event(), str(tmp_path / "share")
    keeper = Keeper(OWN, tmp_path / "here", Mirror(Slow(depot), tmp_path / "here", "p"), Hands.made())
    for epoch in range(1, 6):
        keeper.write(keeper.described(3, 0, epoch, 0.5), lambda path: _save(path, "state"), 2)
        assert keeper.hands.writer.settle(ENOUGH)
        assert began.wait(ENOUGH)
    assert names(path.name for path in keeper.slot(3).iterdir()) == states(1, 4, 5)  # the first is being sent
    go.set()
    settled(keeper)
    assert names(path.name for path in keeper.slot(3).iterdir()) == states(4, 5)
    assert names(there(depot)) == states(4, 5)


def test_one_that_has_arrived_stays_until_others_have(tmp_path):
    depot, sent = str(tmp_path / "share"), []

    class Late(Bucket):
        """Others are written while one is sent."""

        def put(self, source, name):
            super().put(source, name)
            if name.endswith(".json") and len(sent) < 3:
                sent.append(sorted(names(there(depot))))
                for epoch in range(3):
                    about = keeper.described(3, 0, 10 * len(sent) + epoch, 0.5)
                    keeper.write(about, lambda path: _save(path, "state"), 2)
                    assert keeper.hands.writer.settle(ENOUGH)

    keeper = Keeper(OWN, tmp_path / "here", Mirror(Late(depot), tmp_path / "here", "p"), Hands.made())
    put(keeper, 1)
    assert [len(found) for found in sent] == [2, 4, 6]  # with that which has just arrived
    settled(keeper)
    assert names(there(depot)) == states(31, 32)


def test_a_step_that_waits_makes_room_for_a_newer_one():
    done, go = [], threading.Event()
    thread = Background("test")
    thread.do("first", lambda: go.wait(ENOUGH))
    for number in range(5):
        thread.do("same", lambda number=number: done.append(number))
    go.set()
    assert thread.settle(ENOUGH)
    assert done == [4]


def test_an_answer_is_asked_for_until_it_comes():
    answers = iter([OSError("away"), OSError("away"), "here"])

    def ask():
        found = next(answers)
        if isinstance(found, OSError):
            raise found
        return found

    assert within(ENOUGH, ask) == "here"


def test_secrets_are_kept_out_of_what_is_said(monkeypatch, keeper_on):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "Very/Secret+Value123")
    bucket = Bucket("memory://secrets")
    bucket.names("")
    assert background.reason_of(OSError("denied Very/Secret+Value123")) == "OSError: denied ***"


def test_units_are_those_with_a_manifest(tmp_path):
    (tmp_path / "a.json").write_text("{}")
    (tmp_path / ".b.json.part").write_text("")
    (tmp_path / "c.pt").write_text("")
    assert [unit.name for unit in units(tmp_path)] == ["a"]
    assert units(tmp_path / "none") == []
