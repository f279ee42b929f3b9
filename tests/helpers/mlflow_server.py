"""A real MLflow server with a SQLite store, behind a door that hangs or answers 500 as it is told."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class Door(ThreadingHTTPServer):
    """`how`: `works`, `fails` (500), `hangs`, or `loses` (does what is asked, and answers nothing)."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.how, self.port, self.over = "works", port, threading.Event()

    def handle_error(self, *about: Any) -> None:
        """A client that was killed is no error of ours."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Door

    def log_message(self, *about: Any) -> None:
        """Nothing is said."""

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.server.how == "hangs":
            self.server.over.wait(3600)
            return
        if self.server.how == "fails":
            self._answer(500, b"{}", "application/json")
            return
        inner = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        heads = {name: value for name, value in self.headers.items() if name.lower() != "host"}
        inner.request(self.command, self.path, body, heads)
        answer = inner.getresponse()
        data = answer.read()
        if self.server.how == "loses":
            self.close_connection = True
            return
        self._answer(answer.status, data, answer.getheader("Content-Type") or "application/json")

    do_POST = do_PATCH = do_PUT = do_DELETE = do_GET

    def _answer(self, code: int, data: bytes, kind: str) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def mlflow_server(folder: Path) -> Iterator[Door]:
    """One, for a while."""
    folder.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, start_new_session=True)
    door = Door(port)
    threading.Thread(target=door.serve_forever, daemon=True).start()
    try:
        _wait(port, process, folder / "server.log")
        yield door
    finally:
        door.over.set()
        door.shutdown()
        door.server_close()
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(1200):
        if process.poll() is not None:
            raise RuntimeError(log.read_text(encoding="utf-8", errors="replace")[-2000:])
        try:
            asked = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            asked.request("GET", "/health")
            if asked.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError("the server does not start")
