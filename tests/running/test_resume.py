"""A trial whose worker was stopped or killed: the next trial of its slot goes on from its last epoch."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from recsweep.checkpoints.bucket import Bucket
from recsweep.checkpoints.manifest import facts_of
from recsweep.checkpoints.units import Unit
from recsweep.common.owner import this_process
from recsweep.running import resume
from recsweep.running.commands import Stop
from recsweep.running.evaluate import evaluate_winner
from recsweep.running.events import EpochDone, Interrupted, Note
from recsweep.running.left_over import settle
from recsweep.running.study_run import StudyRun
from recsweep.running.worker import Worker
from recsweep.search.engines.base import Search
from recsweep.study import TEST_ATTRIBUTE, Store, claim_of
from recsweep.training import training
from recsweep.training.state import TrialState

EPOCHS = 5


class Killed(BaseException):
    """Ends a worker in the middle of a trial; nobody catches it."""


@pytest.fixture
def study_of():
    """The study of a plan, opened in its store."""
    stores = []

    def find(plan):
        store = Store(plan.storage_url)
        stores.append(store)
        study = store.open_study(plan.name, plan.definition, maximize=plan.maximize)
        study.ensure_slots(plan.budget)
        return study

    yield find
    for store in stores:
        store.close()


@pytest.fixture
def plans(make_plan, tmp_path, study_of):
    """One study twice, in folders of their own."""
    made = [
        make_plan(max_evals=1, epochs=EPOCHS, patience=9, outputs=tmp_path / name)
        for name in ("whole", "broken")
    ]
    for plan in made:
        study_of(plan)
    return made


@pytest.fixture
def often(monkeypatch):
    """A state of each epoch, on the disk before the next one begins."""
    monkeypatch.setattr(resume.Resume, "keep_now_and_then", resume.Resume.keep)


@pytest.fixture
def machines(make_plan, tmp_path, study_of):
    """A study of its own, and one as two machines have it that share a store and a place."""
    shared = {"storage": f"sqlite:///{tmp_path}/shared.db", "checkpoints": str(tmp_path / "share")}
    made = [
        make_plan(max_evals=1, epochs=EPOCHS, patience=9, outputs=tmp_path / name, **given)
        for name, given in (("whole", {}), ("first", shared), ("second", shared))
    ]
    for plan in made:
        study_of(plan)
    return made


def work(plan, *, stop_at=None, killed_at=None):
    """A worker's events, until its end."""
    events = []

    def send(event):
        events.append(event)
        if isinstance(event, EpochDone) and event.epoch == killed_at:
            raise Killed

    def stop():
        seen = [event.epoch for event in events if isinstance(event, EpochDone)]
        return Stop(now=True) if stop_at is not None and stop_at in seen else None

    worker = Worker(this_process(), send, stop)
    try:
        worker.search(plan)
    except Killed:
        worker.hands.writer.settle(10)  # what was given to the disk gets there
        return events
    worker.close()
    return events


def epochs(events):
    return [event.epoch for event in events if isinstance(event, EpochDone)]


def folder(plan):
    return plan.outputs.checkpoints(*plan.folder_names) / "resume" / "slot-0"


def state_file(plan):
    """The latest of them."""
    return max(folder(plan).glob("*.pt"))


def rewritten(file, **changes):
    """Another state in its place, with a manifest that fits."""
    dataclasses.replace(TrialState.load(file), **changes).save(file)
    unit = Unit(file.parent, file.stem)
    unit.write(dataclasses.replace(unit.manifest(), files={file.name: facts_of(file)}))


def outcome(plan, study):
    (trial,) = study.results()
    weights = training.load_checkpoint(plan.outputs.trial_checkpoints(*plan.folder_names[:2], 0))
    numbers = {name: one.tolist() for name, one in weights["state_dict"].items()}
    found = dataclasses.replace(trial.result, seconds=None, energy=None)
    return trial.score, trial.seed, trial.params, found, trial.curve, numbers


def put_back(study):
    (trial,) = study.running()
    assert study.put_back(claim_of(trial), "its process is gone")


def test_a_trial_that_was_told_to_stop_goes_on_where_it_was(plans, study_of):
    whole, broken = plans
    work(whole)
    first = work(broken, stop_at=2)
    assert isinstance(first[-2], Interrupted)
    assert state_file(broken).is_file()
    second = work(broken)
    assert epochs(first) == [1, 2]
    assert epochs(second) == [3, 4, 5]
    assert any(isinstance(one, Note) and "goes on after epoch 2" in one.text for one in second)
    assert outcome(broken, study_of(broken)) == outcome(whole, study_of(whole))
    assert not folder(broken).parent.exists()


def test_a_killed_trial_goes_on_from_what_was_written_last(plans, study_of, often):
    whole, broken = plans
    work(whole)
    study = study_of(broken)
    assert epochs(work(broken, killed_at=2)) == [1, 2]
    put_back(study)
    assert epochs(work(broken, killed_at=4)) == [2, 3, 4]
    put_back(study)
    assert epochs(work(broken)) == [4, 5]
    assert outcome(broken, study) == outcome(whole, study_of(whole))
    assert not folder(broken).exists()


def test_short_trials_write_no_state(plans, monkeypatch):
    _, broken = plans
    monkeypatch.setattr(TrialState, "save", None)
    assert epochs(work(broken)) == [1, 2, 3, 4, 5]


def other_settings(file):
    rewritten(file, settings={**TrialState.load(file).settings, "learning_rate": 0.5})


def other_code(file):
    rewritten(file, of="another")


def damaged(file):
    file.write_bytes(file.read_bytes()[:-9])


def no_manifest(file):
    Unit(file.parent, file.stem).path.unlink()


CHANGES = [other_settings, other_code, damaged, no_manifest]
"""What else may be wrong, tests/checkpoints looks at without training."""


def notes(events):
    return [event.text for event in events if isinstance(event, Note)]


@pytest.mark.parametrize("change", CHANGES)
def test_a_state_of_something_else_is_removed(plans, change):
    _, broken = plans
    work(broken, stop_at=1)
    change(state_file(broken))
    events = work(broken)
    assert epochs(events) == [1, 2, 3, 4, 5]
    assert not folder(broken).exists()
    assert change is no_manifest or any("is not used, as" in text for text in notes(events))


def test_the_state_before_a_damaged_one_is_taken(plans, study_of, often):
    whole, broken = plans
    work(whole)
    work(broken, killed_at=4)
    assert [path.stem[:13] for path in sorted(folder(broken).glob("*.pt"))] == [
        "epoch-0000002",
        "epoch-0000003",
    ]
    damaged(state_file(broken))
    put_back(study_of(broken))
    assert epochs(work(broken)) == [3, 4, 5]
    assert outcome(broken, study_of(broken)) == outcome(whole, study_of(whole))


def test_a_state_that_cannot_be_written_costs_nothing_else(plans, monkeypatch):
    def full(self, path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(TrialState, "save", full)
    _, broken = plans
    assert isinstance(work(broken, stop_at=2)[-2], Interrupted)
    assert epochs(work(broken)) == [1, 2, 3, 4, 5]


def test_a_disk_that_has_room_again_is_written_again(plans, study_of, often, monkeypatch):
    real, tried = TrialState.save, []

    def save(self, path):
        tried.append(self.epoch)
        if self.epoch == 1:
            raise RuntimeError("[enforce fail at inline_container.cc:664] . unexpected pos")
        real(self, path)

    monkeypatch.setattr(TrialState, "save", save)
    _, broken = plans
    work(broken, stop_at=3)
    assert TrialState.load(state_file(broken)).epoch == 3
    assert 1 in tried
    assert epochs(work(broken)) == [4, 5]


def remote(plan):
    """The names at the place, without the study's own folder."""
    found = Path(plan.sweep.checkpoints.path).rglob("*")
    return sorted(f"{path.parent.name}/{path.name}" for path in found if path.is_file())


def test_another_machine_goes_on_from_the_place(machines, study_of, often):
    whole, first, second = machines
    work(whole)
    assert epochs(work(first, killed_at=4)) == [1, 2, 3, 4]
    put_back(study_of(first))
    again = work(second)
    assert epochs(again) == [4, 5]
    assert notes(again)[:1] == [f"{second.label} trial 0: goes on after epoch 3, where it was left"]
    assert outcome(second, study_of(second)) == outcome(whole, study_of(whole))
    assert remote(second) == ["trial-0/best.pth", "trial-0/last.pth", "trial-0/manifest.json"]


def test_a_winner_is_tested_with_the_weights_at_the_place(machines, study_of):
    _, first, second = machines
    work(first)
    said = []
    run = StudyRun(second, study_of(second), said.append)
    evaluate_winner(run, torch.device("cpu"))
    assert run.study.attributes[TEST_ATTRIBUTE]["weights"] == "restored"
    assert said == []


def test_a_place_that_is_away_costs_no_trial(machines, study_of, monkeypatch):
    monkeypatch.setattr(Bucket, "_open", lambda self: 1 / 0)
    monkeypatch.setattr("recsweep.running.trial_run.SENT_SECONDS", 0.1)
    monkeypatch.setattr("recsweep.running.worker.LAST_SECONDS", 0.1)
    monkeypatch.setattr("recsweep.checkpoints.keeper.ASK_SECONDS", 0.1)
    monkeypatch.setattr("recsweep.checkpoints.keeper.ASK_AGAIN_SECONDS", 0.1)
    _, first, _ = machines
    assert isinstance(work(first, stop_at=2)[-2], Interrupted)
    again = work(first)
    assert epochs(again) == [3, 4, 5]
    assert "cannot be asked for a checkpoint (ZeroDivisionError" in " ".join(notes(again))
    (trial,) = study_of(first).results()
    assert trial.score is not None
    said = []
    assert not settle(StudyRun(first, study_of(first), said.append), 0.2)
    assert "1 checkpoint could not be sent to" in said[-1]


def test_a_trial_keeps_the_parameters_that_it_was_begun_with(plans, study_of, often, monkeypatch):
    whole, broken = plans
    work(whole)
    work(broken, killed_at=3)
    put_back(study_of(broken))
    fixed = Search.fixed
    monkeypatch.setattr(Search, "fixed", lambda self, slot: {**fixed(self, slot), "learning_rate": 0.005})
    again = work(broken)
    assert epochs(again) == [3, 4, 5]
    assert "keeps the parameters that it was begun with" in notes(again)[0]
    assert outcome(broken, study_of(broken)) == outcome(whole, study_of(whole))


def test_without_a_checkpoint_another_proposal_is_taken(plans, study_of, monkeypatch):
    _, broken = plans
    work(broken, killed_at=3)
    put_back(study_of(broken))
    fixed = Search.fixed
    monkeypatch.setattr(Search, "fixed", lambda self, slot: {**fixed(self, slot), "learning_rate": 0.005})
    assert epochs(work(broken)) == [1, 2, 3, 4, 5]
    (trial,) = study_of(broken).results()
    assert trial.params["learning_rate"] == 0.005
