"""How far jobs are: the studies of all jobs of a page, counted by a few questions."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.storages._rdb import models
from optuna.study import StudyDirection
from sqlalchemy import Connection, Table, and_, bindparam, select

from recsweep.study.job_rows import JobRows
from recsweep.study.record import StudyRecord
from recsweep.study.record_table import TABLE
from recsweep.study.tally import Tally, tally_tables

_DIRECTIONS: Table = models.StudyDirectionModel.__table__
_MAXIMIZE = (_DIRECTIONS.c.direction == StudyDirection.MAXIMIZE).label("maximize")
_JOINED = TABLE.join(
    _DIRECTIONS, and_(_DIRECTIONS.c.study_id == TABLE.c.study_id, _DIRECTIONS.c.objective == 0)
)


def _asked(*columns: Any) -> Any:
    of_jobs = TABLE.c.sweep_name.in_(bindparam("sweeps", expanding=True))
    query = select(*columns, _MAXIMIZE).select_from(_JOINED).where(of_jobs, TABLE.c.archived.is_(None))
    return query.order_by(TABLE.c.study_id)


_BRIEF, _WHOLE = _asked(*(column for column in TABLE.c if column.name != "details")), _asked(*TABLE.c)


@dataclass(frozen=True)
class JobStudy:
    """One study of a job, counted.

    Attributes:
        record: without its details in a list.
    """

    id: int
    record: StudyRecord
    maximize: bool
    tally: Tally

    @property
    def budget(self) -> int:
        """Slots that are trained there."""
        return max(0, self.record.budget - self.record.slots_inherited)

    @property
    def trained(self) -> int:
        """Those of them that have their result."""
        return max(0, self.tally.filled - self.record.slots_inherited)


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


def studies_in(connection: Connection, sweeps: Sequence[str], *, brief: bool = False) -> list[JobStudy]:
    """The studies of sweeps, in the order in which they were begun; their trials are not counted.

    A job's studies have all their record: the service is younger than that.

    Args:
        brief: their details are not needed.
    """
    rows = connection.execute(_BRIEF if brief else _WHOLE, {"sweeps": list(sweeps)}) if sweeps else ()
    none = Tally()
    return [JobStudy(row.study_id, StudyRecord.from_row(row._asdict()), row.maximize, none) for row in rows]


def counted_studies(
    rows: JobRows, sweeps: Sequence[str], scored: Collection[str] = ()
) -> dict[str, list[JobStudy]]:
    """The studies of sweeps, counted, by the names of these. Those that have ended say their best score.

    Args:
        scored: sweeps whose trials are asked for the best score where a study has not ended: a page of sweeps
            has thousands, and each is another look into the store.
    """
    found: dict[str, list[JobStudy]] = {}
    with rows.reading.connect() as connection:
        studies = studies_in(connection, sweeps, brief=True)
        ways = {study.id: study.maximize for study in studies}
        open_ = [s.id for s in studies if s.record.ended is None and s.record.sweep_name in scored]
        tallies = tally_tables(connection, list(ways), scored=open_, maximize=ways) if ways else {}
    for study in studies:
        tally, record = tallies.get(study.id, Tally()), study.record
        own = tally if record.ended is None else tally._replace(best=record.score)
        found.setdefault(record.sweep_name, []).append(JobStudy(study.id, record, study.maximize, own))
    return found


def progress_of(studies: Sequence[JobStudy], asked: int | None) -> JobProgress:
    """How far a job is with these studies.

    Args:
        asked: trials that it asks for, where that is known.
    """
    total = max(asked or 0, sum(study.budget for study in studies))
    tallies = [study.tally for study in studies]
    scores = [tally.best for tally in tallies if tally.best is not None]
    alike = len({(study.record.dataset_name, study.record.metric) for study in studies}) == 1
    better = max if studies and studies[0].maximize else min
    return JobProgress(
        sum(study.trained for study in studies),
        total or None,
        sum(tally.running for tally in tallies),
        sum(tally.pruned for tally in tallies),
        sum(tally.failed for tally in tallies),
        better(scores) if scores and alike else None,
        studies[0].record.metric if studies and alike else None,
    )
