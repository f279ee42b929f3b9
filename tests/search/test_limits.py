"""Whether a study is closed, asked of a real store."""

from __future__ import annotations

import dataclasses
import time

from helpers.phased import fill, workspace
from recsweep.common.owner import this_process
from recsweep.search.limits import closed
from recsweep.search.starts import begin, open_study
from recsweep.study import Reason, Result

A_MOMENT = 0.02 / 60
"""Minutes; shorter than the trials that `run_for` makes."""


def limit_of(plan, store):
    """The limit that ended a study, opened if it was not."""
    study = store.open_study(plan.name, plan.definition, maximize=plan.directions)
    ended = closed(plan, study)
    return ended and ended.limit


def run_for(plan, store, seconds=0.05, finish=True):
    """A trial that takes so long by the store's clock."""
    study = open_study(plan, store)
    study.ensure_slots(plan.budget)
    claim = study.claim(plan.budget, this_process())
    study.start(claim, plan.defaults, plan.space, 1, {})
    time.sleep(seconds)
    if finish:
        study.finish(claim, 0.5, Result())
    return study, claim


def test_a_study_is_closed_when_every_slot_is_filled_however(tmp_path, store):
    plan = workspace(tmp_path, "max_evals: 3").plan()
    assert limit_of(plan, store) is None
    fill(plan, store, [0.1, None])
    assert limit_of(plan, store) is None
    fill(plan, store, [None])
    study = store.find_study(plan.name)
    assert closed(plan, study).reason == "max_evals=3: every slot is filled"
    assert closed(dataclasses.replace(plan, slots=4), study) is None, "a larger budget opens it again"


def test_an_inherited_trial_fills_its_slot(tmp_path, store):
    coarse, loss = workspace(tmp_path, "phases: [coarse, loss], max_evals: 4").plans()
    fill(coarse, store, [0.1, 0.2])
    begun, origin = begin(loss, store)
    study = open_study(begun, store, origin=origin)
    assert begun.budget == 3
    fill(begun, store, [0.1], study=study)
    assert closed(begun, study) is None
    fill(begun, store, [0.1], study=study)
    assert closed(begun, study).limit == "max_evals"


def test_a_study_is_closed_after_so_many_trials_that_were_not_better(tmp_path, store):
    space = workspace(tmp_path, "max_evals: 20, no_improvement_after: 3")
    plan = space.plan()
    fill(plan, store, [0.1, 0.3, 0.2, None])
    assert limit_of(plan, store) is None
    fill(plan, store, [0.3])
    study = store.find_study(plan.name)
    assert closed(plan, study).reason == "no_improvement_after=3: no better trial since trial 1"
    assert limit_of(space.plan(no_improvement_after=4), store) is None, "a raised limit lets it go on"
    fill(plan, store, [0.4])
    assert limit_of(plan, store) is None, "what still ran was better"


def test_less_is_better_where_the_metric_says_so(tmp_path, store):
    extra = "evaluation: {metric: AveragePopularity@10}\n"
    plan = workspace(tmp_path, "max_evals: 20, no_improvement_after: 2", extra).plan()
    fill(plan, store, [3.0, 2.0, 1.0])
    assert limit_of(plan, store) is None
    fill(plan, store, [1.0, 4.0])
    assert limit_of(plan, store) == "no_improvement_after"


def test_a_study_is_closed_when_its_trials_have_run_for_its_time(tmp_path, store):
    space = workspace(tmp_path, f"max_evals: 20, timeout_minutes: {A_MOMENT}")
    plan = space.plan()
    assert limit_of(plan, store) is None, "none has run"
    run_for(plan, store)
    study = store.find_study(plan.name)
    assert closed(plan, study).reason.startswith("search.timeout_minutes=0.000333333: trials of the study")
    assert limit_of(space.plan(timeout_minutes=60), store) is None


def test_time_of_running_trials_counts_and_of_those_put_back_not(tmp_path, store):
    plan = workspace(tmp_path, f"max_evals: 20, timeout_minutes: {A_MOMENT}").plan()
    study, claim = run_for(plan, store, finish=False)
    assert limit_of(plan, store) == "search.timeout_minutes"
    study.put_back(claim, "the process that ran the trial is gone")
    assert [t.failure.kind for t in study.trials() if t.state == "failed"] == [Reason.INTERRUPTED]
    assert limit_of(plan, store) is None, "a kill costs no budget"


def two_studies(root, search="max_evals: 20", extra=""):
    space = workspace(root, search, extra)
    (root / "datasets" / "two.yaml").write_text("path: toy\n")
    space.sweep.write_text(space.sweep.read_text().replace("[toy]", "[toy, two]"))
    return space


def test_a_sweeps_time_closes_its_studies(tmp_path, store):
    toy, two = two_studies(tmp_path, extra=f"timeout_minutes: {A_MOMENT}\n").plans()
    run_for(toy, store)
    assert (limit_of(toy, store), limit_of(two, store)) == ("timeout_minutes", "timeout_minutes")
    reason = closed(two, store.find_study(two.name)).reason
    assert reason == "timeout_minutes=0.000333333: trials of the sweep ran for 0.0 minutes"


def test_other_sweeps_and_archived_studies_take_no_time(tmp_path, store):
    plans = two_studies(tmp_path, extra=f"timeout_minutes: {A_MOMENT}\n").plans()
    toy, two = plans
    run_for(dataclasses.replace(toy, sweep=toy.sweep.model_copy(update={"sweep": "other"})), store)
    run_for(toy, store)
    other = dataclasses.replace(toy, sweep=toy.sweep.model_copy(update={"seed": 1}))
    store.open_study(other.name, other.definition, maximize=True, restart=True)  # archives it
    assert limit_of(two, store) is None
    run_for(dataclasses.replace(toy, study_name="of-another-name"), store)
    assert limit_of(two, store) == "timeout_minutes"


def test_trials_that_ran_side_by_side_count_once(tmp_path, store):
    plan = workspace(tmp_path, f"max_evals: 20, timeout_minutes: {1.5 / 60}").plan()
    study = open_study(plan, store)
    study.ensure_slots(plan.budget)
    claims = [study.claim(plan.budget, this_process()) for _ in range(10)]
    time.sleep(0.2)
    for claim in claims:
        study.finish(claim, 0.5, Result())
    assert limit_of(plan, store) is None, "ten times 0.2 s, but at once"


def test_the_first_limit_of_several_is_told(tmp_path, store):
    search = f"max_evals: 2, no_improvement_after: 1, timeout_minutes: {A_MOMENT}"
    plan = workspace(tmp_path, search, f"timeout_minutes: {A_MOMENT}\n").plan()
    fill(plan, store, [0.2, 0.1])
    assert limit_of(plan, store) == "max_evals"
