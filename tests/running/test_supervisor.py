"""What the parent of the workers decides from the store; the rest is in end_to_end/test_supervision.py."""

from __future__ import annotations

import io

import pytest

from helpers.phased import fill, workspace
from helpers.thread_workers import ThreadWorkers
from recsweep.common.errors import RecsweepError, SweepPaused
from recsweep.running.events import Note
from recsweep.running.progress import Display
from recsweep.running.study_run import StudyRun
from recsweep.running.supervisor import Supervisor
from recsweep.search.starts import begin, open_study


def pause(plan, study):
    with Supervisor(Display(stream=io.StringIO())) as supervisor:
        supervisor._reactions.pause_if_all_fail(StudyRun(plan, study, print))


def test_a_study_pauses_when_all_its_first_trials_fail_alike(tmp_path, store):
    plan = workspace(tmp_path, "max_evals: 9").plan()
    fill(plan, store, [None, None])
    study = store.find_study(plan.name)
    pause(plan, study)
    fill(plan, store, [None])
    with pytest.raises(SweepPaused, match="the first 3 trials all failed alike; the loss is NaN; correct"):
        pause(plan, study)
    assert study.results() == [], "their slots are back in the budget"
    assert study.open_slots(plan.budget) == 9


def test_an_inherited_trial_hides_no_failures(tmp_path, store):
    coarse, loss = workspace(tmp_path, "phases: [coarse, loss], max_evals: 9").plans()
    fill(coarse, store, [0.1] * 5)
    begun, origin = begin(loss, store)
    study = open_study(begun, store, origin=origin)
    fill(begun, store, [None, None, None], study=study)
    with pytest.raises(SweepPaused, match="the first 3 trials all failed alike"):
        pause(begun, study)
    assert [trial.slot for trial in study.results()] == [0], "what was inherited stays"
    assert study.open_slots(begun.budget) == 4


def test_one_success_is_no_reason_to_pause(tmp_path, store):
    plan = workspace(tmp_path, "max_evals: 9").plan()
    fill(plan, store, [None, 0.1, None, None])
    pause(plan, store.find_study(plan.name))
    assert len(store.find_study(plan.name).results()) == 4


def test_a_note_of_all_workers_is_said_once(tmp_path, store):
    plan = workspace(tmp_path).plan()
    fill(plan, store, [0.1])
    said = io.StringIO()
    with Supervisor(Display(stream=said), ThreadWorkers(lambda pipe: None)) as supervisor:
        run = StudyRun(plan, store.find_study(plan.name), supervisor._display.line)
        for member in supervisor._crew.take(plan, 2):
            for text in ("toy/NARM: trained by compiled", f"of worker {member.number}"):
                supervisor._reactions.take(run, member, Note(text))
    assert said.getvalue().splitlines() == ["toy/NARM: trained by compiled", "of worker 1", "of worker 2"]


def test_an_unknown_event_is_an_error(tmp_path, store):
    plan = workspace(tmp_path).plan()
    fill(plan, store, [])
    with Supervisor(Display(stream=io.StringIO()), ThreadWorkers(lambda pipe: None)) as supervisor:
        (member,) = supervisor._crew.take(plan, 1)
        run = StudyRun(plan, store.find_study(plan.name), print)
        with pytest.raises(RecsweepError, match="a message that is none of ours: 'ready'"):
            supervisor._reactions.take(run, member, "ready")
