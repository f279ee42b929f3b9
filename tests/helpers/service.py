"""The service without a network: an app in this process with a store of its own, asked over ASGI."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from recsweep.service.app import make_app
from recsweep.service.auth import Tokens
from recsweep.service.jobs import Jobs
from recsweep.service.service import Service

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
    """An app on a store in a folder.

    Args:
        empty: a store that is copied.
        settings: of the service.
    """
    shutil.copy(empty, folder / "recsweep.db")
    jobs = Jobs(f"sqlite:///{folder / 'recsweep.db'}")
    try:
        yield Client(Service(jobs, Tokens(WRITE, (READ,)), CONFIG, folder, **settings))
    finally:
        jobs.close()
