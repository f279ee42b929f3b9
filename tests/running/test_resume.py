"""A trial whose worker was stopped or killed: the next trial of its slot goes on from its last epoch."""

from __future__ import annotations

import dataclasses

import pytest

from recsweep.common.owner import this_process
from recsweep.running import resume
from recsweep.running.commands import Stop
from recsweep.running.events import EpochDone, Interrupted, Note
from recsweep.running.worker import Worker
from recsweep.study import Store, claim_of
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

    try:
        Worker(this_process(), send, stop).search(plan)
    except Killed:
        return events
    return events


def epochs(events):
    return [event.epoch for event in events if isinstance(event, EpochDone)]


def state_file(plan):
    dataset, model, phase = plan.folder_names
    return plan.outputs.trial_state(dataset, model, 0, phase)


def outcome(plan, study):
    (trial,) = study.results()
    weights = training.load_checkpoint(plan.outputs.trial_checkpoints(*plan.folder_names[:2], 0))
    numbers = {name: one.tolist() for name, one in weights["state_dict"].items()}
    found = dataclasses.replace(trial.result, seconds=None)
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
    assert not state_file(broken).parent.exists()


def test_a_killed_trial_goes_on_from_what_was_written_last(plans, study_of, monkeypatch):
    monkeypatch.setattr(resume, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(resume, "SHARE", 1e9)
    whole, broken = plans
    work(whole)
    study = study_of(broken)
    assert epochs(work(broken, killed_at=2)) == [1, 2]
    put_back(study)
    assert epochs(work(broken, killed_at=4)) == [2, 3, 4]
    put_back(study)
    assert epochs(work(broken)) == [4, 5]
    assert outcome(broken, study) == outcome(whole, study_of(whole))
    assert not state_file(broken).exists()


def test_short_trials_write_no_state(plans, monkeypatch):
    _, broken = plans
    monkeypatch.setattr(TrialState, "save", None)
    assert epochs(work(broken)) == [1, 2, 3, 4, 5]


def other_settings(file):
    state = TrialState.load(file)
    dataclasses.replace(state, settings={**state.settings, "learning_rate": 0.5}).save(file)


def other_study(file):
    dataclasses.replace(TrialState.load(file), of="another").save(file)


def damaged(file):
    file.write_bytes(file.read_bytes()[:-9])


@pytest.mark.parametrize("change", [other_settings, other_study, damaged])
def test_a_state_of_something_else_is_removed(plans, change):
    _, broken = plans
    work(broken, stop_at=2)
    change(state_file(broken))
    assert epochs(work(broken)) == [1, 2, 3, 4, 5]
    assert not state_file(broken).exists()


def test_a_state_that_cannot_be_written_costs_nothing_else(plans, monkeypatch):
    def full(self, path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(TrialState, "save", full)
    _, broken = plans
    assert isinstance(work(broken, stop_at=2)[-2], Interrupted)
    assert epochs(work(broken)) == [1, 2, 3, 4, 5]


def test_a_disk_that_has_room_again_is_written_again(plans, study_of, monkeypatch):
    monkeypatch.setattr(resume, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(resume, "SHARE", 1e9)
    real, tried = TrialState.save, []

    def save(self, path):
        tried.append(self.epoch)
        if self.epoch == 2:
            raise RuntimeError("[enforce fail at inline_container.cc:664] . unexpected pos")
        real(self, path)

    monkeypatch.setattr(TrialState, "save", save)
    _, broken = plans
    work(broken, killed_at=3)
    assert (tried, TrialState.load(state_file(broken)).epoch) == ([1, 2], 1)
    put_back(study_of(broken))
    assert epochs(work(broken)) == [2, 3, 4, 5]
