"""Whose fault a death is, when a trial hangs, and what becomes of a test whose worker died."""

from __future__ import annotations

import io
import shutil
import signal
import time
from types import SimpleNamespace

import pytest

from helpers.phased import fill, workspace
from recsweep.common.errors import RecsweepError
from recsweep.common.owner import this_process
from recsweep.running import deaths
from recsweep.running.deaths import FIRST_SECONDS, LEAST_SECONDS, TIMES_THE_LONGEST, Deaths
from recsweep.running.events import Evaluated
from recsweep.running.pool import Child, Pool
from recsweep.running.progress import Display
from recsweep.running.supervisor import Supervisor
from recsweep.study import Failure, Reason, Result, Store


class Process:
    """Looks like a worker process."""

    sentinel = 0

    def __init__(self, exitcode=None):
        self.exitcode = exitcode

    def is_alive(self):
        return self.exitcode is None

    def kill(self):
        self.exitcode = -signal.SIGKILL

    def join(self, timeout=None):
        """It is over at once."""


@pytest.fixture
def store(tmp_path, empty_store):
    shutil.copy(empty_store, tmp_path / "recsweep.db")
    store = Store(f"sqlite:///{tmp_path / 'recsweep.db'}")
    yield store
    store.close()


@pytest.fixture
def said():
    return io.StringIO()


@pytest.fixture
def judge(said):
    return Deaths(Display(stream=said))


def working(plan, study, quiet=0.0, exitcode=None):
    """A worker on a slot of the study, of which nothing was heard for so many seconds."""
    study.ensure_slots(plan.budget)
    child = Child(1, Process(exitcode), None, this_process(), "worker-1.log", idle=False, ready=True)
    child.claim = study.claim(plan.budget, child.owner)
    child.claimed_at = child.heard_at = time.monotonic() - quiet
    return child


def study_with(plan, store, seconds):
    """The study of a plan with a complete trial for each of these durations."""
    fill(plan, store, [])
    study = store.find_study(plan.name)
    for each in seconds:
        claim = study.claim(plan.budget, this_process())
        study.start(claim, plan.defaults, plan.space, 1, {})
        study.finish(claim, 0.5, Result(seconds=each))
    return study


@pytest.mark.parametrize(
    ("finished", "bound"),
    [
        ([], FIRST_SECONDS),
        ([10.0], LEAST_SECONDS),
        ([2000.0, 10.0], TIMES_THE_LONGEST * 2000.0),
    ],
)
def test_without_a_limit_of_ones_own_a_trial_hangs_when_no_honest_one_is_so_quiet(
    tmp_path, store, judge, finished, bound
):
    plan = workspace(tmp_path, "max_evals: 9").plan()
    assert plan.sweep.workers.trial_timeout_minutes is None
    study = study_with(plan, store, finished)
    child = working(plan, study, bound - 60)
    assert not judge.is_overdue(child, plan, study)
    child.heard_at -= 120
    assert judge.is_overdue(child, plan, study)
    child.heard_at = time.monotonic()
    assert not judge.is_overdue(child, plan, study), "it has ended an epoch"
    child.heard_at, child.claim = 0.0 - 10 * bound, None
    assert not judge.is_overdue(child, plan, study), "it has no trial"


def test_a_trial_that_hangs_is_ended_and_is_a_result(tmp_path, store, judge):
    plan = workspace(tmp_path, "max_evals: 9").plan()
    study = study_with(plan, store, [30.0])
    child, told = working(plan, study, 2 * LEAST_SECONDS), []
    judge.end_hung(child, plan, study, told.append)
    assert child.process.exitcode == -signal.SIGKILL
    trial = study.results()[-1]
    assert trial.failure.kind == Reason.TIMEOUT
    assert trial.failure.message.startswith("showed no epoch for 2 h 00 min, and the longest trial took 30 s")
    assert trial.result.seconds == pytest.approx(2 * LEAST_SECONDS, abs=60)
    assert [done.slot for done in told] == [1]


def test_the_limit_is_said_in_the_log_once_and_not_where_one_is_set(tmp_path):
    log = tmp_path / "run.log"
    plan = workspace(tmp_path, "max_evals: 2").plan()
    own = workspace(tmp_path / "own", "max_evals: 2", "workers: {trial_timeout_minutes: 5}\n").plan()
    with Display(log, stream=io.StringIO()) as display:
        judge = Deaths(display)
        for each in (own, plan, plan):
            judge.say_bound(each)
    (line,) = [line for line in log.read_text().splitlines() if "trial_timeout_minutes" in line]
    assert "10 times what the study's longest took, at least for 1 h 00 min (24 h 00 min before" in line


def test_a_worker_that_crashed_says_how_long_its_trial_ran(tmp_path, store, judge):
    plan = workspace(tmp_path, "max_evals: 2", "workers: {crash_retries: 0}\n").plan()
    study = study_with(plan, store, [])
    judge.blame(working(plan, study, 90.0, exitcode=-signal.SIGSEGV), plan, study, lambda done: None)
    (trial,) = study.results()
    assert trial.failure == Failure(Reason.CRASH, "the worker died: killed by SIGSEGV")
    assert trial.result.seconds == pytest.approx(90, abs=10)


# -- the test of a winner -------------------------------------------------------------------------


class Pipe:
    """What a worker says, and then nothing."""

    def __init__(self, *events):
        self.events = list(events)

    def poll(self):
        return bool(self.events)

    def recv(self):
        return self.events.pop(0)

    def send(self, message):
        self.sent = message

    def close(self):
        """Nothing holds it."""


@pytest.fixture
def testing(tmp_path, store, said, monkeypatch):
    """A closed study, tested by workers of which each dies so or says its metrics; what was found."""

    def run(*fates):
        plan = workspace(tmp_path, "max_evals: 1").plan()
        study = study_with(plan, store, [30.0])
        waiting, taken = list(fates), []

        def start(pool, plan):
            fate = waiting.pop(0)
            events = [Evaluated(fate)] if isinstance(fate, dict) else []
            process = Process(None if events or fate == "hangs" else fate)
            child = Child(1, process, Pipe(*events), this_process(), "worker-1.log")
            taken.append(child)
            return child

        monkeypatch.setattr(Pool, "_start", start)
        monkeypatch.setattr("recsweep.running.supervisor.wait", lambda sources, timeout: [])
        with Supervisor(Display(stream=said)) as supervisor:
            if "hangs" in fates:
                now = time.monotonic
                ahead = SimpleNamespace(monotonic=lambda: now() + 2 * LEAST_SECONDS)
                monkeypatch.setattr(deaths, "time", ahead)
            metrics = supervisor._evaluate(plan, study, SimpleNamespace(workers={}))
        return metrics, taken

    return run


def test_a_worker_that_dies_while_it_tests_the_winner_is_replaced_and_the_test_run_again(testing, said):
    metrics, taken = testing(-signal.SIGKILL, 1, {"ndcg@10": 0.4})
    assert metrics == {"ndcg@10": 0.4}
    assert len(taken) == 3
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
