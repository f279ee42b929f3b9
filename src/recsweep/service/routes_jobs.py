"""Jobs: made, listed, looked at, started, cancelled, taken up again, removed."""

from __future__ import annotations

import shutil
from http import HTTPStatus

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool

from recsweep.service.answers import JobAnswer, JobPage, JobSummary, Plan
from recsweep.service.asked import BODY, After, Asked, JobId, Key, Limit, OfDataset, OfModel, OfStatus
from recsweep.service.guard import Reader, Writer
from recsweep.service.jobs import Job, new_id
from recsweep.service.planned import dry_run, plan, trials_of
from recsweep.service.problems import Trouble, errors
from recsweep.service.service import Service, TheService
from recsweep.service.states import JobStatus
from recsweep.service.views import listed, summary, whole

router = APIRouter(tags=["jobs"])
_MADE = HTTPStatus.CREATED
_WAIT_SECONDS = 60


def _answer(service: Service, job: Job, status: int = 200) -> Response:
    where = {"Location": f"/api/tuning/jobs/{job.id}"} if status == _MADE else None
    return JSONResponse(whole(service.jobs, job), status, where)


@router.post(
    "/jobs",
    status_code=_MADE,
    response_model=JobAnswer,
    responses=errors(403, 413, 415, 422),
    openapi_extra=BODY,
    dependencies=[Writer],
)
def create_job(service: TheService, asked: Asked, key: Key = None) -> Response:
    """Make a job. Nothing runs before it is started."""
    job_id = new_id()
    trials = trials_of(plan(asked, job_id, service.config, service.rows))
    job = service.jobs.create(
        asked.plain(), asked.name, asked.all_models, asked.all_datasets, key, trials=trials, job_id=job_id
    )
    return _answer(service, job, _MADE)


@router.get("/jobs", response_model=JobPage, responses=errors(422), dependencies=[Reader])
def list_jobs(
    service: TheService,
    after: After = None,
    limit: Limit = 50,
    status: OfStatus = None,
    model: OfModel = None,
    dataset: OfDataset = None,
) -> Response:
    """The jobs, the newest first, page by page, with how far each is."""
    jobs, following = service.jobs.page(after, limit, status, model, dataset)
    progress = service.jobs.progress(jobs)
    return JSONResponse({"jobs": [listed(job, progress[job.id]) for job in jobs], "next": following})


@router.post(
    "/validate",
    response_model=Plan,
    responses=errors(413, 415, 422),
    openapi_extra=BODY,
    dependencies=[Reader],
)
def validate_job(service: TheService, asked: Asked) -> Response:
    """A dry run: the studies and trials that a job would have, or what is wrong with it or its data.

    Nothing is made.
    """
    return JSONResponse(dry_run(asked, service.config, service.rows))


@router.get("/jobs/{job_id}", response_model=JobAnswer, responses=errors(404, 422), dependencies=[Reader])
async def get_job(service: TheService, job_id: JobId) -> Response:
    """A job with its last trials, the best of all, how far it is, and how long it will take."""
    body = service.whole_jobs.at_hand(job_id)
    if body is None:
        body = await run_in_threadpool(service.whole_jobs.of, job_id)
    return Response(body, media_type="application/json")


@router.post(
    "/jobs/{job_id}/start",
    response_model=JobSummary,
    responses=errors(403, 404, 409, 422),
    dependencies=[Writer],
)
def start_job(service: TheService, job_id: JobId) -> Response:
    """Let a job wait for a job worker."""
    _require_room(service)
    return _changed(service, service.jobs.start(job_id))


@router.post(
    "/jobs/{job_id}/cancel",
    response_model=JobSummary,
    responses=errors(403, 404, 409, 422),
    dependencies=[Writer],
)
def cancel_job(service: TheService, job_id: JobId) -> Response:
    """End a job: running trials stop, and their slots go back."""
    return _changed(service, service.jobs.cancel(job_id))


@router.post(
    "/jobs/{job_id}/resume",
    response_model=JobSummary,
    responses=errors(403, 404, 409, 422),
    dependencies=[Writer],
)
def resume_job(service: TheService, job_id: JobId) -> Response:
    """Go on with a job that was cancelled, is paused, or failed: no trial runs twice."""
    _require_room(service)
    return _changed(service, service.jobs.resume(job_id))


@router.delete(
    "/jobs/{job_id}",
    status_code=HTTPStatus.NO_CONTENT,
    responses=errors(403, 404, 409, 422),
    dependencies=[Writer],
    response_class=Response,
)
def delete_job(service: TheService, job_id: JobId) -> Response:
    """Remove a job that does not run, with its trials and its files."""
    service.jobs.delete(job_id)
    service.whole_jobs.forget(job_id)
    shutil.rmtree(service.folder(job_id), ignore_errors=True)
    return Response(status_code=HTTPStatus.NO_CONTENT)


def _changed(service: Service, job: Job) -> Response:
    """The answer for a job that was changed by this request."""
    service.whole_jobs.forget(job.id)
    return JSONResponse(summary(job))


def _require_room(service: Service) -> None:
    """Refuse to let more jobs wait than the service takes."""
    waiting, most = service.jobs.counts()[JobStatus.QUEUED], service.limits.queued
    if waiting >= most:
        raise Trouble(
            HTTPStatus.TOO_MANY_REQUESTS,
            f"{waiting:,} jobs wait already, and at most {most:,} may",
            "wait until some have run, or cancel some",
            "status",
            retry_after=_WAIT_SECONDS,
        )
