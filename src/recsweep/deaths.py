"""Whose fault it is that a worker died or hangs, and what becomes of its trial.

A worker that dies alone takes the blame: its trial is run again a few times, then counted as
crashed. One that hangs is ended, and its trial counted as a timeout.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from multiprocessing.context import SpawnProcess

from recsweep.errors import RecsweepError
from recsweep.events import TrialDone
from recsweep.owner import Owner
from recsweep.plan import StudyPlan
from recsweep.pool import Child
from recsweep.progress import Display
from recsweep.study import CRASH, TIMEOUT, Claim, Study, claim_of

MAX_START_FAILURES = 3

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
        if study.fail(claim, CRASH, message, seconds):
            ended(TrialDone(claim.slot, None, 0, seconds, message))

    def is_overdue(self, child: Child, plan: StudyPlan) -> bool:
        """Whether a worker's trial has taken longer than any trial may."""
        minutes = plan.sweep.workers.trial_timeout_minutes
        if minutes is None or child.claim is None:
            return False
        return time.monotonic() - child.claimed_at >= minutes * 60

    def end_hung(self, child: Child, plan: StudyPlan, study: Study, ended: TrialEnded) -> None:
        """Kill a worker whose trial hangs, and count the trial as a timeout. The dead is yet to be buried."""
        claim, minutes = child.claim, plan.sweep.workers.trial_timeout_minutes
        if claim is None or minutes is None:
            return
        child.process.kill()
        child.process.join()
        message = f"took longer than trial_timeout_minutes={minutes:g}"
        seconds = time.monotonic() - child.claimed_at
        if study.fail(claim, TIMEOUT, message, seconds):
            ended(TrialDone(claim.slot, None, 0, seconds, message))
        child.claim, child.ready = None, True


def _unreported_claim(child: Child, study: Study) -> Claim | None:
    """A trial that the dead worker had claimed but not told of."""
    for trial in study.running():
        if trial.owner and Owner.from_dict(trial.owner) == child.owner:
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
