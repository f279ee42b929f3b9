"""The service with a store of its own in this process: asked over ASGI without a network, or served."""

from __future__ import annotations

import asyncio
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from recsweep.common.owner import this_process
from recsweep.search.starts import open_study
from recsweep.service.app import make_app
from recsweep.service.auth import Tokens
from recsweep.service.claims import Claims
from recsweep.service.jobs import Job, Jobs
from recsweep.service.planned import plan
from recsweep.service.request import request_of
from recsweep.service.rows import Rows
from recsweep.service.service import Service
from recsweep.service.telling import Teller
from recsweep.study import Result, Study

CONFIG = Path(__file__).parent.parent.parent / "config"
JOB: dict[str, Any] = {
    "name": "SASRec LR sweep",
    "dataset": "ml-100k",
    "model": "SASRec",
    "metric_name": "NDCG@10",
    "metric_mode": "max",
    "num_samples": 5,
    "max_concurrent_trials": 1,
    "search_space": {"learning_rate": {"type": "loguniform", "min": 1e-5, "max": 1e-3}},
}
WRITE, READ = "write-token-of-the-tests", "read-token-of-the-tests"
API = "/api/tuning"
NOBODY = "0" * 26
"""An id that no job has."""
_ROWS = Rows()
"""Of the shipped data sets, which are read once for all apps."""


class Client:
    """Asks an app, with a token."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._app = make_app(service)
        self._token = WRITE

    @property
    def app(self) -> Any:
        return self._app

    def __call__(self, method: str, path: str, *, token: str | None = WRITE, **more: Any) -> httpx.Response:
        """The answer to a request; a path without a slash is below the API."""
        headers = {**({"Authorization": f"Bearer {token}"} if token else {}), **more.pop("headers", {})}
        url = path if path.startswith("/") else f"{API}/{path}"

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self._app, raise_app_exceptions=True)
            async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
                return await client.request(method, url, headers=headers, **more)

        return asyncio.run(ask())

    def make(self, **changes: Any) -> str:
        """A job; its id."""
        answer = self("POST", "jobs", json=job(**changes))
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])


def job(**changes: Any) -> dict[str, Any]:
    """The job of the README with other fields; None takes one out."""
    return {key: value for key, value in {**JOB, **changes}.items() if value is not None}


@contextmanager
def running_app(folder: Path, empty: Path, **settings: Any) -> Iterator[Client]:
    """An app on a store in a folder. It looks for what is new whenever it is asked.

    Args:
        empty: a store that is copied.
        settings: of the service.
    """
    shutil.copy(empty, folder / "recsweep.db")
    jobs = Jobs(f"sqlite:///{folder / 'recsweep.db'}")
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("recsweep.service.routes_events.POLL_SECONDS", 0.01)
            patch.setattr("recsweep.service.watch.FRESH_SECONDS", 0.0)
            patch.setattr("recsweep.service.shared.FRESH_SECONDS", 0.0)
            patch.setattr("recsweep.service.shared.SEEN_SECONDS", 0.0)
            yield Client(Service(jobs, Tokens(WRITE, (READ,)), CONFIG, folder, **{"rows": _ROWS, **settings}))
    finally:
        jobs.close()


@contextmanager
def served(client: Client) -> Iterator[str]:
    """The app on an address of this machine, by uvicorn in a thread."""
    bound = socket.create_server(("127.0.0.1", 0))
    quick = {"log_config": None, "access_log": False, "lifespan": "off", "ws": "none"}
    server = uvicorn.Server(uvicorn.Config(client.app, timeout_graceful_shutdown=1, **quick))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
    finally:
        client.service.closing.set()
        server.should_exit = True
        thread.join(timeout=10)
        bound.close()


def added(client: Client, **changes: Any) -> str:
    """A job that was put into the store without a request; its id."""
    asked = request_of(job(**changes))
    made = client.service.jobs.create(
        asked.plain(), asked.name, asked.all_models, asked.all_datasets, trials=asked.num_samples
    )
    return made.id


def claimed(client: Client, job_id: str) -> Job:
    """A job that was started and claimed, as by a job worker that is this process."""
    client.service.jobs.start(job_id)
    found = Claims(client.service.jobs, this_process()).claim()
    assert found is not None
    assert found.id == job_id
    return found


def with_trials(client: Client, job: Job, scores: list[float | None]) -> Study:
    """The first study of a job, with a trial of two validations for each score; None: one that runs."""
    (first, *_) = plan(request_of(dict(job.request)), job.id, client.service.config)
    study = open_study(first, client.service.jobs.store)
    study.ensure_slots(first.budget)
    for number, score in enumerate(scores):
        claim = study.claim(first.budget, this_process())
        assert claim is not None
        params = {**first.defaults, "learning_rate": 1e-4 * (number + 1)}
        study.start(claim, params, first.space, number, {})
        study.report(claim, 1, (score or 0.1) / 2)
        if score is not None:
            study.report(claim, 2, score)
            study.finish(claim, score, Result({"ndcg@10": score}, 2, 2, 0.5))
    Teller(client.service.jobs, job).look()
    return study
