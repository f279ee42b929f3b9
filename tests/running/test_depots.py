"""Checkpoints at the place that they are sent to, once their study is removed, renamed or archived."""

from __future__ import annotations

import dataclasses
import sys
import uuid

import pytest

from helpers.phased import fill, workspace
from recsweep.checkpoints.bucket import Bucket
from recsweep.cli import main
from recsweep.running import depots
from recsweep.running.depots import keep_apart_there, note_depot, prefix_in_depot, sent_of
from recsweep.running.study_run import StudyRun
from recsweep.search.starts import open_study
from recsweep.study import Store

FILES = [
    "resume/slot-2/epoch-1.json",
    "resume/slot-2/epoch-1.pt",
    "trial-0/best.pth",
    "trial-0/manifest.json",
]


@pytest.fixture(params=["memory", "folder"])
def depot(request, tmp_path):
    return f"memory://{uuid.uuid4().hex}/p" if request.param == "memory" else str(tmp_path / "share")


@pytest.fixture
def plan(tmp_path, depot):
    (tmp_path / "share").mkdir()
    return workspace(tmp_path, extra=f"checkpoints: {{path: '{depot}'}}\n").plan()


@pytest.fixture
def store(plan):
    store = Store(plan.storage_url)
    yield store
    store.close()


def sent(plan, store, depot, tmp_path, scores=(0.1,)):
    """A study with checkpoints at its place; where these lie."""
    run = StudyRun(plan, open_study(plan, store), print)
    fill(plan, store, scores, study=run.study)
    note_depot(run)
    prefix = prefix_in_depot(store.find_record(plan.name))
    (tmp_path / "data").write_text("x")
    for name in FILES:
        Bucket(depot).put(tmp_path / "data", f"{prefix}/{name}")
    return prefix


def restarted(plan, store, seed=1):
    changed = dataclasses.replace(plan, sweep=plan.sweep.model_copy(update={"seed": plan.seed + seed}))
    told: list[str] = []
    return StudyRun(changed, open_study(changed, store, restart=True), told.append), told


def command(plan, monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["recsweep", *words, "--storage", str(plan.storage_url)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code


def away(monkeypatch):
    def names(bucket, folder):
        raise ConnectionError("nobody answers")

    monkeypatch.setattr(depots, "ASK_SECONDS", 0.05)
    monkeypatch.setattr(Bucket, "names", names)


def test_the_prefix_of_a_record_is_the_keepers(plan, store, depot, tmp_path):
    from recsweep.running.keeping import keeper_of

    assert keeper_of(plan).mirror.depot == f"{depot}/{sent(plan, store, depot, tmp_path)}"


def test_an_archived_studys_weights_are_kept_apart_there(plan, store, depot, tmp_path):
    sent(plan, store, depot, tmp_path)
    run, told = restarted(plan, store)
    (archive,) = [name for name in store.names() if "@" in name]
    for _ in range(2):  # the second time finds nothing to do
        keep_apart_there(run)
    apart = f"s/toy/NARM/@{archive.rpartition('@')[2]}"
    assert Bucket(depot).names("") == [f"{apart}/trial-0/best.pth", f"{apart}/trial-0/manifest.json"]
    assert told == []
    sent_of(store.find_record(archive), store).remove(print)
    assert Bucket(depot).names("") == []


def test_the_next_run_moves_what_a_place_away_kept(plan, store, depot, tmp_path, monkeypatch):
    sent(plan, store, depot, tmp_path)
    run, told = restarted(plan, store)
    with monkeypatch.context() as patched:
        away(patched)
        keep_apart_there(run)
    (line,) = told
    assert line.endswith("are not moved (ConnectionError: nobody answers); the next run tries again")
    keep_apart_there(run)
    assert all("/@" in name for name in Bucket(depot).names(""))


def test_a_successor_of_the_same_definition_keeps_what_is_its_own(plan, store, depot, tmp_path):
    prefix = sent(plan, store, depot, tmp_path, scores=(None,) * plan.budget)
    run, _ = restarted(plan, store, seed=0)
    (archive,) = [name for name in store.names() if "@" in name]
    fill(plan, store, [0.2], study=run.study)
    keep_apart_there(run)
    sent_of(store.find_record(archive), store).remove(print)
    assert Bucket(depot).names("") == [f"{prefix}/{name}" for name in FILES]


def test_mv_takes_them_along_and_rm_removes_them(plan, store, depot, tmp_path, monkeypatch):
    sent(plan, store, depot, tmp_path)
    command(plan, monkeypatch, "mv", plan.name, "mine")
    prefix = prefix_in_depot(store.find_record("mine"))
    assert "study-mine" in prefix
    assert Bucket(depot).names("") == [f"{prefix}/{name}" for name in FILES]
    command(plan, monkeypatch, "rm", "mine", "--yes")
    assert Bucket(depot).names("") == []


def test_rm_does_without_a_place_that_is_away(plan, store, depot, tmp_path, monkeypatch, capsys):
    prefix = sent(plan, store, depot, tmp_path)
    away(monkeypatch)
    command(plan, monkeypatch, "rm", plan.name, "--yes")
    assert store.find_record(plan.name) is None
    said = [line for line in capsys.readouterr().out.splitlines() if depot in line]
    assert said == [
        f"its checkpoints at {depot}/{prefix} are not removed (ConnectionError: nobody answers); "
        "remove them there by hand"
    ]
