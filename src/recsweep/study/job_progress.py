"""How far jobs are: the studies of all jobs of a page, counted by a few questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from optuna.storages._rdb import models
from optuna.study import StudyDirection
from sqlalchemy import Connection, Table, and_, bindparam, select

from recsweep.study.job_rows import JobRows
from recsweep.study.record_table import TABLE
from recsweep.study.tally import Tally, tally_tables

_DIRECTIONS: Table = models.StudyDirectionModel.__table__
_COLUMNS = (
    "study_id",
    "sweep_name",
    "dataset_name",
    "model_name",
    "phase",
    "metric",
    "budget",
    "score",
    "ended",
    "slots_inherited",
)
_STUDIES = (
    select(*(TABLE.c[name] for name in _COLUMNS), _DIRECTIONS.c.direction)
    .select_from(
        TABLE.join(
            _DIRECTIONS, and_(_DIRECTIONS.c.study_id == TABLE.c.study_id, _DIRECTIONS.c.objective == 0)
        )
    )
    .where(TABLE.c.sweep_name.in_(bindparam("sweeps", expanding=True)), TABLE.c.archived.is_(None))
    .order_by(TABLE.c.study_id)
)


@dataclass(frozen=True)
class JobStudy:
    """One study of a job, counted.

    Attributes:
        budget: slots that are trained there.
        trained: those of them that have their result.
    """

    dataset: str
    model: str
    phase: str
    metric: str
    maximize: bool
    budget: int
    trained: int
    tally: Tally


@dataclass(frozen=True)
class JobProgress:
    """How far a job is.

    Attributes:
        done: trials that fill their slots.
        total: trials that it has in all, as far as is known; None where nothing is.
        best: the best validation score; None where there is none, or where the data sets are several, whose
            scores are not to be compared.
        metric: of that score.
    """

    done: int
    total: int | None
    running: int = 0
    pruned: int = 0
    failed: int = 0
    best: float | None = None
    metric: str | None = None
    studies: tuple[JobStudy, ...] = ()


def studies_of(rows: JobRows, sweeps: Sequence[str]) -> dict[str, list[JobStudy]]:
    """The studies of sweeps, by the names of these, in the order in which they were begun."""
    found: dict[str, list[JobStudy]] = {}
    with rows.reading.connect() as connection:
        studies = connection.execute(_STUDIES, {"sweeps": list(sweeps)}).all() if sweeps else []
        tallies = _tallied(connection, studies)
    for study in studies:
        tally, inherited = tallies.get(study.study_id, Tally()), study.slots_inherited or 0
        one = JobStudy(
            study.dataset_name,
            study.model_name,
            study.phase,
            study.metric,
            study.direction == StudyDirection.MAXIMIZE,
            max(0, (study.budget or 0) - inherited),
            max(0, tally.filled - inherited),
            tally if study.ended is None else tally._replace(best=study.score),
        )
        found.setdefault(study.sweep_name, []).append(one)
    return found


def _tallied(connection: Connection, studies: Sequence[Any]) -> dict[int, Tally]:
    """Tallies by study; those that have ended say their best score themselves."""
    found: dict[int, Tally] = {}
    for over in (True, False):
        ids = [study.study_id for study in studies if (study.ended is not None) is over]
        found |= tally_tables(connection, ids, scores=not over) if ids else {}
    return found


def progress_of(studies: Sequence[JobStudy], asked: int | None) -> JobProgress:
    """How far a job is with these studies.

    Args:
        asked: trials that it asks for, where that is known.
    """
    total = max(asked or 0, sum(study.budget for study in studies))
    scores = [study.tally.best for study in studies if study.tally.best is not None]
    alike = len({(study.dataset, study.metric) for study in studies}) == 1
    better = max if studies and studies[0].maximize else min
    return JobProgress(
        sum(study.trained for study in studies),
        total or None,
        sum(study.tally.running for study in studies),
        sum(study.tally.pruned for study in studies),
        sum(study.tally.failed for study in studies),
        better(scores) if scores and alike else None,
        studies[0].metric if studies and alike else None,
        tuple(studies),
    )
