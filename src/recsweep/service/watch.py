"""Jobs that many streams look at: asked of the store once in a moment, whoever wants to know."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict

from starlette.concurrency import run_in_threadpool

from recsweep.service.jobs import Job, Jobs, NoSuchJob

FRESH_SECONDS = 0.4
_MOST = 1_000


class Watch:
    """Jobs as they were a moment ago, at most."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._looked_up: OrderedDict[str, tuple[float, asyncio.Task[Job | None]]] = OrderedDict()

    async def job(self, job_id: str) -> Job | None:
        """The job; None where it was removed."""
        since, task = self._looked_up.get(job_id, (0.0, None))
        if task is None or (task.done() and time.monotonic() - since >= FRESH_SECONDS):
            task = asyncio.create_task(run_in_threadpool(self._ask, job_id))
            self._looked_up[job_id] = (time.monotonic(), task)
            self._looked_up.move_to_end(job_id)
            if len(self._looked_up) > _MOST:
                self._looked_up.popitem(last=False)
        return await asyncio.shield(task)

    def _ask(self, job_id: str) -> Job | None:
        try:
            return self._jobs.get(job_id)
        except NoSuchJob:
            return None
