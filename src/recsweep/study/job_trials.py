"""The trials of one job: what each slot came to, and the details of those that are shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from recsweep.study.job_progress import JobStudy, studies_in
from recsweep.study.job_rows import JobRows
from recsweep.study.outcomes import Outcome, best, latest
from recsweep.study.rows import read_attributes, read_curves, read_values
from recsweep.study.states import State
from recsweep.study.tally import outcomes, tally
from recsweep.study.trial import Trial, from_attributes


@dataclass(frozen=True)
class StudyTrials:
    """A study of a job, counted trial by trial.

    Attributes:
        trials: those that fill their slots and those that run, by slot.
        winner: the best of them by validation, so far.
    """

    study: JobStudy
    trials: tuple[Outcome, ...]
    winner: Outcome | None


def studies_with_trials(rows: JobRows, sweep: str) -> list[StudyTrials]:
    """The studies of a job, in the order in which they were begun: two questions, however many there are."""
    with rows.reading.connect() as connection:
        studies = studies_in(connection, [sweep])
        found = outcomes(connection, [study.id for study in studies]) if studies else {}
    return [_counted(study, found[study.id]) for study in studies]


def _counted(study: JobStudy, every: Sequence[Outcome]) -> StudyTrials:
    results = [trial for trial in latest(every).values() if trial.counted]
    filled = {trial.slot for trial in results}
    running = [t for t in every if t.state is State.RUNNING and t.slot not in filled]
    counted = replace(study, tally=tally(every, maximize=study.maximize))
    shown = sorted((*results, *running), key=lambda trial: trial.slot)
    return StudyTrials(counted, tuple(shown), best(results, maximize=study.maximize))


def details_of(rows: JobRows, some: Iterable[Outcome], *, whole: bool = False) -> dict[int, Trial]:
    """The details of trials, by their ids.

    Args:
        whole: with the values of all objectives, and with their curves; else a trial has its score alone,
            and one that runs its curve.
    """
    wanted = {trial.id: trial for trial in some}
    with_curve = [id_ for id_, trial in wanted.items() if whole or trial.state is State.RUNNING]
    with rows.reading.connect() as connection:
        attributes = read_attributes(connection, list(wanted))
        curves = read_curves(connection, with_curve) if with_curve else {}
        values = read_values(connection, list(wanted)) if whole else {}
    found: dict[int, Trial] = {}
    for id_, trial in wanted.items():
        scores = values.get(id_) or ([] if trial.score is None else [trial.score])
        found[id_] = from_attributes(
            id_, trial.number, trial.state, attributes[id_], values=tuple(scores), curve=curves.get(id_)
        )
    return found
