"""How far jobs are: the studies of all jobs of a page, counted by a few questions, and kept until one
changes.

The store's trials are the truth. What was counted is kept with the number that the job had before it was
counted (`job_marks.py`), and heeded for as long as it has that number.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from optuna.storages._rdb import models
from optuna.study import StudyDirection
from sqlalchemy import Connection, Table, and_, bindparam, select, update

from recsweep.study.job_rows import JobRows
from recsweep.study.job_table import PROGRESS, SWEEP
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

_CHANGED = select(PROGRESS.c.job_id, PROGRESS.c.changed).where(
    PROGRESS.c.job_id.in_(bindparam("ids", expanding=True))
)
_KEEP = (
    update(PROGRESS)
    .where(PROGRESS.c.job_id == bindparam("job"), PROGRESS.c.changed == bindparam("before"))
    .values(counted=bindparam("before"), progress=bindparam("text"))
)


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

    def to_json(self) -> str:
        """For `of_json`."""
        return json.dumps([getattr(self, field.name) for field in fields(self)])

    @classmethod
    def of_json(cls, text: str) -> JobProgress:
        """The one that `to_json` made a text of."""
        return cls(*json.loads(text))


def studies_in(connection: Connection, sweeps: Sequence[str], *, brief: bool = False) -> list[JobStudy]:
    """The studies of sweeps, in the order in which they were begun; their trials are not counted.

    A job's studies have all their record: the service is younger than that.

    Args:
        brief: their details are not needed.
    """
    rows = connection.execute(_BRIEF if brief else _WHOLE, {"sweeps": list(sweeps)}) if sweeps else ()
    none = Tally()
    return [JobStudy(row.study_id, StudyRecord.from_row(row._asdict()), row.maximize, none) for row in rows]


def counted_jobs(rows: JobRows, asked: Mapping[str, int | None]) -> dict[str, JobProgress]:
    """How far jobs are, counted now and kept with them, by their ids.

    Args:
        asked: trials that each job asks for, where that is known.
    """
    ids = list(asked)
    with rows.reading.connect() as connection:
        before = dict(connection.execute(_CHANGED, {"ids": ids}).tuples().all()) if ids else {}
        studies = _counted_studies(connection, [f"{SWEEP}{id_}" for id_ in ids])
    found = {id_: progress_of(studies.get(f"{SWEEP}{id_}", ()), asked[id_]) for id_ in ids}
    kept = [{"job": id_, "before": number, "text": found[id_].to_json()} for id_, number in before.items()]
    if kept:
        with rows.engine.begin() as connection:
            connection.execute(_KEEP, kept)
    return found


def _counted_studies(connection: Connection, sweeps: Sequence[str]) -> dict[str, list[JobStudy]]:
    """The studies of sweeps, counted, by the names of these. Those that have ended say their best score."""
    found: dict[str, list[JobStudy]] = {}
    studies = studies_in(connection, sweeps, brief=True)
    ways = {study.id: study.maximize for study in studies}
    open_ = [study.id for study in studies if study.record.ended is None]
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
