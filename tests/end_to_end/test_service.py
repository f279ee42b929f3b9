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
from pathlib import Path

import httpx
import psutil
import pytest

from helpers.workspace import run_python

ROOT = Path(__file__).parents[2]


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server in a folder, and its address."""
    (folder / "config").symlink_to(ROOT / "config")
    command = [sys.executable, "-m", "recsweep", "serve", "--port", "0", *options]
    server = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    )
    try:
        assert server.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:\d+", server.stdout.readline())
        assert found is not None
        yield server, found[0]
    finally:
        server.kill()
        server.wait()


def readme_commands() -> str:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```\n(api=http.*?)```", text, flags=re.DOTALL)
    return str(block)


def test_the_commands_of_the_readme_work(tmp_path: Path):
    with serving(tmp_path, "--job-workers", "0") as (server, address):
        # The stream of events goes on until the job is over, so it is heard after the last line.
        lines = readme_commands().replace("http://127.0.0.1:8000", address).splitlines()
        (stream,) = [line for line in lines if line.rstrip().startswith("curl") and "/events" in line]
        script = "\n".join([*(line for line in lines if line != stream), stream])
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script.replace("curl -sS", "curl -sS --max-time 60")],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert ran.returncode == 0, ran.stderr
        decoder, text, answers = json.JSONDecoder(), ran.stdout, []
        while text.startswith("{"):
            answer, end = decoder.raw_decode(text)
            answers.append(answer)
            text = text[end:]
        assert [answer["status"] for answer in answers] == ["queued", "queued", "cancelled"]
        assert answers[1]["trials"] == []
        assert "event: end" in text
        token = (tmp_path / "outputs" / "service-token").read_text().strip()
        assert token not in " ".join(psutil.Process(server.pid).cmdline())
        server.terminate()
        said, _ = server.communicate(timeout=60)
        assert "the service ends; no trial is lost" in said
        assert token not in said
        assert server.returncode == 0


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_server_leaves_nobody_behind(tmp_path: Path, number: signal.Signals):
    with serving(tmp_path, "--job-workers", "1") as (server, address):
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
    code = f"import sys\n{modules}print([m for m in ('torch', 'recbole', 'pandas') if m in sys.modules])"
    assert run_python(code) == "[]"
