"""Trials are counted alike, whoever counts them: by tables, by a journal, one by one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recsweep.common.owner import this_process
from recsweep.planning.plan import StudyPlan
from recsweep.search.starts import open_study
from recsweep.study import Claim, Reason, Result, Store, Study
from recsweep.study.job_rows import JobRows
from recsweep.study.job_trials import studies_with_trials
from recsweep.study.tally import Tally


def claimed(study: Study, plan: StudyPlan) -> Claim:
    claim = study.claim(plan.budget, this_process())
    assert claim is not None
    study.start(claim, plan.defaults, plan.space, 1, {})
    return claim


def filled(store: Store, plan: StudyPlan) -> Study:
    """A study in which nearly all happened that can happen to a slot."""
    study = open_study(plan, store)
    study.ensure_slots(plan.budget)
    study.finish(claimed(study, plan), 0.2, Result())  # slot 0
    study.prune(claimed(study, plan), 0.9, Result(), "others are better")
    study.fail(claimed(study, plan), Reason.DIVERGED, "the loss is NaN")
    study.put_back(claimed(study, plan), "stopped")
    study.finish(claimed(study, plan), 0.4, Result())  # slot 3, for the second time
    for _ in range(2):
        study.fail(claimed(study, plan), Reason.ERROR, "no fault of its own")
    study.return_slots([trial for trial in study.results() if trial.slot in (4, 5)])
    study.finish(claimed(study, plan), 0.3, Result())  # slot 4, which had failed
    claimed(study, plan)  # slot 5 runs again
    return study


def failed_twice(store: Store, plan: StudyPlan) -> Study:
    """A study whose only slots failed, were tried again and failed again."""
    study = open_study(plan, store)
    study.ensure_slots(plan.budget)
    for _ in range(2):
        for _ in range(plan.budget):
            study.fail(claimed(study, plan), Reason.ERROR, "no fault of its own")
        study.return_slots(study.results())
    study.fail(claimed(study, plan), Reason.ERROR, "its own fault")
    return study


@pytest.fixture(params=["sqlite", "postgresql", "journal"])
def address(request: Any, tmp_path: Path) -> str:
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres").new_url())
    kind = {"sqlite": f"sqlite:///{tmp_path}/a.db", "journal": f"journal:///{tmp_path}/a.journal"}
    return kind[request.param]


def test_a_slot_that_failed_and_was_tried_again_is_counted_once(
    address: str, make_plan: Callable[..., StudyPlan]
) -> None:
    store, plan = Store(address), make_plan(max_evals=8)
    study = filled(store, plan)
    right = Tally(complete=3, pruned=1, failed=1, running=1, waiting=2, best=0.4, given_back=1)
    ((_, found),) = store.tallied()
    assert found == right
    assert found.filled == len(study.results())
    if not address.startswith("journal"):
        ((one),) = studies_with_trials(JobRows(store), plan.sweep.sweep)
        assert one.study.tally == right
        assert [(trial.slot, str(trial.state)) for trial in one.trials] == [
            (0, "complete"),
            (1, "pruned"),
            (2, "failed"),
            (3, "complete"),
            (4, "complete"),
            (5, "running"),
        ]
        assert one.winner is not None
        assert one.winner.slot == 3
    store.close()


def test_a_slot_that_failed_again_and_again_has_failed_once(
    address: str, make_plan: Callable[..., StudyPlan]
) -> None:
    store = Store(address)
    failed_twice(store, make_plan(max_evals=2))
    ((_, found),) = store.tallied()
    assert found == Tally(failed=1, waiting=1)
    store.close()
