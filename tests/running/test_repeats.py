"""A configuration is trained once in a study; a proposal of it again is answered by the store."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from helpers.phased import fill
from helpers.workspace import NARM, make_workspace
from recsweep.common.owner import this_process
from recsweep.running.history import search_of, take
from recsweep.running.study_run import StudyRun
from recsweep.study import Store


@pytest.fixture
def begun(tmp_path, empty_store):
    """A study of three configurations whose first trial is done, and what it says."""
    sweep = "sweep: s\nmodels: [NARM]\ndatasets: [toy]\nsearch: {max_evals: 9, noise: false}\n"
    plan = make_workspace(tmp_path, sweep, NARM.replace("[1, 2]", "[1, 2, 3]")).plan()
    assert plan.budget == 3
    shutil.copy(empty_store, tmp_path / "store.db")
    store, said = Store(f"sqlite:///{tmp_path / 'store.db'}"), []
    study = store.open_study(plan.name, plan.definition, maximize=plan.directions)
    fill(plan, store, [0.25], study=study)
    yield StudyRun(plan, study, said.append), said
    store.close()


def test_the_log_says_which_trial_answers_a_repeat(begun):
    run, said = begun
    second, third = (run.study.claim(run.plan.budget, this_process()) for _ in range(2))
    search = search_of(run.plan, run.study)
    assert not take(run, search, second, {"n_layers": 1})
    assert take(run, search, second, {"n_layers": 2})
    assert not take(run, search, third, {"n_layers": 2})
    assert said == [
        "toy/NARM trial 1: n_layers 1 was proposed again, and is answered by trial 0 (NDCG@10 0.2500); "
        "another is proposed",
        "toy/NARM trial 2: n_layers 2 was proposed again, and is answered by trial 1 (which trains it); "
        "another is proposed",
    ]


def test_true_is_no_repeat_of_a_start_with_one(begun):
    run, said = begun
    claim = run.study.claim(run.plan.budget, this_process())
    search = replace(search_of(run.plan, run.study), known_good=({"n_layers": 1}, {"n_layers": True}))
    assert not take(run, search, claim, {"n_layers": True})
    assert "answered by trial 1" in said[0]
    search = replace(search, known_good=({"n_layers": True},))
    assert take(run, search, claim, {"n_layers": 2})
    assert len(said) == 1
