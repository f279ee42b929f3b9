"""The trials of a job: page by page, and one with its curve."""

from __future__ import annotations

from itertools import islice
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, Response

from recsweep.service.answers import TrialPage, TrialWithCurve
from recsweep.service.asked import JobId, Limit, OfStudy, Slot
from recsweep.service.guard import Reader
from recsweep.service.problems import Trouble, errors
from recsweep.service.refusals import refused
from recsweep.service.service import Service, TheService
from recsweep.service.views import SeenStudy, curve_of, trial_of
from recsweep.sweeps.documents import nearest

router = APIRouter(tags=["trials"], dependencies=[Reader])
_Cursor = Annotated[
    str | None, Query(pattern=r"^[0-9]{1,4}\.[0-9]{1,9}$", description="`next` of the page before.")
]


@router.get("/jobs/{job_id}/trials", response_model=TrialPage, responses=errors(404, 422))
def list_trials(service: TheService, job_id: JobId, after: _Cursor = None, limit: Limit = 100) -> Response:
    """The trials of a job, study by study and slot by slot."""
    begin = (0, -1) if after is None else (int(after.split(".")[0]), int(after.split(".")[1]))
    found = (
        (number, study, trial)
        for number, study in enumerate(_studies(service, job_id))
        for trial in study.trials()
        if (number, trial.slot) > begin
    )
    page = list(islice(found, limit + 1))
    trials = [trial_of(study, trial) for _, study, trial in page[:limit]]
    number, _, last = page[limit - 1] if len(page) > limit else (0, None, None)
    return JSONResponse({"trials": trials, "next": None if last is None else f"{number}.{last.slot}"})


@router.get("/jobs/{job_id}/trials/{slot}", response_model=TrialWithCurve, responses=errors(404, 422))
def get_trial(service: TheService, job_id: JobId, slot: Slot, study: OfStudy = None) -> Response:
    """One trial, with the score of every validation."""
    found = _one(_studies(service, job_id), study)
    for trial in found.trials() if found else ():
        if found and trial.slot == slot:
            return JSONResponse({**trial_of(found, trial), "curve": curve_of(trial)})
    raise Trouble(404, f"the job has no trial {slot} that runs or has run", "ask for its trials", "slot")


def _studies(service: Service, job_id: str) -> list[SeenStudy]:
    return service.views.studies(service.jobs.get(job_id))


def _one(studies: list[SeenStudy], name: str | None) -> SeenStudy | None:
    """The study of that name; without one, the only study there is."""
    names = [study.record.label for study in studies]
    if name is None and len(studies) > 1:
        raise refused("study", "the job has several studies", f"name one of {', '.join(names)}")
    if name is not None and name not in names:
        raise refused("study", f"the job has no study `{name}`", nearest(name, names), name)
    return next((study for study in studies if name in (None, study.record.label)), None)
