"""The question whether a study has come to its end: the limits that it was given, asked of the store."""

from __future__ import annotations

from datetime import datetime

from recsweep.search.stopping import Ended, Limits, ended_by, seconds_run
from recsweep.study import Study, Trial
from recsweep.study.description import Description


def closed(described: Description, study: Study) -> Ended | None:
    """The limit that ended a study; None while there is something to run."""
    now = datetime.now()
    limits = Limits(
        described.budget,
        described.search.no_improvement_after,
        described.search.timeout_minutes,
        described.sweep_timeout_minutes,
        described.share,
        described.search.budget,
    )
    trials = study.results() if limits.timeout_minutes is None else _with_running(study)
    seconds = 0.0
    if limits.sweep_timeout_minutes is not None:
        studies = study.store.studies(sweep=described.sweep_name)
        seconds = seconds_run([trial for other in studies for trial in _with_running(other)], now)
    return ended_by(trials, limits, maximize=described.maximize, now=now, sweep_seconds=seconds)


def _with_running(study: Study) -> list[Trial]:
    return [*study.results(), *study.running()]
