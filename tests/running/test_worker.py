"""A worker: fills slots, turns what goes wrong into results, and never blames a trial for the disk."""

from __future__ import annotations

import errno
import io
import types
from multiprocessing import Pipe
from pathlib import Path

import pytest
import torch

from recsweep.common.errors import StoreUnavailable, SweepPaused, TrialDiverged
from recsweep.common.owner import this_process
from recsweep.running import child
from recsweep.running.commands import Stop
from recsweep.running.events import Claimed, EpochDone, Evaluated, Idle, Note, PutBack, Ready, TrialDone
from recsweep.running.failures import classify
from recsweep.running.worker import Worker
from recsweep.study import Claim, Failure, Reason, Store
from recsweep.training import training


def raised(error: Exception) -> Exception:
    try:
        raise error
    except Exception as caught:
        return caught


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (
            TrialDiverged("the training loss is NaN in epoch 2"),
            Reason.DIVERGED,
            "the training loss is NaN in epoch 2",
        ),
        (MemoryError("4 GiB"), Reason.OUT_OF_MEMORY, "out of memory: 4 GiB"),
        (
            torch.cuda.OutOfMemoryError("CUDA out of memory"),
            Reason.OUT_OF_MEMORY,
            "out of memory: CUDA out of memory",
        ),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
            Reason.OUT_OF_MEMORY,
            "allocate",
        ),
        (RuntimeError("CUDA error: out of memory"), Reason.OUT_OF_MEMORY, "out of memory: CUDA error"),
        (
            RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
            Reason.OUT_OF_MEMORY,
            "out of memory: CUDA error: CUBLAS_STATUS_ALLOC_FAILED",
        ),
        (ValueError("bad shape\nwith details"), Reason.ERROR, "ValueError at test_worker.py:"),
        (FileNotFoundError(errno.ENOENT, "no such file", "x.inter"), Reason.ERROR, "no such file"),
    ],
)
def test_a_trials_own_fault_has_a_kind_and_one_line(error, kind, message):
    found, text = classify(raised(error))
    assert found == kind
    assert message in text
    assert "\n" not in text


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_a_full_disk_is_no_trials_fault(number):
    with pytest.raises(SweepPaused, match="no trial is lost") as caught:
        classify(raised(OSError(number, "cannot write", "/somewhere/x.pth")))
    assert "/somewhere/x.pth" in str(caught.value)
    assert caught.value.exit_code == 3


def test_a_store_that_is_away_is_no_trials_fault():
    with pytest.raises(StoreUnavailable):
        classify(raised(StoreUnavailable("the store cannot be used")))


@pytest.fixture
def run(make_plan):
    """Runs a worker on a study in this process; gives its events, the plan and the study."""
    stores = []

    def run(budget=2, stop=lambda: None, on_event=lambda event, study: None, **overrides):
        plan = make_plan(max_evals=budget, **overrides)
        store = Store(plan.storage_url)
        stores.append(store)
        study = store.open_study(plan.name, plan.definition, maximize=plan.maximize)
        study.ensure_slots(plan.budget)
        events = []

        def send(event):
            events.append(event)
            on_event(event, study)

        worker = Worker(this_process(), send, stop)
        worker.search(plan)
        return events, plan, study, worker

    yield run
    for store in stores:
        store.close()


def kinds(events):
    return [type(event) for event in events if not isinstance(event, Note)]


def test_a_worker_fills_every_slot_and_tells_of_each_step(run):
    events, plan, study, _ = run(budget=2)
    step = [Claimed, EpochDone, TrialDone]
    assert kinds(events) == [Ready, *step, *step, Idle]
    first, second = study.results()
    assert first.params == plan.defaults
    assert second.params != plan.defaults
    assert [trial.seed for trial in (first, second)] == [plan.trial_seed(0), plan.trial_seed(1)]
    assert first.result.metrics["ndcg@10"] == first.score == first.curve[1]
    assert not any("test" in name for name in first.result.metrics)
    assert first.environment["versions"]["recbole"] == "1.2.1"
    assert study.attributes["data"]["users"] > 1, "for those who look at it without the data"
    assert study.attributes["data"]["items"] > 1


def test_only_the_weights_of_the_best_trial_stay(run):
    _, plan, study, _ = run(budget=3)
    folder = plan.outputs.checkpoints(plan.dataset_name, plan.model_name)
    scores = {trial.slot: trial.score for trial in study.results()}
    best = max(scores, key=lambda slot: (scores[slot], -slot))
    assert [path.name for path in folder.iterdir()] == [f"trial-{best}"]
    assert sorted(path.name for path in (folder / f"trial-{best}").iterdir()) == [
        "best.pth",
        "last.pth",
        "manifest.json",
    ]


def test_a_trial_that_fails_is_recorded_and_the_study_goes_on(run, monkeypatch):
    real, calls = training.train, []

    def fail_once(*args, **named):
        calls.append(args)
        if len(calls) == 1:
            raise ValueError("the shapes do not match")
        return real(*args, **named)

    monkeypatch.setattr(training, "train", fail_once)
    events, plan, study, _ = run(budget=2)
    failed, fine = study.results()
    assert failed.failure.kind == Reason.ERROR
    assert "the shapes do not match" in failed.failure.message
    assert fine.score is not None
    ended = [event for event in events if isinstance(event, TrialDone)]
    assert [event.score for event in ended] == [None, fine.score]
    assert [event.params for event in ended] == [failed.params, fine.params]
    assert ended[0].traceback == failed.failure.traceback
    kept = Path(ended[0].traceback)
    assert kept.is_relative_to(plan.outputs.logs)
    assert f"study: {plan.name}\ntrial: 0\nparameters: {{" in kept.read_text()
    assert "in fail_once\n" in kept.read_text(), "where it went wrong"
    assert "ValueError: the shapes do not match" in kept.read_text()


def test_a_diverging_trial_is_recorded_with_its_reason(run, monkeypatch):
    real = training.train
    monkeypatch.setattr(
        training,
        "train",
        lambda settings, *rest, **named: real({**settings, "learning_rate": 1e30}, *rest, **named),
    )
    _, _, study, _ = run(budget=1)
    (trial,) = study.results()
    assert trial.failure == Failure(Reason.DIVERGED, "the training loss is NaN in epoch 1")


def test_a_full_disk_ends_the_worker_and_keeps_the_trial(run, monkeypatch):
    def full(folder, trained):
        raise OSError(errno.ENOSPC, "No space left on device", str(folder))

    monkeypatch.setattr(training, "save_checkpoints", full)
    seen = []
    with pytest.raises(SweepPaused, match="free some space"):
        run(budget=2, on_event=lambda event, study: seen.append(study))
    assert [trial.state for trial in seen[0].trials()] == ["complete", "waiting"]


def test_a_trial_that_was_closed_meanwhile_is_dropped(run):
    def give_up(event, study):
        if isinstance(event, Claimed) and event.claim.attempt == 0:
            assert study.put_back(event.claim, "taken for dead")

    events, _, study, _ = run(budget=1, on_event=give_up)
    notes = [event.text for event in events if isinstance(event, Note)]
    assert any("closed by another process; this result is dropped" in note for note in notes)
    (trial,) = study.results()
    assert (trial.state, trial.attempt) == ("complete", 1)
    assert study.ensure_slots(1) == 0


def test_a_process_taken_for_dead_again_and_again_stops(run):
    given_up = []

    def give_up(event, study):
        if isinstance(event, Claimed):
            given_up.append(event.claim.slot)
            assert study.put_back(event.claim, "taken for dead")

    with pytest.raises(SweepPaused, match="3 trials one after the other were put back by another process"):
        run(budget=1, on_event=give_up)
    assert given_up == [0, 0, 0]


def test_a_trial_closed_while_it_trains_ends_at_its_next_epoch(run):
    def give_up(event, study):
        if isinstance(event, EpochDone) and event.epoch == 1:
            for trial in study.trials():
                if trial.state == "running" and trial.attempt == 0:
                    study._close(trial.id, Failure(Reason.INTERRUPTED, "taken for dead"))

    events, _, study, _ = run(budget=1, epochs=4, on_event=give_up)
    assert [event.epoch for event in events if isinstance(event, EpochDone)] == [1]
    assert not [event for event in events if isinstance(event, TrialDone)]
    assert study.results() == []
    assert study.ensure_slots(1) == 1, "the slot is open again"


def test_a_workers_log_holds_what_it_said(monkeypatch):
    log, told = io.StringIO(), []
    monkeypatch.setattr("sys.stdout", log)
    failed = TrialDone(3, None, 0, 1.5, "ValueError: no", params={"n_layers": 2}, traceback="logs/t.txt")
    events = [
        Ready("cpu", "cached"),
        Claimed(Claim(1, 3, 2, 0)),
        EpochDone(3, 1, 0.5),
        failed,
        TrialDone(4, 0.25, 1, 2.0),
        Note("trained by compiled"),
        PutBack(5, "out of memory"),
        Evaluated({"ndcg@10": 0.5}),
        Idle(),
    ]
    for event in events:
        child._tell(types.SimpleNamespace(send=told.append), event)
    assert told == events
    assert [line.split(" ", 1)[1] for line in log.getvalue().splitlines()] == [
        "on cpu, data cached",
        "trial 3, attempt 2",
        "trial 3 failed: ValueError: no; traceback in logs/t.txt; 0 epochs, 1.5 s, {'n_layers': 2}",
        "trial 4 0.2500; 1 epoch, 2.0 s, {}",
        "trained by compiled",
        "trial 5 is put back: out of memory",
        "the winner on the test split: ndcg@10 0.5000",
    ]


def test_a_worker_that_is_told_to_stop_claims_nothing(run):
    events, _, study, _ = run(budget=2, stop=Stop)
    assert kinds(events) == [Ready, Idle]
    assert study.open_slots(2) == 2


def test_a_worker_retires_after_its_share_of_trials(run, make_plan, monkeypatch):
    monkeypatch.setattr(Worker, "count_trial", lambda self, limit: True)
    events, _, study, _ = run(budget=3)
    assert events[-1] == Idle(retired=True)
    assert len(study.results()) == 1
    assert study.open_slots(3) == 2


def test_a_worker_evaluates_the_winner_of_a_closed_study(run):
    events, plan, study, worker = run(budget=1)
    worker.evaluate(plan)
    assert isinstance(events[-1], Evaluated)
    assert study.attributes["test"]["metrics"] == events[-1].metrics
    assert study.attributes["test"]["weights"] == "restored"


def test_two_runs_of_one_study_end_with_the_same_results(run, tmp_path):
    first, second = (run(budget=3, outputs=tmp_path / name)[2].results() for name in ("a", "b"))
    assert [(t.params, t.seed, t.score) for t in first] == [(t.params, t.seed, t.score) for t in second]


def test_a_worker_whose_supervisor_is_gone_ends_and_blames_no_trial(monkeypatch):
    """What raised in a trial would else be the trial's failure, and a result."""
    codes: list[int] = []
    monkeypatch.setattr(child.os, "_exit", codes.append)
    ours, theirs = Pipe()
    ours.close()
    child._tell(theirs, EpochDone(0, 1, 0.5))
    assert codes == [1]
