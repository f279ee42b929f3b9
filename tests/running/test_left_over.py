"""A study's checkpoints when its workers have left: stale states go, what is not sent is sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.phased import fill, workspace
from recsweep.common.owner import this_process
from recsweep.running.keeping import keeper_of
from recsweep.running.left_over import settle, tell_unsent
from recsweep.running.study_run import StudyRun
from recsweep.search.starts import open_study
from recsweep.study import Store


@pytest.fixture
def run(tmp_path):
    """A study of four slots that two trials have filled; `said` is what was told."""
    extra = f"checkpoints: {{path: {tmp_path}/share, keep_best: 1}}\n"
    plan = workspace(tmp_path, extra=extra).plan()
    store = Store(plan.storage_url)
    study = open_study(plan, store)
    fill(plan, store, [0.1, 0.2], study=study)
    said: list[str] = []
    run = StudyRun(plan, study, said.append)
    run.said = said
    yield run
    store.close()


def leave_state(run, slot, epoch=1):
    keeper = keeper_of(run.plan)
    keeper.slot(slot).mkdir(parents=True, exist_ok=True)
    keeper.mirror = None
    about = keeper.described(slot, 0, epoch, 0.5)
    keeper.write(about, lambda path: path.write_text("state"), 2)
    assert keeper.hands.writer.settle(10)


def leave_weights(run, slot):
    keeper = keeper_of(run.plan)
    unit = keeper.weights(slot)
    unit.folder.mkdir(parents=True)
    (unit.folder / "best.pth").write_text("weights")
    keeper.keep_weights(keeper.described(slot, 0, 1, 0.5))


def there(run):
    root = Path(run.plan.sweep.checkpoints.path)
    return sorted({path.parent.name for path in root.rglob("*.json")})


def test_stale_states_go_and_the_rest_is_sent(run):
    for slot in (0, 2):
        leave_state(run, slot)
    for slot in (0, 1):
        leave_weights(run, slot)
    assert settle(run, 10)
    keeper = keeper_of(run.plan)
    assert not keeper.slot(0).exists()
    assert keeper.slot(2).exists()
    assert [folder.name for folder in keeper.folder.glob("trial-*")] == ["trial-1"]
    assert there(run) == ["slot-2", "trial-1"]
    assert keeper.unsent() == []
    fill(run.plan, run.study.store, [0.3], study=run.study)
    assert settle(run, 10)
    assert there(run) == []
    assert run.said == []


def test_states_of_a_trial_that_runs_are_left_to_it(run):
    claim = run.study.claim(run.plan.budget, this_process())
    leave_state(run, claim.slot)
    assert not settle(run, 10)
    assert there(run) == []
    assert "1 checkpoint could not be sent" in run.said[-1]


def test_what_earlier_versions_left_of_filled_slots_goes(run):
    old = keeper_of(run.plan).folder / "resume" / "slot-1.pt"
    old.parent.mkdir(parents=True)
    old.write_text("state")
    assert settle(run, 10)
    assert not old.parent.exists()


def test_nothing_is_asked_where_nothing_is_to_do(run, monkeypatch):
    monkeypatch.setattr("recsweep.checkpoints.bucket.Bucket._open", lambda self: 1 / 0)
    assert settle(run, 10, worked=False)
    assert tell_unsent(run)
    assert run.said == []
