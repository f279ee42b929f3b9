"""The service itself: what its routes share."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request
from fastapi.responses import JSONResponse

from recsweep.common.address import StoreAddress
from recsweep.service.auth import Tokens
from recsweep.service.jobs import Jobs
from recsweep.service.limits import Limits, Rate
from recsweep.service.metrics import Requests
from recsweep.service.rows import Rows
from recsweep.service.shared import Shared
from recsweep.service.sweep_of import CONFIG
from recsweep.service.views import whole
from recsweep.service.watch import Watch
from recsweep.service.weights import Weights
from recsweep.study.trial_counts import trials_by_state

_TRIALS_SECONDS = 15.0


@dataclass
class Service:
    """All that the routes of one server ask.

    Attributes:
        config: the folder of `models/` and `datasets/`.
        outputs: the folder in which each job has one.
        rows: of the data sets, as they were found.
        closing: set when the server ends: streams of events end then.
    """

    jobs: Jobs
    tokens: Tokens
    config: Path = CONFIG
    outputs: Path = Path("outputs")
    limits: Limits = field(default_factory=Limits)
    rows: Rows = field(default_factory=Rows)
    requests: Requests = field(default_factory=Requests)
    closing: threading.Event = field(default_factory=threading.Event)
    streams: int = 0
    _trials: tuple[float, dict[str, int]] = (0.0, {})

    @cached_property
    def rate(self) -> Rate:
        """Requests of each bearer."""
        return Rate(self.limits.requests_a_minute)

    @cached_property
    def guesses(self) -> Rate:
        """Wrong tokens of each address."""
        return Rate(self.limits.guesses_a_minute)

    @cached_property
    def watch(self) -> Watch:
        """Jobs that streams look at."""
        return Watch(self.jobs)

    @cached_property
    def whole_jobs(self) -> Shared:
        """Jobs with all that is known of them, as JSON."""
        return Shared(self.jobs, self._whole)

    def _whole(self, job_id: str) -> bytes:
        return bytes(JSONResponse(whole(self.jobs, self.jobs.get(job_id))).body)

    @cached_property
    def weights(self) -> Weights:
        """The importance of parameters."""
        return Weights(self.jobs, self.outputs)

    def trials(self) -> dict[str, int]:
        """Trials of the store by state, as they were some seconds ago at most: there may be a million."""
        since, by_state = self._trials
        if not by_state or time.monotonic() - since >= _TRIALS_SECONDS:
            counted = trials_by_state(self.jobs.store.optuna_storage)
            self._trials = since, by_state = time.monotonic(), counted
        return by_state

    @property
    def address(self) -> StoreAddress:
        """Where the store is."""
        return self.jobs.store.address

    def folder(self, job_id: str) -> Path:
        """The files of a job."""
        return self.outputs / "jobs" / job_id


async def service_of(request: Request) -> Service:
    """The service that a request came to. It is no plain function, as those are sent to a thread each."""
    service = request.app.state.service
    if not isinstance(service, Service):
        raise TypeError("an app is made by `make_app`")
    return service


TheService = Annotated[Service, Depends(service_of)]
"""A parameter of a route."""
