"""A real `recsweep serve` in a folder of its own, for what is measured of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from recsweep.service.auth import SESSION, Role, Tokens

ROOT = Path(__file__).parents[1]
TOKEN = "a-token-for-benchmarks-only"
_STARTS_WITHIN_SECONDS = 120


@dataclass(frozen=True)
class Served:
    """A server that answers."""

    url: str
    process: subprocess.Popen[str]

    def processor(self) -> float:
        """Seconds that the server itself has run, its job workers not among them."""
        own = psutil.Process(self.process.pid).cpu_times()
        return float(own.user + own.system)

    def session(self) -> dict[str, str]:
        """The cookie of a page that has shown the token."""
        return {SESSION: Tokens(TOKEN).session(Role.WRITE)}

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {TOKEN}"}


@contextmanager
def served(folder: Path, *options: str, environment: Mapping[str, str] | None = None) -> Iterator[Served]:
    """A server on a free port; ended at the end."""
    environment = {**os.environ, "RECSWEEP_TOKEN": TOKEN, "PYTHONUNBUFFERED": "1", **(environment or {})}
    config = f"--config={ROOT / 'config/config.yaml'}"
    command = [sys.executable, "-m", "recsweep", "serve", config, "--port=0"]
    process = subprocess.Popen(
        [*command, *options], cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        line = process.stdout.readline() if process.stdout else ""
        found = re.search(r"http://[\d.]+:\d+", line)
        if found is None:
            raise SystemExit(f"the server did not start: {line}")
        _wait(found[0])
        yield Served(found[0], process)
    finally:
        process.terminate()
        process.wait(60)


def _wait(url: str) -> None:
    deadline = time.monotonic() + _STARTS_WITHIN_SECONDS
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{url}/healthz") as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the server does not answer")
