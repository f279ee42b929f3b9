"""Whose fault it is that a worker died or hangs, and what becomes of its trial.

A worker that dies alone takes the blame: its trial is run again a few times, then counted as
crashed. One that hangs is ended, and its trial counted as a timeout.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from multiprocessing.context import SpawnProcess

from recsweep.common.errors import RecsweepError
from recsweep.planning.plan import StudyPlan
from recsweep.running.events import TrialDone
from recsweep.running.pool import Child
from recsweep.running.progress import Display
from recsweep.running.watch import duration
from recsweep.study import Claim, Reason, Study, claim_of

MAX_START_FAILURES = 3
TIMES_THE_LONGEST = 10
LEAST_SECONDS = 3600.0
FIRST_SECONDS = 24 * 3600.0
"""A trial without a sign of progress for so long hangs: ten times the longest trial of the study, at least an
hour, and a day before any has ended. An epoch that takes so long has not been seen."""

TrialEnded = Callable[[TrialDone], None]
"""Takes what a trial came to, as if its worker had told."""


class Deaths:
    """Judges the workers of one supervisor.

    Args:
        display: is told what happened.
    """

    def __init__(self, display: Display) -> None:
        self._display = display
        self._start_failures = 0
        self._said_bound = False

    def ready(self) -> None:
        """A worker has started: those that died before it did not die of what all die of."""
        self._start_failures = 0

    def blame(self, child: Child, plan: StudyPlan, study: Study, ended: TrialEnded) -> None:
        """A worker is dead. Its trial is run again, or counted as crashed when it did so too often.

        Raises:
            RecsweepError: one worker after the other dies before it is ready.
        """
        reason = death_of(child.process)
        claim = child.claim or _unreported_claim(child, study)
        if claim is not None:
            self._crashed(claim, reason, child, plan, study, ended)
            return
        self._start_failures += 0 if child.ready else 1
        if self._start_failures >= MAX_START_FAILURES:
            raise RecsweepError(f"workers cannot start; {reason}; see {child.log}")

    def _crashed(
        self, claim: Claim, reason: str, child: Child, plan: StudyPlan, study: Study, ended: TrialEnded
    ) -> None:
        message = f"the worker died: {reason}"
        if claim.crashes < plan.sweep.workers.crash_retries:
            if study.put_back(claim, message, crashed=True):
                left = plan.sweep.workers.crash_retries - claim.crashes
                self._display.line(
                    f"{plan.label} trial {claim.slot}: {message}; "
                    f"run again (at most {left} more), see {child.log}"
                )
            return
        seconds = time.monotonic() - child.claimed_at
        if study.fail(claim, Reason.CRASH, message, seconds):
            ended(TrialDone(claim.slot, None, 0, seconds, message))

    def say_bound(self, plan: StudyPlan) -> None:
        """Tell the log, once, when a trial is taken for one that hangs."""
        if self._said_bound or plan.sweep.workers.trial_timeout_minutes is not None:
            return
        self._said_bound = True
        self._display.log(
            f"a trial without an epoch for {TIMES_THE_LONGEST} times what the study's longest took, at least "
            f"for {duration(LEAST_SECONDS)} ({duration(FIRST_SECONDS)} before any has ended), is ended as "
            "one that hangs; workers.trial_timeout_minutes sets another limit"
        )

    def is_overdue(self, child: Child, plan: StudyPlan, study: Study) -> bool:
        """Whether a worker's trial has taken longer than any trial may."""
        return child.claim is not None and self._overdue(child, plan, study) is not None

    def _overdue(self, child: Child, plan: StudyPlan, study: Study) -> str | None:
        """Why a worker's trial is taken for one that hangs; None while it is not."""
        minutes = plan.sweep.workers.trial_timeout_minutes
        if minutes is None:
            return _silent(child, study)
        over = time.monotonic() - child.claimed_at >= minutes * 60
        return f"took longer than trial_timeout_minutes={minutes:g}" if over else None

    def end_hung(self, child: Child, plan: StudyPlan, study: Study, ended: TrialEnded) -> None:
        """Kill a worker whose trial hangs, and count the trial as a timeout. The dead is yet to be buried."""
        claim, message = child.claim, self._overdue(child, plan, study)
        if claim is None or message is None:
            return
        _kill(child)
        seconds = time.monotonic() - child.claimed_at
        if study.fail(claim, Reason.TIMEOUT, message, seconds):
            ended(TrialDone(claim.slot, None, 0, seconds, message))
        child.claim, child.ready = None, True

    def died_at_test(self, child: Child, plan: StudyPlan, study: Study, deaths: int) -> bool:
        """Whether the worker that tests a winner died, or had to be ended; then the test is to run again.

        Args:
            deaths: of the test, before.

        Raises:
            RecsweepError: it dies each time.
        """
        if child.process.is_alive():
            if (reason := _silent(child, study)) is None:
                return False
            _kill(child)
        else:
            child.process.join()
            reason = death_of(child.process)
        what = f"{plan.label}: the worker died while it tested the winner; {reason}"
        left = plan.sweep.workers.crash_retries - deaths
        if left <= 0:
            raise RecsweepError(
                f"{what}; that was test {deaths + 1} of {deaths + 1}; see {child.log}, then run the same "
                "command again, no trial is lost"
            )
        self._display.line(f"{what}; tested again (at most {left} more), see {child.log}")
        return True


def _silent(child: Child, study: Study) -> str | None:
    """Why a worker that says nothing is taken for one that hangs; None while it may be at work."""
    quiet = time.monotonic() - child.heard_at
    if quiet < LEAST_SECONDS:  # mostly so, and then the store need not be asked
        return None
    longest = longest_seconds(study)
    bound = FIRST_SECONDS if longest is None else max(LEAST_SECONDS, TIMES_THE_LONGEST * longest)
    if quiet < bound:
        return None
    known = "" if longest is None else f", and the longest trial took {duration(longest)}"
    return f"showed no epoch for {duration(quiet)}{known} (workers.trial_timeout_minutes sets another limit)"


def longest_seconds(study: Study) -> float | None:
    """How long the longest trial took that came to a score; None while there is none."""
    own = [trial for trial in study.results() if trial.score is not None and not trial.inherited]
    return max((float(trial.result.seconds or 0.0) for trial in own), default=None)


def _kill(child: Child) -> None:
    child.process.kill()
    child.process.join()


def _unreported_claim(child: Child, study: Study) -> Claim | None:
    """A trial that the dead worker had claimed but not told of."""
    for trial in study.running():
        if trial.owner is not None and trial.owner.process == child.owner:
            return claim_of(trial)
    return None


def death_of(process: SpawnProcess) -> str:
    """How a process ended, in words."""
    code = process.exitcode
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        hint = " (the kernel kills so when memory runs out)" if name == "SIGKILL" else ""
        return f"killed by {name}{hint}"
    return f"exit code {code}"
