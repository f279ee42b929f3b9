"""Which limit ended a study, if one did: a pure function of its counted trials and the limits.

So the answer is the same after any kill, pause or second run with the same limits, and a study goes on when
a limit is raised. What runs when a limit is met is finished; should it better the best, the study goes on.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from recsweep.common.owner import Owner
from recsweep.planning.shares import share_text
from recsweep.search.shares import used
from recsweep.study import HEARTBEAT_SECONDS, State, Trial, by_end
from recsweep.sweeps.sections import TRIALS

MAX_EVALS, NO_IMPROVEMENT = "max_evals", "no_improvement_after"
_LATE_BEATS = 2
"""A running trial has run as long as its last beat says, and at most so many beats longer."""
SHARE = "search.share"
STUDY_TIMEOUT, SWEEP_TIMEOUT = "search.timeout_minutes", "timeout_minutes"


@dataclass(frozen=True)
class Limits:
    """The limits that may end a study; None: it does not."""

    max_evals: int
    """Slots of the study."""
    no_improvement_after: int | None = None
    timeout_minutes: float | None = None
    """Of the study."""
    sweep_timeout_minutes: float | None = None
    share: float | None = None
    """Of the study, in units."""
    unit: str = TRIALS


@dataclass(frozen=True)
class Ended:
    """The limit that ended a study."""

    limit: str
    """The key of the limit in a sweep file."""
    reason: str
    """`no_improvement_after=10: no better trial since trial 7`"""


def ended_by(
    trials: Iterable[Trial], limits: Limits, *, maximize: bool, now: datetime, sweep_seconds: float = 0.0
) -> Ended | None:
    """The limit at which no more trial of a study starts; None while there is none.

    Args:
        trials: the study's; those that neither count nor run are left out.
        now: until when those that run have run, by the clock of the store's times.
        sweep_seconds: `seconds_run` of the trials of all studies of the sweep.
    """
    trials = list(trials)
    counted = [trial for trial in trials if trial.counted]
    if limits.share is not None and (spent := used(counted, limits.unit)) >= limits.share:
        wanted = share_text(limits.share, limits.unit)
        return Ended(SHARE, f"{SHARE}: {share_text(spent, limits.unit)} of {wanted} are used")
    if sum(trial.slot < limits.max_evals for trial in counted) >= limits.max_evals:
        return Ended(MAX_EVALS, f"max_evals={limits.max_evals}: every slot is filled")
    without, since = without_improvement(counted, maximize=maximize)
    if limits.no_improvement_after is not None and without >= limits.no_improvement_after:
        found = "no trial succeeded" if since is None else f"no better trial since trial {since}"
        return Ended(NO_IMPROVEMENT, f"{NO_IMPROVEMENT}={limits.no_improvement_after}: {found}")
    minutes = seconds_run(trials, now) / 60
    if limits.timeout_minutes is not None and minutes >= limits.timeout_minutes:
        ran = f"trials of the study ran for {minutes:.1f} minutes"
        return Ended(STUDY_TIMEOUT, f"{STUDY_TIMEOUT}={limits.timeout_minutes:g}: {ran}")
    if limits.sweep_timeout_minutes is not None and sweep_seconds / 60 >= limits.sweep_timeout_minutes:
        ran = f"trials of the sweep ran for {sweep_seconds / 60:.1f} minutes"
        return Ended(SWEEP_TIMEOUT, f"{SWEEP_TIMEOUT}={limits.sweep_timeout_minutes:g}: {ran}")
    return None


def without_improvement(counted: Sequence[Trial], *, maximize: bool) -> tuple[int, int | None]:
    """How many trials ended since the best one did, and its slot; None where none succeeded.

    In the order in which they ended. A trial that failed or was pruned is none that betters the best: what
    a pruned one might have come to is not known.
    """
    sign = 1 if maximize else -1
    without, best, since = 0, 0.0, None
    for trial in sorted(counted, key=by_end):
        without += 1
        if trial.state != State.COMPLETE or trial.score is None:
            continue
        if since is None or sign * trial.score > best:
            without, best, since = 0, sign * trial.score, trial.slot
    return without, since


def seconds_run(trials: Iterable[Trial], now: datetime) -> float:
    """How many seconds at least one of the trials ran.

    Each trial has run as long as it says itself: the clock of the store's times may be set meanwhile.
    Attempts that were put back do not count, nor does what passed between them: a sweep that was killed
    and went on a day later has run as long as one that was not. Nor does a trial that was inherited.
    """
    spans: list[tuple[datetime, datetime]] = []
    by_worker: defaultdict[Owner, list[float]] = defaultdict(list)
    for trial in trials:
        if trial.started is None or trial.inherited or not (trial.counted or trial.state == State.RUNNING):
            continue
        seconds = _seconds(trial, trial.started, now)
        spans.append((trial.started, trial.started + timedelta(seconds=seconds)))
        if trial.owner is not None and trial.owner.process.worker is not None:
            by_worker[trial.owner.process].append(seconds)
    total, until = 0.0, datetime.min
    for start, end in sorted(spans):
        if end > max(start, until):
            total += (end - max(start, until)).total_seconds()
            until = end
    # One worker runs one trial after the other, though a clock that was set back says otherwise.
    return max([total, *map(math.fsum, by_worker.values())])


def _seconds(trial: Trial, started: datetime, now: datetime) -> float:
    """How long a trial ran, or has run until now."""
    recorded = trial.result.seconds
    if recorded is not None:
        return max(0.0, float(recorded))
    seconds = max(0.0, ((trial.finished or now) - started).total_seconds())
    ran = trial.owner.ran if trial.owner is not None else None
    if trial.state != State.RUNNING or ran is None:
        return seconds
    return min(max(seconds, float(ran)), float(ran) + _LATE_BEATS * HEARTBEAT_SECONDS)
