"""The services of compose.yaml as processes of this machine: their commands and settings, no containers."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml

from helpers.containers import ROOT, composed, example
from recsweep.study import Store

pytestmark = pytest.mark.long

TOKEN = "a-token-of-24-characters"
PASSWORD = "hunter2-MARKED"
WORKERS = 3


@pytest.fixture
def folder(tmp_path) -> Path:
    """The working folder of a container: `config/` and `outputs/`."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    sweep = tmp_path / "config" / "smoke.yaml"
    data = yaml.safe_load(sweep.read_text())
    data["models"], data["search"]["max_evals"] = ["FPMC"], 7
    sweep.write_text(yaml.safe_dump(data))
    (tmp_path / "secrets").mkdir()
    for name, value in (("postgres_password", PASSWORD), ("recsweep_token", TOKEN)):
        (tmp_path / "secrets" / name).write_text(value)
    return tmp_path


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Composed:
    """Processes with the commands and the environment of the services; PostgreSQL is one that runs here."""

    def __init__(self, folder: Path, store: str) -> None:
        self.folder, self.store = folder, store
        self.services = composed("compose.yaml", example())["services"]
        self.ports = {name: free_port() for name in ("service", "dashboard")}
        self.running: list[subprocess.Popen[str]] = []

    def up(self, name: str) -> subprocess.Popen[str]:
        service = self.services[name]
        words = [
            str(self.ports.get(name)) if word in ("8000", "8080") else word for word in service["command"]
        ]
        environment = {key: value for key, value in os.environ.items() if not key.startswith("RECSWEEP_")}
        environment |= {key: str(value) for key, value in service["environment"].items()}
        environment |= {"RECSWEEP_STORAGE": self.store, "RECSWEEP_SECRETS": str(self.folder / "secrets")}
        assert PASSWORD not in str(environment)
        environment["PATH"] = f"{self._commands()}:{environment['PATH']}"
        started = subprocess.Popen(
            [str(ROOT / "containers" / "entrypoint.sh"), *words],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.running.append(started)
        return started

    def _commands(self) -> Path:
        """A folder with `recsweep` of this environment, as an image has it."""
        made = self.folder / "bin"
        made.mkdir(exist_ok=True)
        program = made / "recsweep"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m recsweep "$@"\n')
        program.chmod(0o755)
        return made

    def healthy(self, name: str) -> bool:
        """The health check of a service, as its container would run it."""
        *_, code = self.services[name]["healthcheck"]["test"]
        ours = code.replace(":8000", f":{self.ports[name]}").replace(":8080", f":{self.ports[name]}")
        return subprocess.run([sys.executable, "-c", ours], capture_output=True).returncode == 0

    def down(self) -> None:
        for process in self.running:
            process.terminate()
        for process in self.running:
            process.communicate(timeout=60)


def wait(what: str, found, seconds: float = 120.0) -> None:
    until = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < until, f"{what} did not happen"
        time.sleep(0.5)


def test_three_workers_pages_and_dashboard_on_one_store(folder, postgres):
    guarded = postgres.guarded(PASSWORD)
    running = Composed(folder, guarded.url())
    try:
        service, sweeps = running.up("service"), [running.up("sweep") for _ in range(WORKERS)]
        wait("the service is healthy", lambda: running.healthy("service"))
        running.up("dashboard")
        wait("the dashboard is healthy", lambda: running.healthy("dashboard"))
        address = f"http://127.0.0.1:{running.ports['service']}/api/tuning/jobs"
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(address)
        asked = urllib.request.Request(address, headers={"Authorization": f"Bearer {TOKEN}"})
        assert urllib.request.urlopen(asked).status == 200
        said = [sweep.communicate(timeout=400)[0] for sweep in sweeps]
        assert [sweep.returncode for sweep in sweeps] == [0] * WORKERS, "".join(said)
        store = Store(guarded.url(PASSWORD))
        counted = [
            trial for trial in store.find_study("smoke/ml-100k-small/FPMC/full").trials() if trial.counted
        ]
        store.close()
        assert sorted(trial.slot for trial in counted) == list(range(7))
        assert (folder / "outputs" / "results" / "smoke" / "summary.md").is_file()
        assert service.poll() is None
    finally:
        running.down()
    assert PASSWORD not in "".join(said)


def test_a_service_without_a_token_does_not_listen(folder, postgres):
    (folder / "secrets" / "recsweep_token").write_text("")
    ended = Composed(folder, postgres.guarded(PASSWORD).url()).up("service")
    said, _ = ended.communicate(timeout=60)
    assert ended.returncode == 2
    assert said.strip().startswith("recsweep: RECSWEEP_TOKEN is not set; write it into .env")
