"""A job as an answer: how far it is, its trials and the best of them, read from the store when it is asked.

What is finished does not change, so a study that was looked at is kept, and only what is new is read.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from recsweep.looking.listing import FINISHED, NOT_BEGUN, NOT_FINISHED, RUNNING
from recsweep.report.text import reason
from recsweep.service.jobs import Job, sweep_name
from recsweep.service.request import KEYS
from recsweep.service.states import JobStatus, allowed
from recsweep.study import Store, Trial, best
from recsweep.study.record import StudyRecord
from recsweep.study.states import State
from recsweep.sweeps.config import SweepConfig
from recsweep.sweeps.fields import facts

SHOWN_TRIALS = 1_000
"""Trials in the answer for one job."""


@dataclass(frozen=True)
class SeenStudy:
    """A study as it was when it was looked at."""

    record: StudyRecord
    results: Sequence[Trial]
    running: Sequence[Trial]

    @property
    def trained(self) -> int:
        return max(0, len(self.results) - self.record.slots_inherited)

    @property
    def budget(self) -> int:
        return self.record.budget - self.record.slots_inherited

    @property
    def state(self) -> str:
        if self.record.ended is not None or (self.budget and self.trained >= self.budget):
            return FINISHED
        return RUNNING if self.running else NOT_FINISHED if self.trained else NOT_BEGUN

    def trials(self) -> list[Trial]:
        """Those that fill their slots and those that run, by slot."""
        filled = {trial.slot for trial in self.results}
        running = [trial for trial in self.running if trial.slot not in filled]
        return sorted((*self.results, *running), key=lambda trial: trial.slot)


class Views:
    """Jobs as they stand in a store.

    Args:
        most: how many jobs' studies are remembered.
    """

    def __init__(self, store: Store, most: int = 64) -> None:
        self._store, self._most = store, most
        self._kept: OrderedDict[str, threading.Lock] = OrderedDict()
        self._names: dict[str, list[str]] = {}
        self._lock = threading.Lock()

    def studies(self, job: Job) -> list[SeenStudy]:
        """The studies of a job, in the order in which they were begun."""
        if job.status is JobStatus.CREATED:
            return []
        with self._alone(job.id):
            records = self._store.records(sweep=sweep_name(job.id))
            self._names[job.id] = [record.study for record in records]
            return [self._seen(record) for record in records]

    def _seen(self, record: StudyRecord) -> SeenStudy:
        study = self._store.study_of(record)
        return SeenStudy(record, list(study.results()), study.running())

    def _alone(self, job_id: str) -> threading.Lock:
        """One thread at a time reads a job's studies; the job that was not asked for longest is forgotten."""
        with self._lock:
            lock = self._kept.setdefault(job_id, threading.Lock())
            self._kept.move_to_end(job_id)
            if len(self._kept) > self._most:
                gone, held = self._kept.popitem(last=False)
                if not held.locked():
                    self._store.forget(self._names.pop(gone, []))
            return lock


def summary(job: Job) -> dict[str, Any]:
    """A job in a list."""
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


_SHOWN = ("algo", "metric_name", "num_samples")


def whole(job: Job, studies: Sequence[SeenStudy]) -> dict[str, Any]:
    """A job with all that is known of it."""
    one_dataset = len({study.record.dataset_name for study in studies}) == 1
    winners = [found for study in studies if (found := best_of(study)) is not None]
    sign = -1 if studies and studies[0].record.maximize else 1
    winner = min(winners, key=lambda found: sign * found["score"], default=None)
    return {
        **summary(job),
        "request": job.request,
        "progress": _progress(job, studies),
        "eta_seconds": _eta(job, studies),
        "best": winner if one_dataset else None,
        "studies": [_study(study) for study in studies],
        "trials": list(islice(trials_of(studies), SHOWN_TRIALS)),
    }


def trials_of(studies: Sequence[SeenStudy]) -> Iterator[dict[str, Any]]:
    """The trials of a job, study by study."""
    for study in studies:
        for trial in study.trials():
            yield trial_of(study, trial)


def trial_of(study: SeenStudy, trial: Trial) -> dict[str, Any]:
    """One trial, without its curve."""
    result, origin = trial.result, trial.inherited
    epochs = result.epochs if trial.state.closed else len(trial.curve)
    return {
        "slot": trial.slot,
        "study": study.record.label,
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
    }


def curve_of(trial: Trial) -> list[dict[str, Any]]:
    """The validations of a trial."""
    return [{"epoch": epoch, "score": _finite(score)} for epoch, score in sorted(trial.curve.items())]


def best_of(study: SeenStudy) -> dict[str, Any] | None:
    """The best trial of a study by validation; None where none has a score."""
    record = study.record
    winner = best(list(study.results), maximize=record.maximize)
    if winner is None or _finite(winner.score) is None:
        return None
    return {
        "study": record.label,
        "slot": winner.slot,
        "score": winner.score,
        "params": _plain(record.complete(winner.params)),
        "metrics": _plain(winner.result.metrics),
        "test": _plain(record.test) if study.state == FINISHED and record.test else None,
    }


def _study(study: SeenStudy) -> dict[str, Any]:
    record = study.record
    return {
        "study": record.label,
        "dataset": record.dataset_name,
        "model": record.model_name,
        "phase": record.phase,
        "state": study.state,
        "trials": study.trained,
        "of": study.budget,
        "metric": record.metric,
        "best": best_of(study),
        "ended_by": record.ended_by or None,
    }


def _progress(job: Job, studies: Sequence[SeenStudy]) -> dict[str, Any]:
    done, total = sum(study.trained for study in studies), _total(job, studies)
    states = [trial.state for study in studies for trial in study.results if trial.inherited is None]
    return {
        "done": done,
        "total": total,
        "running": sum(len(study.running) for study in studies),
        "failed": states.count(State.FAILED),
        "pruned": states.count(State.PRUNED),
        "share": min(1.0, done / total) if total else None,
    }


def _total(job: Job, studies: Sequence[SeenStudy]) -> int | None:
    return job.trials if job.trials is not None else sum(study.budget for study in studies) or None


def _eta(job: Job, studies: Sequence[SeenStudy]) -> float | None:
    """Seconds until the trials are done, as long as they took so far; None where that cannot be said."""
    took = [trial.result.seconds for study in studies for trial in study.results if trial.result.seconds]
    total = _total(job, studies)
    if job.status is not JobStatus.RUNNING or not took or total is None:
        return None
    left = max(0, total - sum(study.trained for study in studies))
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
