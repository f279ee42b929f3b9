"""The trials of a job: page by page, and one with its curve."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, Response

from recsweep.service.answers import TrialPage, TrialWithCurve
from recsweep.service.asked import JobId, Limit, OfStudy, Slot
from recsweep.service.guard import Reader
from recsweep.service.problems import Trouble, errors
from recsweep.service.refusals import refused
from recsweep.service.service import Service, TheService
from recsweep.service.views import curve_of, key_of, trial_of, trial_rows
from recsweep.study.job_trials import StudyTrials
from recsweep.sweeps.documents import nearest

router = APIRouter(tags=["trials"], dependencies=[Reader])
_PLACE = r"^[0-9]{1,4}\.[0-9]{1,9}$"
_After = Annotated[str | None, Query(pattern=_PLACE, description="`next` of the page before.")]
_Before = Annotated[
    str | None,
    Query(pattern=_PLACE, description="`previous` of the page behind, or `trials_before` of the job."),
]


@router.get("/jobs/{job_id}/trials", response_model=TrialPage, responses=errors(404, 422))
def list_trials(
    service: TheService, job_id: JobId, after: _After = None, before: _Before = None, limit: Limit = 100
) -> Response:
    """The trials of a job, study by study and slot by slot; those behind a place, or those before one."""
    if after is not None and before is not None:
        raise refused("before", "there is `after` too", "send one of them", before)
    rows = list(trial_rows(_studies(service, job_id)))
    begin = 0 if after is None else sum(row.key <= key_of(after) for row in rows)
    end = begin + limit
    if before is not None:
        end = sum(row.key < key_of(before) for row in rows)
        begin = max(0, end - limit)
    page = rows[begin:end]
    details = service.jobs.details(row.outcome for row in page)
    return JSONResponse(
        {
            "trials": [trial_of(row.study, details[row.outcome.id]) for row in page],
            "next": page[-1].cursor if page and end < len(rows) else None,
            "previous": page[0].cursor if page and begin else None,
        }
    )


@router.get("/jobs/{job_id}/trials/{slot}", response_model=TrialWithCurve, responses=errors(404, 422))
def get_trial(service: TheService, job_id: JobId, slot: Slot, study: OfStudy = None) -> Response:
    """One trial, with the score of every validation."""
    found = _one(_studies(service, job_id), study)
    wanted = [trial for trial in found.trials if trial.slot == slot] if found else []
    for trial in service.jobs.details(wanted, whole=True).values():
        if found:
            return JSONResponse({**trial_of(found.study.record, trial), "curve": curve_of(trial)})
    raise Trouble(404, f"the job has no trial {slot} that runs or has run", "ask for its trials", "slot")


def _studies(service: Service, job_id: str) -> list[StudyTrials]:
    return service.jobs.studies(service.jobs.get(job_id))


def _one(studies: list[StudyTrials], name: str | None) -> StudyTrials | None:
    """The study of that name; without one, the only study there is."""
    names = [one.study.record.label for one in studies]
    if name is None and len(studies) > 1:
        raise refused("study", "the job has several studies", f"name one of {', '.join(names)}")
    if name is not None and name not in names:
        raise refused("study", f"the job has no study `{name}`", nearest(name, names), name)
    return next((one for one in studies if name in (None, one.study.record.label)), None)
