"""A real `recsweep serve`: the commands of the README as they stand, and how it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from helpers.workspace import run_python

ROOT = Path(__file__).parents[2]
LOCAL = "http://127.0.0.1:8000"
README = (ROOT / "README.md").read_text(encoding="utf-8")


@dataclass
class Server:
    """A server that has said where it is."""

    process: subprocess.Popen[str]
    said: list[str]

    @property
    def address(self) -> str:
        found = re.search(r"http://127\.0\.0\.1:\d+", self.said[0])
        assert found is not None
        return found[0]


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[Server]:
    """A server in a folder."""
    (folder / "config").symlink_to(ROOT / "config")
    command = [sys.executable, "-m", "recsweep", "serve", "--port", "0", *options]
    server = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    )
    try:
        assert server.stdout is not None
        yield Server(server, [server.stdout.readline() for _ in range(4)])
    finally:
        server.kill()
        server.wait()


def readme_commands() -> str:
    (block,) = re.findall(r"```\n(api=http.*?)```", README, flags=re.DOTALL)
    return str(block)


def typed(commands: str, served: Server, folder: Path) -> tuple[list[dict[str, Any]], str]:
    """What these commands answer, and the stream of events.

    That goes on until the job is over, so it is heard after the last line.
    """
    lines = commands.replace(LOCAL, served.address).splitlines()
    (stream,) = [line for line in lines if line.rstrip().startswith("curl") and "/events" in line]
    script = "\n".join([*(line for line in lines if line != stream), stream])
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script.replace("curl -sS", "curl -sS --max-time 240")],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    decoder, text, answers = json.JSONDecoder(), ran.stdout, []
    while text.startswith("{"):
        answer, end = decoder.raw_decode(text)
        answers.append(answer)
        text = text[end:]
    return answers, text


def test_the_commands_of_the_readme_work(tmp_path: Path):
    with serving(tmp_path, "--job-workers", "0") as served:
        server = served.process
        assert "".join(served.said[:3]).replace(served.address, LOCAL) in README
        assert "no job worker beside it" in served.said[3]
        answers, events = typed(readme_commands(), served, tmp_path)
        assert [answer["status"] for answer in answers] == ["queued", "queued", "cancelled"]
        assert answers[1]["trials"] == []
        assert "event: end" in events
        token = (tmp_path / "outputs" / "service-token").read_text().strip()
        assert token not in " ".join(psutil.Process(server.pid).cmdline())
        server.terminate()
        said, _ = server.communicate(timeout=60)
        assert "the service ends; no trial is lost" in said
        assert token not in said
        assert server.returncode == 0


@contextmanager
def made_serve(folder: Path) -> Iterator[Server]:
    """`make serve` in a fresh clone, with the packages that are installed here."""
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    (folder / ".venv").symlink_to(sys.prefix)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("RECSWEEP_", "MAKE", "MFLAGS"))}
    own = {"PYTHONPATH": str(folder / "src"), "PYTHONUNBUFFERED": "1", "RECSWEEP_PORT": "0"}
    command = ["make", "serve"]
    make = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, text=True, env={**kept, **own}, start_new_session=True
    )
    try:
        assert make.stdout is not None
        yield Server(make, [make.stdout.readline() for _ in range(4)])
    finally:
        os.killpg(make.pid, signal.SIGINT)
        make.wait(60)


@pytest.mark.long
def test_a_fresh_clone_serves_as_the_readme_says(tmp_path: Path):
    """Its commands as they stand, with a job worker; then the same with a job that runs to its end."""
    if not (Path(sys.prefix) / "installed.lock").is_file():
        pytest.skip("`make setup` has not been run here")
    clone = tmp_path / "clone"
    with made_serve(clone) as served:
        assert "".join(served.said).replace(served.address, LOCAL) in README
        answers, events = typed(readme_commands(), served, clone)
        assert answers[0]["status"] == "queued"
        assert answers[2]["status"] in ("cancelling", "cancelled")
        assert events.endswith('event: end\ndata: {"status": "cancelled"}\n\n')
        small = {"ml-100k": "ml-100k-small", "SASRec": "FPMC", '_samples": 5': '_samples": 2, "epochs": 1'}
        commands = readme_commands().rpartition("curl")[0]
        for word, other in small.items():
            commands = commands.replace(word, other)
        _, events = typed(commands, served, clone)
        assert events.count("event: trial.ended") == 2
        assert events.endswith('event: end\ndata: {"status": "completed"}\n\n')
        (best,) = clone.glob("outputs/jobs/*/results/*/ml-100k-small/FPMC/best_params.json")
        assert json.loads(best.read_text())


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_server_leaves_nobody_behind(tmp_path: Path, number: signal.Signals):
    with serving(tmp_path, "--job-workers", "1") as served:
        server, address = served.process, served.address
        found: list[psutil.Process] = []
        deadline = time.monotonic() + 60
        while not found and time.monotonic() < deadline:
            found = psutil.Process(server.pid).children(recursive=True)
            time.sleep(0.1)
        assert found
        assert httpx.get(f"{address}/readyz").status_code == 200
        if number is signal.SIGTERM:  # one that dies is started again
            dead = found[0]
            dead.kill()
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                found = [one for one in psutil.Process(server.pid).children() if one != dead]
                if found:
                    break
                time.sleep(0.1)
            assert found
        time.sleep(3)  # it follows the server once it has loaded
        server.send_signal(number)
        server.wait(60)
        _, alive = psutil.wait_procs(found, timeout=60)
        assert alive == []


def test_the_web_process_holds_no_torch():
    modules = "".join(
        f"import recsweep.service.{name}\n" for name in ("app", "serving", "routes_jobs", "views")
    )
    asked = (
        "from pathlib import Path\nfrom recsweep.service.planned import dry_run\n"
        "from recsweep.service.request import request_of\nfrom recsweep.service.rows import Rows\n"
        "asked = {'name': 'a', 'dataset': 'ml-100k-small', 'model': 'FPMC'}\n"
        "rows = Rows()\ndry_run(request_of(asked), Path(sys.argv[1]), rows)\nassert rows.read == 1\n"
    )
    code = (
        f"import sys\n{modules}{asked}print([m for m in ('torch', 'recbole', 'pandas') if m in sys.modules])"
    )
    assert run_python(code, str(ROOT / "config")) == "[]"
