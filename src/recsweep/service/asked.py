"""The parts of a request: its body, parameters of the path and the query, headers."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Depends, Header, Path, Query, Request
from starlette.concurrency import run_in_threadpool

from recsweep.service.body import read_object
from recsweep.service.examples import REQUESTS
from recsweep.service.problems import Trouble
from recsweep.service.request import JobRequest, request_of
from recsweep.service.states import JobStatus

_JSON = ("application/json", "application/x-www-form-urlencoded", "")
"""Types that a body of JSON may have: the second is what curl says of any."""
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/JobRequest"}, "examples": REQUESTS}
        },
    }
}
"""The words of the OpenAPI document on a job's body, which we read by ourselves."""


async def job_body(request: Request) -> JobRequest:
    """The job that a body asks for."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in _JSON:
        raise Trouble(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"the body is {kind[:80]!r}",
            "send application/json",
            "Content-Type",
        )
    raw = await request.body()
    return await run_in_threadpool(lambda: request_of(read_object(raw)))


Asked = Annotated[JobRequest, Depends(job_body)]
_ID = r"^[0-9a-hjkmnp-tv-z]{26}$"
JobId = Annotated[str, Path(pattern=_ID, description="A job's id.")]
After = Annotated[str | None, Query(pattern=_ID, description="`next` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=200, description="How many a page has.")]
_NAME = Query(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$")
OfStatus = Annotated[JobStatus | None, Query(description="Only jobs in this state.")]
OfModel = Annotated[str | None, _NAME]
OfDataset = Annotated[str | None, _NAME]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[!-~]+$",
        description="A word of yours: a second request with it is given the first one's job.",
    ),
]
Slot = Annotated[int, Path(ge=0, le=10**9, description="The trial's number in its study.")]
OfStudy = Annotated[
    str | None,
    Query(max_length=400, pattern=r"^[A-Za-z0-9_./-]+$", description="Its study, where the job has several."),
]
