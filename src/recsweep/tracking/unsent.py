"""The events of a study that a tracker has not got yet: made of its trials and a cursor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

from recsweep.study import Reason, Result, State, StudyRecord, Trial, by_end
from recsweep.tracking.cursor import Cursor
from recsweep.tracking.events import Begun, Ended, Epoch, Event, RunName, StudyName, Tested

Places = Mapping[int, str]
"""Where the weights of slots are."""
Seen = Mapping[int, Mapping[int, Mapping[str, float]]]
"""All metrics and the loss of epochs, by the ids of trials."""


def trials_of(ended: Iterable[Trial], running: Iterable[Trial]) -> list[Trial]:
    """The trials that there is something to say of: those that ended in that order, then those that run."""
    over = [trial for trial in ended if trial.state.closed and trial.reason != Reason.DUPLICATE]
    begun = [trial for trial in running if trial.params]  # else it is claimed, and nothing decided
    return [*sorted(over, key=by_end), *sorted(begun, key=lambda trial: trial.id)]


def unsent(
    study: StudyName,
    trials: Sequence[Trial],
    cursor: Cursor,
    places: Places,
    now: float,
    seen: Seen = MappingProxyType({}),
) -> Iterator[Event]:
    """The events of trials that are new, in order.

    Args:
        trials: as `trials_of` gives them.
        now: this moment, for an epoch of a trial that runs.
        seen: what else is known of epochs.
    """
    attempts = dict(cursor.done)
    curves: dict[int, int] = {}
    """The last epoch that was sent of each slot, by earlier attempts too: what they saw is not sent twice."""
    for trial in trials:
        run, last = RunName(study, trial.slot), attempts.get(trial.slot, -1)
        if trial.attempt <= last:
            curves[trial.slot] = max(curves.get(trial.slot, 0), *trial.curve, 0)
            continue
        attempt, sent = cursor.open.get(trial.slot, (-1, 0))
        if attempt != trial.attempt:
            yield _begun(run, trial)
            sent = 0
        sent = max(sent, curves.get(trial.slot, 0))
        yield from _epochs(run, trial, sent, now, seen.get(trial.id, {}))
        curves[trial.slot] = max(sent, *trial.curve, 0)
        if trial.state.closed:
            yield _ended(run, trial, places.get(trial.slot, ""))
            attempts[trial.slot] = trial.attempt


def tested(study: StudyName, record: StudyRecord, cursor: Cursor, now: float) -> Iterator[Event]:
    """The test of the winner, where there is one that was not sent."""
    winner, metrics = record.winner, record.test
    if winner is not None and metrics and cursor.tested != winner.slot:
        yield Tested(RunName(study, winner.slot), dict(metrics), now)


def _begun(run: RunName, trial: Trial) -> Begun:
    origin = trial.inherited.phase if trial.inherited is not None else ""
    began = seconds(trial.started)
    return Begun(run, trial.attempt, dict(trial.params), trial.seed, dict(trial.environment), began, origin)


def _epochs(
    run: RunName, trial: Trial, sent: int, now: float, seen: Mapping[int, Mapping[str, float]]
) -> Iterator[Epoch]:
    began, over = seconds(trial.started), seconds(trial.finished)
    last = max(trial.curve, default=1)
    for epoch, score in trial.curve.items():
        if epoch > sent:
            time = began + (over - began) * epoch / last if trial.state.closed else now
            metrics = {run.study.metric.lower(): score, **seen.get(epoch, {})}
            yield Epoch(run, trial.attempt, epoch, metrics, time)


def _ended(run: RunName, trial: Trial, checkpoint: str) -> Ended:
    result, failure = trial.result, trial.failure
    return Ended(
        run,
        trial.attempt,
        dict(trial.params),
        trial.seed,
        dict(trial.environment),
        trial.counted,
        str(trial.state) if trial.state != State.FAILED or trial.counted else "put back",
        str(trial.reason or ""),
        failure.message if failure is not None else "",
        trial.score,
        {**result.metrics, **_energy(result)},
        result.best_epoch,
        result.epochs if result.epochs is not None else max(trial.curve, default=None),
        result.seconds,
        result.path or "",
        checkpoint,
        seconds(trial.finished),
    )


def _energy(result: Result) -> dict[str, float]:
    """The energy that a trial took, in numbers, where it was measured."""
    if result.energy is None:
        return {}
    found = {"energy_kwh": result.energy.kwh, "energy_co2_g": result.energy.co2_g}
    return found if result.energy.cost is None else {**found, "energy_cost": result.energy.cost}


def seconds(time: datetime | None) -> float:
    """A time as seconds since 1970; 0 where there is none."""
    return 0.0 if time is None else time.timestamp()
