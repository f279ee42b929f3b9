"""The events of a job's trials, made of what the store holds: so none is missed, and none told twice.

Whoever runs the job looks at its trials as they stand, and tells what was not told before. What a kill
swallowed is told by whoever looks next, for the store still holds it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any

from recsweep.common.files import to_plain
from recsweep.service.jobs import Job, Jobs, NewEvent, sweep_name
from recsweep.study import State, Study, Trial

_STUDIES_SECONDS = 5.0
"""A study that begins is told of so late at most."""
STARTED, EPOCH, ENDED, BACK = "trial.started", "trial.epoch", "trial.ended", "trial.back"


class Teller:
    """Tells of the trials of one job.

    Args:
        job: as it was claimed.
    """

    def __init__(self, jobs: Jobs, job: Job) -> None:
        self._jobs, self._job = jobs, job
        self._told = jobs.told(job.id)
        self._over: set[int] = set()
        """Trials of which all is told."""
        self._begun: dict[str, tuple[Study, dict[str, Any]]] = {}
        """The studies of the job, and what is told with each of their trials."""
        self._asked = float("-inf")

    def look(self, *, last: bool = False) -> int:
        """Tell what is new; how many events that are.

        Args:
            last: nobody looks again, so that no study may be missed.
        """
        if last or time.monotonic() - self._asked >= _STUDIES_SECONDS:
            self._find_studies()
        new = [event for study, about in self._begun.values() for event in self._new(study, about)]
        if new:
            self._jobs.add_events(self._job.id, new)
            self._told.update(event.mark for event in new if event.mark is not None)
            if any(event.kind != EPOCH for event in new):
                self._jobs.progress([self._job])  # kept with the job, for who lists it
        return len(new)

    def _find_studies(self) -> None:
        """The question is one over all studies of the store, and a job begins few."""
        self._asked = time.monotonic()
        for record in self._jobs.store.records(sweep=sweep_name(self._job.id)):
            if record.study in self._begun:
                continue
            study = self._jobs.store.find_study(record.study)
            if study is not None:
                about = {"dataset": record.dataset_name, "model": record.model_name, "phase": record.phase}
                self._begun[record.study] = study, about

    def _new(self, study: Study, about: dict[str, Any]) -> Iterator[NewEvent]:
        for trial in _in_order(trial for trial in study.trials() if trial.id not in self._over):
            yield from (event for event in _events(trial, about) if event.mark not in self._told)
            if trial.state.closed:
                self._over.add(trial.id)


def _in_order(trials: Iterable[Trial]) -> list[Trial]:
    """The trials that began, those that ended first: so that what is told of one study is in its order."""
    begun = [trial for trial in trials if trial.state is not State.WAITING and not trial.inherited]
    return sorted(begun, key=lambda t: (not t.state.closed, t.ended or 0, t.id))


def _events(trial: Trial, about: dict[str, Any]) -> Iterator[NewEvent]:
    named = {**about, "slot": trial.slot, "attempt": trial.attempt}
    if not trial.params and not trial.state.closed:
        return  # claimed, and nothing decided
    yield NewEvent(STARTED, {**named, "params": to_plain(trial.params)}, f"{trial.id}.started")
    for epoch, score in sorted(trial.curve.items()):
        yield NewEvent(EPOCH, {**named, "epoch": epoch, "score": _finite(score)}, f"{trial.id}.{epoch}")
    if trial.state.closed:
        yield NewEvent(ENDED if trial.counted else BACK, _end(trial, named), f"{trial.id}.ended")


def _end(trial: Trial, named: dict[str, Any]) -> dict[str, Any]:
    result, failure = trial.result, trial.failure
    return {
        **named,
        "state": str(trial.state),
        "score": None if trial.score is None else _finite(trial.score),
        "metrics": {name: _finite(value) for name, value in result.metrics.items()},
        "epochs": result.epochs,
        "seconds": result.seconds,
        "reason": failure.message if failure is not None else None,
    }


def _finite(value: float) -> float | None:
    """JSON has no other numbers."""
    return value if abs(value) < float("inf") else None
