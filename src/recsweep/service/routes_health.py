"""Signs of life, and numbers for Prometheus."""

from __future__ import annotations

import time
from collections.abc import Iterator

from fastapi import APIRouter
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from recsweep.common.errors import RecsweepError
from recsweep.service.answers import Health
from recsweep.service.guard import Reader
from recsweep.service.metrics import TYPE, gauge, gauges
from recsweep.service.problems import Trouble, errors
from recsweep.service.service import Service, TheService
from recsweep.service.states import JobStatus

health = APIRouter(tags=["health"])
numbers = APIRouter(tags=["health"], dependencies=[Reader])
_STARTED = time.monotonic()


@health.get("/healthz", response_model=Health)
async def alive() -> Response:
    """The server answers. No token is needed."""
    return JSONResponse({"status": "ok"})


@health.get("/readyz", response_model=Health, responses={503: errors()[503]})
def ready(service: TheService) -> Response:
    """The server answers, and reaches its store. No token is needed."""
    try:
        service.jobs.counts()
    except RecsweepError as error:
        raise Trouble(503, "the store cannot be reached", "try again later", retry_after=5) from error
    if service.closing.is_set():
        raise Trouble(503, "the service ends", "try again later", retry_after=5)
    return JSONResponse({"status": "ok"})


@numbers.get(
    "/metrics",
    response_class=PlainTextResponse,
    responses={**errors(), 200: {"description": "Prometheus's text format.", "content": {"text/plain": {}}}},
)
def metrics(service: TheService) -> Response:
    """Jobs and trials by state, the queue, requests and how long they took."""
    return Response("\n".join(_lines(service)) + "\n", media_type=TYPE)


def _lines(service: Service) -> Iterator[str]:
    jobs = service.jobs.counts()
    by_state = {status.value: number for status, number in jobs.items()}
    yield from gauges("recsweep_jobs", "Jobs by state", "status", by_state)
    yield from gauges("recsweep_trials", "Trials of the store by state", "state", service.trials())
    yield from gauge("recsweep_queue_length", "Jobs that wait for a job worker", jobs[JobStatus.QUEUED])
    yield from gauge("recsweep_event_streams", "Streams of events that are open", service.streams)
    yield from gauge("recsweep_uptime_seconds", "Seconds since the server began", time.monotonic() - _STARTED)
    yield from service.requests.lines()
