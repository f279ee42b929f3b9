"""What the parent of the workers decides from the store; the rest is in end_to_end/test_supervision.py."""

from __future__ import annotations

import io
import shutil

import pytest

from helpers.phased import fill, workspace
from recsweep.common.errors import SweepPaused
from recsweep.common.owner import this_process
from recsweep.running.events import Note
from recsweep.running.pool import Child
from recsweep.running.progress import Display, StudyView
from recsweep.running.supervisor import Supervisor
from recsweep.search.starts import begin, open_study
from recsweep.study import Store


@pytest.fixture
def store(tmp_path, empty_store):
    shutil.copy(empty_store, tmp_path / "recsweep.db")
    store = Store(f"sqlite:///{tmp_path / 'recsweep.db'}")
    yield store
    store.close()


def pause(plan, study):
    with Supervisor(Display(stream=io.StringIO())) as supervisor:
        supervisor._pause_if_all_fail(plan, study)


def test_a_study_pauses_when_its_first_trials_all_fail_alike(tmp_path, store):
    plan = workspace(tmp_path, "max_evals: 9").plan()
    fill(plan, store, [None, None])
    study = store.find_study(plan.name)
    pause(plan, study)
    fill(plan, store, [None])
    with pytest.raises(SweepPaused, match="the first 3 trials all failed alike; the loss is NaN; correct"):
        pause(plan, study)
    assert study.results() == [], "their slots are back in the budget"
    assert study.open_slots(plan.budget) == 9


def test_an_inherited_trial_does_not_hide_that_all_others_failed_alike(tmp_path, store):
    coarse, loss = workspace(tmp_path, "phases: [coarse, loss], max_evals: 9").plans()
    fill(coarse, store, [0.1] * 5)
    begun, origin = begin(loss, store)
    study = open_study(begun, store, origin=origin)
    fill(begun, store, [None, None, None], study=study)
    with pytest.raises(SweepPaused, match="the first 3 trials all failed alike"):
        pause(begun, study)
    assert [trial.slot for trial in study.results()] == [0], "what was inherited stays"
    assert study.open_slots(begun.budget) == 4


def test_a_success_among_them_is_no_reason_to_pause(tmp_path, store):
    plan = workspace(tmp_path, "max_evals: 9").plan()
    fill(plan, store, [None, 0.1, None, None])
    pause(plan, store.find_study(plan.name))
    assert len(store.find_study(plan.name).results()) == 4


def test_what_all_workers_find_is_said_once(tmp_path, store):
    plan = workspace(tmp_path).plan()
    fill(plan, store, [0.1])
    study, said = store.find_study(plan.name), io.StringIO()
    with Supervisor(Display(stream=said)) as supervisor:
        view = StudyView(plan.label, 1, 1, "NDCG@10", True, plan.budget)
        for number in (1, 2):
            child = Child(number, process=None, pipe=None, owner=this_process(), log=tmp_path / "log")
            for text in ("toy/NARM: trained by compiled", f"of worker {number}"):
                supervisor._handle(child, Note(text), plan, study, view)
    assert said.getvalue().splitlines() == ["toy/NARM: trained by compiled", "of worker 1", "of worker 2"]
