"""A request planned: the studies that it would have, what is wrong with it or its data. Nothing is made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recsweep.common.files import to_plain
from recsweep.planning.plan import StudyPlan
from recsweep.planning.remarks import remarks
from recsweep.service.request import JobRequest
from recsweep.service.rows import Rows
from recsweep.service.sweep_of import plans_of, sweep_of
from recsweep.sweeps.space import Space


def plan(request: JobRequest, job_id: str, config: Path, rows: Rows | None = None) -> list[StudyPlan]:
    """The studies of a job.

    Args:
        rows: the data sets' rows; None: they are not looked at.

    Raises:
        Refused: it cannot be as it is.
    """
    sweep = sweep_of(request, job_id, config=config)
    plans = plans_of(sweep, request)
    if rows is not None:
        rows.check(sweep, request)
    return plans


def trials_of(plans: Sequence[StudyPlan]) -> int:
    """How many trials they train."""
    return sum(study.budget - study.inherits for study in plans)


def dry_run(request: JobRequest, config: Path, rows: Rows) -> dict[str, Any]:
    """The answer to a dry run: what `recsweep tune --dry-run` says of the same sweep.

    Raises:
        Refused: it cannot be as it is.
    """
    sweep = sweep_of(request, "dry-run", config=config)
    plans = plans_of(sweep, request)
    return {
        "engine": request.driven_by,
        "algo": request.algo,
        "trials": trials_of(plans),
        "studies": [_study(study) for study in plans],
        "remarks": [*remarks(sweep), *rows.check(sweep, request)],
    }


def _study(study: StudyPlan) -> dict[str, Any]:
    return {
        "study": study.label,
        "dataset": study.dataset_name,
        "model": study.model_name,
        "phase": study.phase,
        "trials": study.budget - study.inherits,
        "space": plain_space(study.space),
        "defaults": to_plain(study.defaults),
        "definition": study.content_hash,
    }


def plain_space(space: Space) -> dict[str, Any]:
    """A space as a request has it: with it as `search_space`, the same is searched."""
    return {name: parameter.model_dump(mode="json", exclude_none=True) for name, parameter in space.items()}
