"""A study that is stopped while workers are at it: what runs, what waits, and how it goes on."""

from __future__ import annotations

import io
import threading

import pytest

from helpers.thread_workers import ThreadWorkers
from recsweep.common.errors import StudyStopped, SweepPaused
from recsweep.common.interrupts import AskedToLeave
from recsweep.common.owner import this_process
from recsweep.running import child, crew, worker
from recsweep.running.commands import Stop
from recsweep.running.events import EpochDone, Idle, Interrupted, Started
from recsweep.running.progress import Display
from recsweep.running.supervisor import Supervisor
from recsweep.running.worker import Worker
from recsweep.study import Reason, Store, raise_flag, stop_flag, take_back
from recsweep.training import training

EPOCHS = 3


def serve(pipe):
    pipe.send(Started(0))
    inbox = child.Inbox(pipe)
    child.serve(inbox, Worker(this_process(), pipe.send, inbox.stop))


@pytest.fixture
def plan(make_plan, monkeypatch):
    """A study of four trials, each of three epochs that take no time."""

    def train(settings, split, device, after_epoch, **named):
        for epoch in range(1, EPOCHS + 1):
            after_epoch(epoch, 0.1)
        return training.Trained(
            score=0.1,
            metrics={"ndcg@10": 0.1},
            best_epoch=1,
            epochs=EPOCHS,
            seconds=0.1,
            path="stand-in",
            best={},
            last={},
        )

    monkeypatch.setattr(training, "train", train)
    monkeypatch.setattr(training, "save_checkpoints", lambda folder, trained: True)
    monkeypatch.setattr(worker, "evaluate_winner", lambda *args, **more: {"ndcg@10": 0.5})
    monkeypatch.setattr(stop_flag, "ASK_SECONDS", 0.0)
    return make_plan(max_evals=4)


@pytest.fixture
def study(plan):
    store = Store(plan.storage_url)
    study = store.open_study(plan.name, plan.definition, maximize=True)
    study.ensure_slots(plan.budget)
    yield study
    store.close()


def supervise(plan, said):
    with Supervisor(Display(stream=said), ThreadWorkers(serve)) as supervisor:
        return supervisor.run_study(plan, 1, 1)


def at_epoch_two(monkeypatch, study, **how):
    """Ask to stop when the second epoch of the first trial has ended."""
    report = type(study).report_all

    def reporting(self, claim, scores, *more):
        if (claim.slot, claim.attempt, max(scores)) == (0, 0, 2):
            raise_flag(study, **how)
        return report(self, claim, scores, *more)

    monkeypatch.setattr(type(study), "report_all", reporting)


def test_a_stopped_study_finishes_what_runs_and_begins_no_other(plan, study, monkeypatch):
    at_epoch_two(monkeypatch, study, now=False)
    with pytest.raises(StudyStopped, match=r"stopped, as `recsweep stop` asked at .* again") as caught:
        supervise(plan, io.StringIO())
    assert caught.value.exit_code == 3
    assert [trial.slot for trial in study.results()] == [0]
    assert study.open_slots(plan.budget) == 3


def test_a_study_stopped_now_loses_nothing_and_blames_nobody(plan, study, monkeypatch):
    at_epoch_two(monkeypatch, study, now=True)
    said = io.StringIO()
    with pytest.raises(StudyStopped):
        supervise(plan, said)
    assert "trial 0: told to stop at epoch 2; its slot waits" in said.getvalue()
    (ended,) = [trial for trial in study.trials() if trial.state == "failed"]
    assert (ended.counted, ended.failure.kind) == (False, Reason.INTERRUPTED)
    again = study.slots()[0]
    assert (again.state, again.attempt, again.crashes) == ("waiting", 1, 0)
    assert study.open_slots(plan.budget) == 4
    with pytest.raises(StudyStopped):
        supervise(plan, io.StringIO())
    assert study.results() == [], "the flag stands"
    assert take_back(study)
    assert supervise(plan, io.StringIO()) == {"ndcg@10": 0.5}
    assert [trial.slot for trial in study.results()] == [0, 1, 2, 3]


def test_a_flag_for_everything_ends_the_run(plan, study):
    raise_flag(study, now=True, everything=True)
    with pytest.raises(SweepPaused, match="recsweep stop") as caught:
        supervise(plan, io.StringIO())
    assert not isinstance(caught.value, StudyStopped)


def test_a_worker_that_joins_heeds_the_flag(plan, study):
    raise_flag(study, now=False)
    with Supervisor(Display(stream=io.StringIO()), ThreadWorkers(serve)) as supervisor:
        with pytest.raises(StudyStopped):
            supervisor.join_study(plan, 1, 1)
        assert supervisor._crew.members == [], "nobody was started for it"


def test_a_complete_study_has_nothing_to_stop(plan, study):
    supervise(plan, io.StringIO())
    raise_flag(study, now=True)
    assert supervise(plan, io.StringIO()) == {"ndcg@10": 0.5}


@pytest.mark.parametrize("now", [True, False])
def test_a_command_to_stop_is_heeded_at_the_end_of_an_epoch(plan, study, now):
    events = []

    def send(event):
        events.append(event)

    def asked():
        return Stop(now) if EpochDone(0, 1, 0.1) in events else None

    Worker(this_process(), send, asked).search(plan)
    epochs = [event.epoch for event in events if isinstance(event, EpochDone)]
    assert epochs == ([1] if now else [1, 2, 3])
    assert (Interrupted(0, "told to stop at epoch 1") in events) == now
    assert events[-1] == Idle()
    assert study.open_slots(plan.budget) == (4 if now else 3)


@pytest.mark.parametrize(
    ("least", "said"), [(0.0, "told to stop at epoch 2"), (30.0, "the sweep was stopped")]
)
def test_sigterm_waits_for_the_epoch_of_a_long_trial(plan, study, monkeypatch, least, said):
    """A short one has nothing to lose, and goes back as it is."""
    begun, asked = threading.Event(), threading.Event()

    class Asked(ThreadWorkers):
        def send(self, number, command):
            super().send(number, command)
            if isinstance(command, Stop):
                asked.set()

    def train(settings, split, device, after_epoch, **named):
        after_epoch(1, 0.1)
        begun.set()
        asked.wait(2.0)
        after_epoch(2, 0.1)
        raise AssertionError("it goes on")

    def beat(self, run):
        if begun.is_set():
            raise AskedToLeave

    monkeypatch.setattr(training, "train", train)
    monkeypatch.setattr(Supervisor, "_beat", beat)
    monkeypatch.setattr(crew, "LEAST_SECONDS", least)
    with Supervisor(Display(stream=io.StringIO()), Asked(serve)) as supervisor, pytest.raises(AskedToLeave):
        supervisor.run_study(plan, 1, 1)
    (ended,) = [trial for trial in study.trials() if trial.state == "failed"]
    assert (ended.slot, ended.failure.kind, ended.failure.message) == (0, Reason.INTERRUPTED, said)
    assert study.open_slots(plan.budget) == 4
