"""Whose fault a death is, when a trial hangs, and what becomes of a test whose worker died."""

from __future__ import annotations

import io
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from helpers.phased import fill, workspace
from recsweep.common.errors import RecsweepError
from recsweep.common.owner import this_process
from recsweep.running import deaths
from recsweep.running.crew import Crew, Member
from recsweep.running.deaths import FIRST_SECONDS, LEAST_SECONDS, TIMES_THE_LONGEST, Deaths
from recsweep.running.events import Died, Evaluated
from recsweep.running.local_workers import death_of
from recsweep.running.progress import Display
from recsweep.running.study_run import StudyRun
from recsweep.running.supervisor import Supervisor
from recsweep.running.winner_test import WinnerTest
from recsweep.running.workers import Hired, Workers
from recsweep.study import Failure, Reason, Result


class Scripted(Workers):
    """Workers that only say how they end: each `Evaluate` meets the next of their fates."""

    def __init__(self, *fates):
        self.fates, self.started, self.killed, self._said = list(fates), 0, [], []

    def start(self, number, plan):
        self.started += 1
        return Hired(number, this_process(), Path("worker-1.log"))

    def send(self, number, command):
        fate = self.fates.pop(0)
        if fate != "hangs":
            self._said.append((number, Evaluated(fate) if isinstance(fate, dict) else Died(death_of(fate))))

    def events(self, seconds):
        said, self._said = self._said, []
        return said

    def kill(self, number):
        self.killed.append(number)
        self._said.append((number, Died(death_of(-signal.SIGKILL))))

    def stop(self, numbers, *, force=False):
        """They are over at once."""

    def close(self):
        """Nothing is left of them."""


@pytest.fixture
def said():
    return io.StringIO()


@pytest.fixture
def workers():
    return Scripted()


@pytest.fixture
def judge(said, workers):
    return Deaths(Display(stream=said), Crew(workers))


def working(run, quiet=0.0):
    """A worker on a slot of the study, of which nothing was heard for so many seconds."""
    run.ensure_slots()
    member = Member(Hired(1, this_process(), Path("worker-1.log")), idle=False, ready=True)
    member.took(run.claim(this_process()))
    member.claimed_at = member.heard_at = time.monotonic() - quiet
    return member


def study_with(plan, store, seconds, say=print):
    """The study of a plan with a complete trial for each of these durations."""
    fill(plan, store, [])
    study = store.find_study(plan.name)
    for each in seconds:
        claim = study.claim(plan.budget, this_process())
        study.start(claim, plan.defaults, plan.space, 1, {})
        study.finish(claim, 0.5, Result(seconds=each))
    return StudyRun(plan, study, say)


@pytest.mark.parametrize(
    ("finished", "bound"),
    [
        ([], FIRST_SECONDS),
        ([10.0], LEAST_SECONDS),
        ([2000.0, 10.0], TIMES_THE_LONGEST * 2000.0),
    ],
)
def test_only_a_trial_quieter_than_any_honest_one_hangs(tmp_path, store, judge, finished, bound):
    plan = workspace(tmp_path, "max_evals: 9").plan()
    assert plan.sweep.workers.trial_timeout_minutes is None
    run = study_with(plan, store, finished)
    member = working(run, bound - 60)
    assert not judge.is_overdue(member, run)
    member.heard_at -= 120
    assert judge.is_overdue(member, run)
    member.heard_at = time.monotonic()
    assert not judge.is_overdue(member, run), "it has ended an epoch"
    member.heard_at, member.claim = 0.0 - 10 * bound, None
    assert not judge.is_overdue(member, run), "it has no trial"


def test_a_trial_that_hangs_is_ended_and_is_a_result(tmp_path, store, judge, workers):
    plan = workspace(tmp_path, "max_evals: 9").plan()
    run = study_with(plan, store, [30.0])
    member, told = working(run, 2 * LEAST_SECONDS), []
    judge.end_hung(member, run, told.append)
    assert workers.killed == [1]
    trial = run.results()[-1]
    assert trial.failure.kind == Reason.TIMEOUT
    assert trial.failure.message.startswith("showed no epoch for 2 h 00 min, and the longest trial took 30 s")
    assert trial.result.seconds == pytest.approx(2 * LEAST_SECONDS, abs=60)
    assert [done.slot for done in told] == [1]


def test_the_limit_is_logged_once_unless_it_is_set(tmp_path):
    log = tmp_path / "run.log"
    plan = workspace(tmp_path, "max_evals: 2").plan()
    own = workspace(tmp_path / "own", "max_evals: 2", "workers: {trial_timeout_minutes: 5}\n").plan()
    with Display(log, stream=io.StringIO()) as display:
        judge = Deaths(display, Crew(Scripted()))
        for each in (own, plan, plan):
            judge.say_bound(each)
    (line,) = [line for line in log.read_text().splitlines() if "trial_timeout_minutes" in line]
    assert "10 times what the study's longest took, at least for 1 h 00 min (24 h 00 min before" in line


def test_a_crash_says_how_long_the_trial_ran(tmp_path, store, judge):
    plan = workspace(tmp_path, "max_evals: 2", "workers: {crash_retries: 0}\n").plan()
    run = study_with(plan, store, [])
    judge.blame(working(run, 90.0), "killed by SIGSEGV", run, lambda done: None)
    (trial,) = run.results()
    assert trial.failure == Failure(Reason.CRASH, "the worker died: killed by SIGSEGV")
    assert trial.result.seconds == pytest.approx(90, abs=10)


# -- the test of a winner -------------------------------------------------------------------------


@pytest.fixture
def testing(tmp_path, store, said, monkeypatch):
    """A closed study, tested by workers of which each dies so or says its metrics; what was found."""

    def run(*fates):
        plan, workers = workspace(tmp_path, "max_evals: 1").plan(), Scripted(*fates)
        display = Display(stream=said)
        found = study_with(plan, store, [30.0], display.line)
        if "hangs" in fates:
            now = time.monotonic
            ahead = SimpleNamespace(monotonic=lambda: now() + 2 * LEAST_SECONDS)
            monkeypatch.setattr(deaths, "time", ahead)
        with Supervisor(display, workers) as supervisor:
            parts = supervisor._crew, supervisor._deaths, supervisor._reactions
            return WinnerTest(display, *parts).metrics(found), workers.started

    return run


def test_a_death_at_the_test_runs_it_again(testing, said):
    metrics, started = testing(-signal.SIGKILL, 1, {"ndcg@10": 0.4})
    assert metrics == {"ndcg@10": 0.4}
    assert started == 3
    lines = said.getvalue().splitlines()
    assert "the worker died while it tested the winner; killed by SIGKILL" in lines[0]
    assert "tested again (at most 2 more)" in lines[0]
    assert "tested again (at most 1 more)" in lines[1]


def test_a_test_that_kills_each_worker_ends(testing):
    with pytest.raises(RecsweepError, match="that was test 3 of 3"):
        testing(-signal.SIGKILL, -signal.SIGKILL, -signal.SIGKILL, {"ndcg@10": 0.4})


def test_a_test_that_hangs_is_ended_and_run_again(testing, said):
    with pytest.raises(RecsweepError, match="showed no epoch"):
        testing("hangs", "hangs", "hangs")
    assert "tested again (at most 2 more)" in said.getvalue()
