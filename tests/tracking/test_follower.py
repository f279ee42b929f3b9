"""A follower beside a study: all is sent, in order, once, whatever the tracker does."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest

from helpers.bad_tracker import ROW, WHOLE
from helpers.found import workspace
from helpers.tracked import Told, follower, of_kind, sent
from recsweep.running.keeping import keeper_of
from recsweep.sweeps.checkpoint_section import CheckpointsConfig
from recsweep.sweeps.tracker_table import TRACKERS
from recsweep.tracking import link as links
from recsweep.tracking import summing
from recsweep.tracking.base import Given
from recsweep.tracking.destinations import Destination

pytestmark = pytest.mark.usefixtures("_without_pictures")
OVER = lambda: True  # noqa: E731


@pytest.fixture
def _without_pictures(monkeypatch):
    """What draws them is long to import, and has tests of its own."""
    monkeypatch.setattr(summing, "_importance", lambda result: {})
    monkeypatch.setattr(summing, "_parallel", lambda result: "")


@pytest.fixture
def told(tmp_path):
    told = Told(workspace(tmp_path, budget=4).plan())
    yield told
    told.store.close()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "sent" / "bad"


def how(folder, word):
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.with_suffix(".how").write_text(word)


def test_all_of_a_study_is_sent_once_and_in_order(told, folder):
    first = told.trial()
    claim = told.begin()
    told.epochs(claim, 1, 2)
    said = []
    assert follower(told, folder, ROW, said).run(OVER) == 0
    told.epochs(claim, 3)
    told.finish(claim)
    assert follower(told, folder, ROW, said).run(OVER) == 0
    lines = sent(folder)
    assert [line["id"] for line in lines if line["kind"] != "summary"] == [
        *("begun-0.0", "epoch-0.1", "epoch-0.2", "epoch-0.3", "ended-0.0"),
        *("begun-1.0", "epoch-1.1", "epoch-1.2", "epoch-1.3", "ended-1.0"),
    ]
    assert said == []
    begun, *_ = lines
    assert begun["params"]["learning_rate"] > 0
    assert begun["seed"] == told.plan.trial_seed(first.slot)
    assert begun["environment"]["versions"] == {"torch": "1"}
    *_, summary = of_kind(lines, "summary")
    assert summary["best"]["trial"] == 1
    assert [row["trial"] for row in summary["rows"]] == [0, 1]


@pytest.mark.parametrize("word", ["hangs", "fails", "full", "dies before"])
def test_what_a_bad_tracker_did_not_take_is_kept_and_sent_later(told, folder, word):
    told.trial()
    how(folder, word)
    said = []
    began = time.monotonic()
    assert follower(told, folder, ROW, said).run(OVER) == 5
    assert time.monotonic() - began < 15  # a process was started, and that on a busy machine
    assert "5 events not sent to bad" in said[-1]
    assert said[-1].endswith("`recsweep track sync` sends them")
    assert len(said) <= 2
    assert "s3cret" not in "".join(said)
    told.trial()
    how(folder, "works")
    assert follower(told, folder, ROW, said).run(OVER) == 0
    assert len(of_kind(sent(folder), "ended")) == 2


@pytest.mark.parametrize("row", [ROW, WHOLE], ids=["epochs", "trials"])
def test_a_kill_between_a_send_and_its_mark_sends_nothing_twice(told, folder, row, monkeypatch):
    monkeypatch.setattr(links, "FIRST_PAUSE", 0.05)
    told.trial()
    claim = told.begin()
    told.epochs(claim, 1, 2)
    how(folder, "dies after")
    said, over = [], threading.Event()
    one = follower(told, folder, row, said)
    runs = threading.Thread(target=one.run, args=(over.is_set,))
    runs.start()
    deadline = time.monotonic() + 20
    while one.sent["bad"] < 8 and time.monotonic() < deadline:
        time.sleep(0.05)
    over.set()
    runs.join()
    assert [line.split(":")[0] for line in said] == ["bad"]
    ids = [line["id"] for line in sent(folder) if line["kind"] != "summary"]
    assert ids[-3:] == ["begun-1.0", "epoch-1.1", "epoch-1.2"]
    assert len(ids) == 8


def test_one_that_hangs_holds_up_no_other(told, folder):
    told.trial()
    how(folder, "hangs")
    other = Destination(TRACKERS["jsonl"], Given("s", folder.with_name("jsonl")))
    assert follower(told, folder, ROW, [], beside=[other]).run(OVER) == 5
    assert len(sent(folder.with_name("jsonl"))) == 6


def test_two_followers_send_to_one_place_once(told, folder):
    told.trial()
    first, second = (follower(told, folder, ROW, []) for _ in range(2))
    first.look()
    second.look()
    first.step(sum_up=False)
    held = next(iter(second._followed.values()))
    kept = held.kept["bad"]
    kept._me = type(kept._me)(kept._me.pid_space, 1, None)  # another process of this machine, which lives
    assert not kept.take()
    assert first.run(OVER) == 0
    assert kept.take()
    assert kept.cursor.done == {0: 0}


def test_a_finished_study_is_for_backfill_alone(told, folder):
    for _ in range(4):
        told.trial()
    told.study.update_record(lambda record: record.closed("max_evals", None))
    assert follower(told, folder, ROW, [], not_new=[told.plan.name]).run(OVER) == 0
    assert not folder.exists()
    assert follower(told, folder, ROW, []).run(OVER) == 0
    assert len(of_kind(sent(folder), "ended")) == 4


def test_an_epoch_has_all_metrics_and_the_loss_where_they_are_known(told, folder):
    claim = told.begin()
    told.study.report_all(claim, {1: 0.01}, {"epoch:1": {"ndcg@10": 0.01, "hit@10": 0.02, "loss": 3.5}})
    told.epochs(claim, 2)
    assert follower(told, folder, ROW, []).run(OVER) == 0
    first, second = (line["metrics"] for line in of_kind(sent(folder), "epoch"))
    assert first == {"ndcg@10": 0.01, "hit@10": 0.02, "loss": 3.5}
    assert list(second) == ["ndcg@10"]


def test_weights_are_said_to_be_where_they_are_sent(told, folder):
    told.trial()
    plan = told.plan
    (plan.outputs.checkpoints(*plan.folder_names) / "trial-0").mkdir(parents=True)
    assert follower(told, folder, ROW, [], depot="s3://bucket/here").run(OVER) == 0
    (ended,) = of_kind(sent(folder), "ended")
    sent_there = plan.sweep.model_copy(update={"checkpoints": CheckpointsConfig(path="s3://bucket/here")})
    mirror = keeper_of(replace(plan, sweep=sent_there)).mirror
    assert ended["checkpoint"] == f"{mirror.depot}/trial-0"
