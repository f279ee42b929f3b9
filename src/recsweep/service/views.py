"""A job as an answer: how far it is, its trials and the best of them, read from the store when it is asked.

Of all trials is read what their slots came to; the details are read of those alone that are shown.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recsweep.looking.listing import FINISHED, NOT_BEGUN, NOT_FINISHED, RUNNING
from recsweep.report.text import reason
from recsweep.service.jobs import Job, JobProgress, Jobs
from recsweep.service.request import KEYS
from recsweep.service.states import JobStatus, allowed
from recsweep.study import Trial
from recsweep.study.job_progress import JobStudy, progress_of
from recsweep.study.job_trials import StudyTrials
from recsweep.study.outcomes import Outcome
from recsweep.study.record import StudyRecord
from recsweep.sweeps.config import SweepConfig
from recsweep.sweeps.fields import facts

SHOWN_TRIALS = 50
"""Trials in the answer for one job: its last ones."""
_SHOWN = ("algo", "metric_name", "num_samples")


@dataclass(frozen=True)
class TrialRow:
    """A trial of a job, and the place of its study among those of the job."""

    position: int
    study: StudyRecord
    outcome: Outcome

    @property
    def cursor(self) -> str:
        """The word by which a page is asked for that begins or ends here."""
        return f"{self.position}.{self.outcome.slot}"

    @property
    def key(self) -> tuple[int, int]:
        """Sorts as the cursors do."""
        return key_of(self.cursor)


def key_of(cursor: str) -> tuple[int, int]:
    """The position and the slot that a cursor means."""
    position, _, slot = cursor.partition(".")
    return int(position), int(slot)


def trial_rows(studies: Sequence[StudyTrials]) -> Iterator[TrialRow]:
    """The trials of a job, study by study and slot by slot."""
    for position, one in enumerate(studies):
        yield from (TrialRow(position, one.study.record, outcome) for outcome in one.trials)


def state_of(study: JobStudy) -> str:
    """A study's state in a word."""
    if study.record.ended is not None or (study.budget and study.trained >= study.budget):
        return FINISHED
    return RUNNING if study.tally.running else NOT_FINISHED if study.trained else NOT_BEGUN


def summary(job: Job) -> dict[str, Any]:
    """A job without its trials."""
    asked = job.request
    return {
        "id": job.id,
        "name": job.name,
        "status": job.status.value,
        "engine": asked["engine"],
        **{field: asked.get(field, facts(SweepConfig, KEYS[field]).default) for field in _SHOWN},
        "models": list(job.models),
        "datasets": list(job.datasets),
        "trials_total": job.trials,
        **{name: _time(getattr(job, name)) for name in ("created", "queued", "started", "ended")},
        "error": job.error,
        "allowed": allowed(job.status),
    }


def listed(job: Job, progress: JobProgress) -> dict[str, Any]:
    """A job in a list, with how far it is."""
    return {**summary(job), "progress": _progress(progress), "best_score": _finite(progress.best)}


def whole(jobs: Jobs, job: Job) -> dict[str, Any]:
    """A job with all that is known of it."""
    studies = jobs.studies(job)
    rows = list(trial_rows(studies))
    shown = rows[-SHOWN_TRIALS:]
    winners = [one.winner for one in studies if one.winner is not None]
    details = jobs.details([*(row.outcome for row in shown), *winners])
    best = [_best(one, details) for one in studies]
    progress = progress_of([one.study for one in studies], job.trials)
    return {
        **summary(job),
        "request": job.request,
        "progress": _progress(progress),
        "eta_seconds": _eta(job, progress, list(details.values())),
        "best": _best_of_all(studies, best),
        "studies": [_study(one.study, found) for one, found in zip(studies, best, strict=True)],
        "trials": [trial_of(row.study, details[row.outcome.id]) for row in shown],
        "trials_before": shown[0].cursor if len(rows) > len(shown) else None,
    }


def trial_of(study: StudyRecord, trial: Trial) -> dict[str, Any]:
    """One trial, without its curve."""
    result, origin = trial.result, trial.inherited
    epochs = result.epochs if trial.state.closed else len(trial.curve)
    return {
        "slot": trial.slot,
        "study": study.label,
        "state": str(trial.state),
        "params": _plain(trial.params),
        "metrics": _plain(result.metrics),
        "score": _finite(trial.score),
        "epochs": epochs,
        "best_epoch": result.best_epoch,
        "seconds": _seconds(trial),
        "seed": trial.seed,
        "attempt": trial.attempt,
        "reason": reason(trial) or None,
        "inherited": f"{origin.phase}/{origin.slot}" if origin else None,
        "path": result.path,
        "energy": result.energy.to_dict() if result.energy else None,
    }


def curve_of(trial: Trial) -> list[dict[str, Any]]:
    """The validations of a trial."""
    return [{"epoch": epoch, "score": _finite(score)} for epoch, score in sorted(trial.curve.items())]


def _best(one: StudyTrials, details: Mapping[int, Trial]) -> dict[str, Any] | None:
    """The best trial of a study by validation; None where none has a score."""
    record = one.study.record
    if one.winner is None or _finite(one.winner.score) is None:
        return None
    winner = details[one.winner.id]
    return {
        "study": record.label,
        "slot": winner.slot,
        "score": winner.score,
        "params": _plain(record.complete(winner.params)),
        "metrics": _plain(winner.result.metrics),
        "test": _plain(record.test) if state_of(one.study) == FINISHED and record.test else None,
    }


def _best_of_all(
    studies: Sequence[StudyTrials], best: Sequence[dict[str, Any] | None]
) -> dict[str, Any] | None:
    """The best trial of a job; None where its studies are on several data sets."""
    if len({one.study.record.dataset_name for one in studies}) != 1:
        return None
    sign = -1 if studies[0].study.maximize else 1
    return min(filter(None, best), key=lambda found: sign * found["score"], default=None)


def _study(study: JobStudy, best: dict[str, Any] | None) -> dict[str, Any]:
    record = study.record
    return {
        "study": record.label,
        "dataset": record.dataset_name,
        "model": record.model_name,
        "phase": record.phase,
        "state": state_of(study),
        "trials": study.trained,
        "of": study.budget,
        "metric": record.metric,
        "best": best,
        "ended_by": record.ended_by or None,
    }


def _progress(progress: JobProgress) -> dict[str, Any]:
    done, total = progress.done, progress.total
    return {
        "done": done,
        "total": total,
        "running": progress.running,
        "failed": progress.failed,
        "pruned": progress.pruned,
        "share": min(1.0, done / total) if total else None,
    }


def _eta(job: Job, progress: JobProgress, last: Sequence[Trial]) -> float | None:
    """Seconds until the trials are done, as long as the last ones took; None where that cannot be said."""
    took = [trial.result.seconds for trial in last if trial.state.closed and trial.result.seconds]
    if job.status is not JobStatus.RUNNING or not took or progress.total is None:
        return None
    left = max(0, progress.total - progress.done)
    at_once = max(1, min(left, int(job.request.get("max_concurrent_trials", 1))))
    return round(left * sum(took) / len(took) / at_once, 1)


def _seconds(trial: Trial) -> float | None:
    if trial.state.closed:
        return _finite(trial.result.seconds)
    return None if trial.owner is None else trial.owner.ran


def _time(time: Any) -> str | None:
    return None if time is None else time.isoformat()


def _finite(value: float | None) -> float | None:
    """A number that JSON has."""
    return value if value is not None and math.isfinite(value) else None


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values without numbers that JSON has not, and lists for tuples."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in ((n, list(v) if isinstance(v, tuple) else v) for n, v in values.items())
    }
