"""Budgets in epochs and seconds: equal for every model, used up and not gone beyond."""

from __future__ import annotations

import dataclasses

import pytest
from pydantic import ValidationError

from helpers import found, phased
from recsweep.alarms.budgets import unequal_budgets
from recsweep.planning.shares import share_of
from recsweep.report.summary_notes import endings, footnotes, uses
from recsweep.search.shares import used
from recsweep.search.stopping import MAX_EVALS, SHARE, Limits, ended_by
from recsweep.study import Result
from recsweep.study.states import State
from recsweep.sweeps.config import SearchConfig


def trials(*epochs: int):
    return [found.trial(slot, 0.1, result=Result({}, 1, n, 10.0 * n)) for slot, n in enumerate(epochs)]


def limits(share: float, unit: str, slots: int = 9) -> Limits:
    return Limits(slots, share=share, unit=unit)


@pytest.mark.parametrize(("unit", "share"), [("epochs", 7), ("seconds", 70)])
def test_a_study_ends_when_its_share_is_used(unit, share):
    def ended(done):
        return ended_by(done, limits(share, unit), maximize=True, now=found.BEGIN)

    assert ended(trials(3, 3)) is None
    assert ended(trials(3, 4)).limit == SHARE
    assert ended(trials(3, 9)).limit == SHARE


def test_slots_that_are_filled_first_end_it_too():
    done = ended_by(trials(1, 1), limits(100, "epochs", 2), maximize=True, now=found.BEGIN)
    assert done.limit == MAX_EVALS


def test_what_runs_counts_and_what_was_inherited_does_not():
    first, second = trials(3, 4)
    running = found.trial(2, 0.2, "running", result=Result(), failure=None, curve={1: 0.1, 2: 0.2})
    assert running.state == State.RUNNING
    inherited = dataclasses.replace(first, inherited=object())
    assert used([inherited, second, running], "epochs") == 6


def test_phases_divide_a_share_as_they_divide_trials():
    search = SearchConfig(budget="epochs", share=10, phase_shares={"coarse": 3})
    parts = [share_of(search, ("coarse", "full"), phase) for phase in ("coarse", "full")]
    assert parts == [8.0, 2.0] or sum(parts) == 10
    assert parts[0] > parts[1]
    assert share_of(SearchConfig(share=10), ("full",), "full") is None, "trials are counted"


def test_a_share_is_given_to_an_engine_that_can_keep_it():
    with pytest.raises(ValidationError, match="budget epochs needs share"):
        SearchConfig(budget="epochs")
    with pytest.raises(ValidationError, match="engine ray"):
        SearchConfig(budget="seconds", share=5, engine="ray", algo="random")


def test_a_record_knows_its_share(tmp_path):
    plan = phased.workspace(tmp_path, "budget: epochs, share: 12, max_evals: 50").plans()[0]
    record = plan.record()
    assert (plan.share, record.share, record.search.budget) == (12.0, 12.0, "epochs")
    assert plan.content_hash == phased.workspace(tmp_path / "b", "max_evals: 4").plans()[0].content_hash


@pytest.fixture
def pair(tmp_path):
    """Two models that have used 6 epochs each, in 2 and in 3 trials."""
    plan = phased.workspace(tmp_path, "budget: epochs, share: 6, max_evals: 50").plans()[0]
    ended = ended_by(trials(3, 3), limits(6, "epochs"), maximize=True, now=found.BEGIN)
    two = dataclasses.replace(found.result_of(plan, trials(3, 3)), ended=ended)
    other = dataclasses.replace(plan, model_name="Other")
    return two, dataclasses.replace(found.result_of(other, trials(1, 2, 3)), ended=ended)


def test_the_summary_says_which_budget_and_what_each_used_of_the_others(pair):
    assert footnotes(pair)[0] == "Every model had the same budget: 6 epochs."
    (line,) = uses(pair)
    assert "toy/NARM 2 trials, 6 epochs, 60 s" in line
    assert "toy/Other 3 trials, 6 epochs, 60 s" in line
    assert not list(endings(pair))
    assert not list(unequal_budgets(pair))


def test_a_study_that_trials_ended_first_is_told(pair):
    first, second = pair
    early = dataclasses.replace(second.ended, limit=MAX_EVALS, reason="max_evals=3: every slot is filled")
    cut = (first, dataclasses.replace(second, ended=early))
    assert "before its epochs were used" in " ".join(endings(cut))
    (alarm,) = unequal_budgets(cut)
    assert "toy/Other" in alarm.text
