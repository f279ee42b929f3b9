"""The events of a job, as they happen: server-sent events, taken up where they broke off."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Header, Query
from fastapi.responses import Response, StreamingResponse
from starlette.concurrency import run_in_threadpool

from recsweep.service.asked import JobId
from recsweep.service.guard import Reader
from recsweep.service.problems import Trouble, errors
from recsweep.service.service import Service, TheService
from recsweep.service.watch import lines_of

router = APIRouter(tags=["events"], dependencies=[Reader])
POLL_SECONDS, HEARTBEAT_SECONDS = 0.5, 15.0
POLL_SPREAD = 0.4
"""Each pause is longer or shorter by up to this part: streams that began in one moment, as all do after a
server was started again, do not send in the same moments for good."""
_RETRY = "retry: 2000\n\n"
_NUMBER = r"^[0-9]{1,9}$"
_Last = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID",
        pattern=_NUMBER,
        description="The last event that was heard; those after it come.",
    ),
]
_After = Annotated[
    str | None, Query(pattern=_NUMBER, description="The same, for who cannot send the header.")
]


@router.get(
    "/jobs/{job_id}/events",
    response_class=StreamingResponse,
    responses={
        **errors(404, 422),
        200: {"description": "Events until the job is over.", "content": {"text/event-stream": {}}},
        204: {"description": "The job is over, and nothing comes after that event."},
    },
)
async def stream_events(
    service: TheService, job_id: JobId, last: _Last = None, after: _After = None
) -> Response:
    """Every trial and epoch of a job as it happens, until it is over. The last event is `end`."""
    job = await run_in_threadpool(service.jobs.get, job_id)
    heard = int(last or after or 0)
    if job.status.over and heard >= job.events:
        return Response(status_code=HTTPStatus.NO_CONTENT)
    if service.streams >= service.limits.streams:
        detail = f"{service.streams} streams of events are open, and no more may be"
        raise Trouble(
            HTTPStatus.TOO_MANY_REQUESTS,
            detail,
            "ask for the job every few seconds instead",
            "events",
            retry_after=10,
        )
    headers = {"X-Accel-Buffering": "no"}
    return StreamingResponse(_stream(service, job_id, heard), 200, headers, "text/event-stream")


def _pause() -> float:
    """Seconds until a stream looks again."""
    return POLL_SECONDS * random.uniform(1 - POLL_SPREAD, 1 + POLL_SPREAD)


async def _stream(service: Service, job_id: str, heard: int) -> AsyncIterator[str]:
    service.streams += 1
    quiet = time.monotonic()
    try:
        yield _RETRY
        while not service.closing.is_set():
            job = await service.watch.job(job_id)
            if job is None:
                yield lines_of("end", {"status": "deleted"})
                return
            found = await service.watch.events(job_id, heard) if job.events > heard else []
            if found:
                heard, quiet = found[-1][0], time.monotonic()
                yield "".join(lines for _, lines in found)
            if job.status.over and heard >= job.events:
                yield lines_of("end", {"status": job.status.value})
                return
            if time.monotonic() - quiet >= HEARTBEAT_SECONDS:
                quiet = time.monotonic()
                yield ": still here\n\n"
            await asyncio.sleep(0 if found and job.events > heard else _pause())
    finally:
        service.streams -= 1
