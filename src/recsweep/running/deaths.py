"""Whose fault it is that a worker died or hangs, and what becomes of its trial.

A worker that dies alone takes the blame: its trial is run again a few times, then counted as
crashed. One that hangs is ended, and its trial counted as a timeout.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from recsweep.common.errors import RecsweepError
from recsweep.planning.plan import StudyPlan
from recsweep.running.crew import Crew, Member
from recsweep.running.events import TrialDone
from recsweep.running.progress import Display
from recsweep.running.study_run import StudyRun
from recsweep.running.watch import duration
from recsweep.study import Claim, Reason, claim_of

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
        crew: the workers.
    """

    def __init__(self, display: Display, crew: Crew) -> None:
        self._display, self._crew = display, crew
        self._start_failures = 0
        self._said_bound = False

    def ready(self) -> None:
        """A worker has started: those that died before it did not die of what all die of."""
        self._start_failures = 0

    def blame(self, member: Member, reason: str, run: StudyRun, ended: TrialEnded) -> None:
        """A worker is dead. Its trial is run again, or counted as crashed when it did so too often.

        Raises:
            RecsweepError: one worker after the other dies before it is ready.
        """
        claim = member.claim or _unreported_claim(member, run)
        if claim is not None:
            self._crashed(claim, reason, member, run, ended)
            return
        self._start_failures += 0 if member.ready else 1
        if self._start_failures >= MAX_START_FAILURES:
            raise RecsweepError(f"workers cannot start; {reason}; see {member.hired.log}")

    def _crashed(self, claim: Claim, reason: str, member: Member, run: StudyRun, ended: TrialEnded) -> None:
        message = f"the worker died: {reason}"
        left = run.plan.sweep.workers.crash_retries - claim.crashes
        if left > 0:
            if run.study.put_back(claim, message, crashed=True):
                run.say(
                    f"{run.label} trial {claim.slot}: {message}; "
                    f"run again (at most {left} more), see {member.hired.log}"
                )
            return
        seconds = time.monotonic() - member.claimed_at
        if run.study.fail(claim, Reason.CRASH, message, seconds):
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

    def is_overdue(self, member: Member, run: StudyRun) -> bool:
        """True where a worker's trial has taken longer than any trial may."""
        return member.claim is not None and _overdue(member, run) is not None

    def end_hung(self, member: Member, run: StudyRun, ended: TrialEnded) -> None:
        """Kill a worker whose trial hangs, and count the trial as a timeout. Its death is yet to be told."""
        claim, message = member.claim, _overdue(member, run)
        if claim is None or message is None:
            return
        self._crew.kill(member)
        seconds = time.monotonic() - member.claimed_at
        if run.study.fail(claim, Reason.TIMEOUT, message, seconds):
            ended(TrialDone(claim.slot, None, 0, seconds, message))
        member.claim, member.ready = None, True

    def silent_at_test(self, member: Member, run: StudyRun) -> str | None:
        """Why the worker that tests a winner was ended as one that hangs; None while it may be at work."""
        if (reason := _silent(member, run)) is not None:
            self._crew.kill(member)
        return reason

    def died_at_test(self, member: Member, reason: str, run: StudyRun, deaths: int) -> None:
        """The worker that tested a winner is dead; the test is to run again.

        Args:
            deaths: of the test, before.

        Raises:
            RecsweepError: it dies each time.
        """
        what = f"{run.label}: the worker died while it tested the winner; {reason}"
        left = run.plan.sweep.workers.crash_retries - deaths
        if left <= 0:
            raise RecsweepError(
                f"{what}; that was test {deaths + 1} of {deaths + 1}; see {member.hired.log}, then run the "
                "same command again, no trial is lost"
            )
        run.say(f"{what}; tested again (at most {left} more), see {member.hired.log}")


def _overdue(member: Member, run: StudyRun) -> str | None:
    """Why a worker's trial is taken for one that hangs; None while it is not."""
    minutes = run.plan.sweep.workers.trial_timeout_minutes
    if minutes is None:
        return _silent(member, run)
    over = time.monotonic() - member.claimed_at >= minutes * 60
    return f"took longer than trial_timeout_minutes={minutes:g}" if over else None


def _silent(member: Member, run: StudyRun) -> str | None:
    """Why a worker that says nothing is taken for one that hangs; None while it may be at work."""
    quiet = time.monotonic() - member.heard_at
    if quiet < LEAST_SECONDS:  # mostly so, and then the store need not be asked
        return None
    longest = run.longest_seconds()
    bound = FIRST_SECONDS if longest is None else max(LEAST_SECONDS, TIMES_THE_LONGEST * longest)
    if quiet < bound:
        return None
    compared = "" if longest is None else f", and the longest trial took {duration(longest)}"
    return (
        f"showed no epoch for {duration(quiet)}{compared} (workers.trial_timeout_minutes sets another limit)"
    )


def _unreported_claim(member: Member, run: StudyRun) -> Claim | None:
    """A trial that the dead worker had claimed but not told of."""
    for trial in run.running():
        if trial.owner is not None and trial.owner.process == member.hired.owner:
            return claim_of(trial)
    return None
