"""Jobs and their events, which many streams look at: asked of the store once in a moment for all of them."""

from __future__ import annotations

import asyncio
import json
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

from starlette.concurrency import run_in_threadpool

from recsweep.service.jobs import Job, Jobs, NoSuchJob

FRESH_SECONDS = 0.4
AT_ONCE = 200
"""Events that are read at once."""
_MOST = 1_000
Lines = list[tuple[int, str]]


class Watch:
    """Jobs as they were a moment ago, at most, and their events as a stream has them."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._asked: OrderedDict[Hashable, tuple[float, asyncio.Task[Any]]] = OrderedDict()

    async def job(self, job_id: str) -> Job | None:
        """The job; None where it was removed."""
        found: Job | None = await self._once(job_id, lambda: self._ask(job_id))
        return found

    async def events(self, job_id: str, after: int) -> Lines:
        """The next events of a job, behind the one with the number `after`: their numbers and their lines."""
        found: Lines = await self._once((job_id, after), lambda: self._read(job_id, after))
        return found

    async def _once(self, question: Hashable, ask: Callable[[], Any]) -> Any:
        """The answer to a question that is asked of the store once in a moment."""
        since, task = self._asked.get(question, (0.0, None))
        if task is None or (task.done() and time.monotonic() - since >= FRESH_SECONDS):
            task = asyncio.create_task(run_in_threadpool(ask))
            self._asked[question] = (time.monotonic(), task)
            self._asked.move_to_end(question)
            if len(self._asked) > _MOST:
                self._asked.popitem(last=False)
        return await asyncio.shield(task)

    def _ask(self, job_id: str) -> Job | None:
        try:
            return self._jobs.get(job_id)
        except NoSuchJob:
            return None

    def _read(self, job_id: str, after: int) -> Lines:
        events = self._jobs.events(job_id, after, AT_ONCE)
        return [(e.n, lines_of(e.kind, {**e.data, "at": e.at.isoformat()}, e.n)) for e in events]


def lines_of(kind: str, data: object, number: int | None = None) -> str:
    """An event as a stream has it."""
    head = "" if number is None else f"id: {number}\n"
    return f"{head}event: {kind}\ndata: {json.dumps(data, allow_nan=False)}\n\n"
