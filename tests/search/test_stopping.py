"""Which limit ended a study, from its trials alone."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsweep.common.owner import Owner
from recsweep.search.stopping import Ended, Limits, ended_by, seconds_run
from recsweep.study import Failure, Holder, Inherited, Reason, Result, State, Trial

START = datetime(2026, 3, 1, 12)


def minute(number):
    return START + timedelta(minutes=number)


def trial(slot, score=0.5, state="complete", started=None, finished=None, **more):
    """One that ran in the minute of its slot's number."""
    began = slot if started is None else started
    ended = began + 1 if finished is None else finished
    still_runs = state == "running"
    return Trial(
        id=slot + 1,
        number=slot,
        slot=slot,
        state=State(state),
        score=None if state in ("failed", "running") else score,
        started=minute(began),
        finished=None if still_runs else minute(ended),
        **more,
    )


def scored(*scores):
    return [trial(slot, score) for slot, score in enumerate(scores)]


def ask(trials, limits, maximize=True, now=1000, sweep_seconds=0.0):
    return ended_by(trials, limits, maximize=maximize, now=minute(now), sweep_seconds=sweep_seconds)


# -- each limit -----------------------------------------------------------------------------------


def test_a_study_goes_on_while_no_limit_is_met():
    limits = Limits(20, no_improvement_after=3, timeout_minutes=10, sweep_timeout_minutes=10)
    assert ask([], limits) is None
    assert ask(scored(0.1, 0.2, 0.1), limits) is None


def test_a_study_ends_when_every_slot_is_filled():
    assert ask(scored(0.1, 0.2), Limits(2)) == Ended("max_evals", "max_evals=2: every slot is filled")
    assert ask(scored(0.1, 0.2), Limits(3)) is None
    filled_otherwise = [trial(0, state="failed"), trial(1, 0.1, state="pruned")]
    assert ask(filled_otherwise, Limits(2)) is not None
    assert ask([trial(0), trial(5)], Limits(2)) is None, "a slot beyond the budget is no slot of it"


def test_a_study_ends_after_so_many_trials_without_a_better_one():
    limits = Limits(20, no_improvement_after=3)
    assert ask(scored(0.1, 0.2, 0.1, 0.2), limits) is None
    ended = ask(scored(0.1, 0.2, 0.1, 0.2, 0.15), limits)
    assert ended == Ended("no_improvement_after", "no_improvement_after=3: no better trial since trial 1")
    assert ask(scored(0.5, 0.4, 0.3, 0.4), limits, maximize=False) is None


def test_the_first_trial_is_the_first_best():
    ended = ask(scored(0.5, 0.4, 0.3), Limits(20, no_improvement_after=2))
    assert ended is not None
    assert ended.reason == "no_improvement_after=2: no better trial since trial 0"


def test_trials_that_failed_or_were_pruned_are_no_improvement():
    limits = Limits(20, no_improvement_after=2)
    trials = [trial(0, 0.5), trial(1, state="failed"), trial(2, 0.9, state="pruned")]
    assert ask(trials[:2], limits) is None
    assert ask(trials, limits) is not None


def test_failures_alone_end_a_study_too():
    ended = ask([trial(slot, state="failed") for slot in range(3)], Limits(20, no_improvement_after=3))
    assert ended is not None
    assert ended.reason == "no_improvement_after=3: no trial succeeded"


def test_trials_count_in_the_order_in_which_they_ended():
    limits = Limits(20, no_improvement_after=2)
    late_best = [trial(0, 0.1), trial(1, 0.9, finished=9), trial(2, 0.2), trial(3, 0.3)]
    assert ask(late_best, limits) is None


def test_a_clock_that_was_set_ends_no_study():
    limits, set_back = Limits(20, no_improvement_after=2), (0, -60, -59)
    found = [trial(i, score, started=set_back[i], ended=i + 1) for i, score in enumerate((0.1, 0.2, 0.9))]
    assert ask(found, limits) is None
    without = [replace(one, ended=None) for one in found]
    assert ask(without, limits) is None, "of an earlier version: by time"
    found = [trial(i, score, started=set_back[i], ended=i + 1) for i, score in enumerate((0.9, 0.2, 0.1))]
    assert ask(found, limits) is not None
    assert ask([replace(one, ended=None) for one in found], limits) is None, "the first seems the last"
    assert ask([replace(found[0], ended=None), *found[1:]], limits) is not None, "it came first"


def test_a_study_ends_when_its_trials_ran_for_so_long():
    limits = Limits(20, timeout_minutes=3)
    assert ask([trial(0), trial(1)], limits) is None
    ended = ask([trial(0), trial(1), trial(2)], limits)
    assert ended == Ended(
        "search.timeout_minutes", "search.timeout_minutes=3: trials of the study ran for 3.0 minutes"
    )


def test_a_sweep_ends_when_its_trials_ran_for_so_long():
    ended = ask([], Limits(20, sweep_timeout_minutes=2.5), sweep_seconds=156)
    assert ended == Ended("timeout_minutes", "timeout_minutes=2.5: trials of the sweep ran for 2.6 minutes")


# -- time -----------------------------------------------------------------------------------------


def test_trials_at_once_run_in_the_same_time():
    trials = [trial(0, finished=10), trial(1, finished=4), trial(8, started=8, finished=12)]
    assert seconds_run(trials, minute(99)) == 12 * 60


def test_a_trial_that_runs_has_run_until_now():
    assert seconds_run([trial(0), trial(3, state="running")], minute(5)) == 3 * 60


def test_kills_and_pauses_cost_no_time():
    put_back = replace(
        trial(1, finished=600), state=State.FAILED, failure=Failure(Reason.INTERRUPTED, "gone")
    )
    assert seconds_run([trial(0), put_back, trial(2, started=700)], minute(999)) == 2 * 60


def test_what_waits_or_was_inherited_has_not_run():
    waiting = Trial(9, 9, 9, State.WAITING)
    inherited = trial(0, finished=60, inherited=Inherited("coarse", 3))
    assert seconds_run([waiting, inherited], minute(99)) == 0.0


def test_a_clock_that_was_set_back_takes_nothing_away():
    assert seconds_run([trial(0, started=10, finished=5), trial(1, started=1)], minute(99)) == 60


def test_a_trial_ran_as_long_as_it_measured():
    forward = trial(0, finished=1440, result=Result(seconds=90.0))
    back = trial(1, started=1441, finished=3, state="failed", result=Result(seconds=30.0))
    assert seconds_run([forward, back], minute(2000)) == 120
    assert ask([forward, back], Limits(20, timeout_minutes=60)) is None


@pytest.mark.parametrize(("now", "seconds"), [(1440, 630), (5, 600), (-90, 600), (10.25, 615)])
def test_a_running_trial_ran_as_long_as_its_beat_says(now, seconds):
    running = trial(0, state="running", owner=Holder(Owner("here", 1, None), 40, 600.0))
    assert seconds_run([running], minute(now)) == seconds


def test_trials_of_one_worker_ran_in_turn_whatever_the_clock_says():
    worker = Owner("here", 1, 5, worker=9)
    owner = Holder(worker)
    trials = [trial(0, owner=owner), trial(1, started=0, owner=owner), trial(2, started=0, owner=owner)]
    assert seconds_run(trials, minute(99)) == 3 * 60
    others = [replace(one, owner=Holder(replace(worker, worker=number))) for number, one in enumerate(trials)]
    assert seconds_run(others, minute(99)) == 60, "three workers may have run them at once"


# -- any trials, any limits -----------------------------------------------------------------------

TRIALS = st.lists(
    st.builds(
        lambda score, state, started, length: (score, state, started, started + length),
        st.integers(0, 5).map(lambda n: n / 10),
        st.sampled_from(["complete", "complete", "complete", "failed", "pruned", "running"]),
        st.integers(0, 50),
        st.integers(0, 10),
    ),
    max_size=12,
).map(lambda found: [trial(slot, *parts) for slot, parts in enumerate(found)])
SOME = st.one_of(st.none(), st.integers(1, 12))
LIMITS = st.builds(Limits, st.integers(1, 14), SOME, SOME, SOME)


@given(TRIALS, LIMITS, st.booleans(), st.integers(0, 900), st.randoms(use_true_random=False))
def test_the_answer_depends_on_the_trials_alone(trials, limits, maximize, seconds, chance):
    shuffled = random.Random(chance.random()).sample(trials, len(trials))
    put_back = [
        replace(one, id=100 + one.id, state=State.FAILED, failure=Failure(Reason.INTERRUPTED, "gone"))
        for one in shuffled
    ]
    answer = ask(trials, limits, maximize, sweep_seconds=seconds)
    assert ask([*put_back, *shuffled], limits, maximize, sweep_seconds=seconds) == answer


@given(TRIALS, LIMITS, st.integers(0, 900))
def test_more_is_better_or_less_is_better_it_is_the_same_limit(trials, limits, seconds):
    mirrored = [replace(one, score=None if one.score is None else -one.score) for one in trials]
    assert ask(trials, limits, True, sweep_seconds=seconds) == ask(
        mirrored, limits, False, sweep_seconds=seconds
    )


@given(TRIALS, LIMITS, st.integers(0, 900))
def test_a_study_goes_on_when_the_limit_that_ended_it_is_raised(trials, limits, seconds):
    """Until another one is met: raising one after the other, it goes on in the end."""
    for _ in range(4):
        ended = ask(trials, limits, sweep_seconds=seconds)
        if ended is None:
            return
        field = {"timeout_minutes": "sweep_timeout_minutes", "search.timeout_minutes": "timeout_minutes"}
        name = field.get(ended.limit, ended.limit)
        assert getattr(limits, name) is not None
        limits = replace(limits, **{name: 10**6})
    assert ask(trials, limits, sweep_seconds=seconds) is None


@given(TRIALS, LIMITS, st.integers(0, 900))
def test_a_lower_limit_never_ends_a_study_later(trials, limits, seconds):
    lower = Limits(
        max(1, limits.max_evals - 1),
        *(
            None if limit is None else max(1, limit - 1)
            for limit in (limits.no_improvement_after, limits.timeout_minutes, limits.sweep_timeout_minutes)
        ),
    )
    if ask(trials, limits, sweep_seconds=seconds) is not None:
        assert ask(trials, lower, sweep_seconds=seconds) is not None


@given(TRIALS, st.integers(0, 100))
def test_trials_run_no_longer_than_together_and_no_shorter_than_the_longest(trials, now):
    def seconds(one):
        return max(0.0, ((one.finished or minute(now)) - one.started).total_seconds())

    total = seconds_run(trials, minute(now))
    assert total <= sum(seconds(one) for one in trials)
    assert total >= max((seconds(one) for one in trials), default=0.0)


@pytest.mark.parametrize("limits", [Limits(1), Limits(5, 1, 1, 1)])
def test_a_study_without_trials_has_not_ended(limits):
    assert ask([], limits) is None
