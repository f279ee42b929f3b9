"""A budget in epochs is trained to the epoch, also where a worker was killed in the middle."""

from __future__ import annotations

import dataclasses

import pytest

from recsweep.common.owner import this_process
from recsweep.running.events import EpochDone
from recsweep.running.worker import Worker
from recsweep.search.limits import closed
from recsweep.search.shares import used
from recsweep.search.starts import open_study
from recsweep.search.stopping import SHARE
from recsweep.study import Store


class Killed(BaseException):
    """In the place of a signal that nothing outlives."""


@pytest.fixture
def opened(make_plan):
    plan = make_plan("FPMC", budget="epochs", share=5, epochs=2, max_evals=9)
    store = Store(plan.storage_url)
    yield plan, open_study(plan, store)
    store.close()


def work(plan, study, send=lambda event: None, owner=None):
    study.put_back_orphans()
    study.ensure_slots(plan.budget)
    Worker(owner or this_process(), send).search(plan)


def test_the_trial_that_uses_up_the_share_ends_there(opened):
    plan, study = opened
    work(plan, study)
    found = study.results()
    assert [(trial.state, trial.result.epochs) for trial in found] == [
        ("complete", 2),
        ("complete", 2),
        ("pruned", 1),
    ]
    assert "epochs of the study are used" in found[-1].failure.message
    assert closed(plan, study).limit == SHARE
    work(plan, study)
    assert len(study.results()) == 3, "a second run trains nothing"


def test_a_kill_costs_no_epoch_of_the_share(opened):
    plan, study = opened

    def kill_in_the_second(event):
        if isinstance(event, EpochDone) and event.slot == 1:
            raise Killed

    with pytest.raises(Killed):
        work(plan, study, kill_in_the_second, dataclasses.replace(this_process(), pid=2**22 - 3))
    work(plan, study)
    assert used(study.results(), "epochs") == 5
