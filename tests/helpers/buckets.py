"""Real servers of buckets, each a process of its own, behind a proxy that is away, slow, or answers 503.

S3 is moto's server, Google Cloud Storage that of gcp-storage-emulator; both are in `.venv-moto`.
"""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from recsweep.common.place import missing_package

ROOT = Path(__file__).resolve().parents[2]
SECRET = "s3cret-of-the-test"
KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "us-east-1"}
BUCKET = "studies"
_START_SECONDS = 60.0


def moto_python() -> Path | None:
    """The Python of the server's venv; None where `make test-buckets` has not made it."""
    python = Path(os.environ.get("MOTO_PYTHON", ROOT / ".venv-moto" / "bin" / "python"))
    return python if python.is_file() else None


def missing() -> str:
    """The thing that these tests lack here; empty where they can run."""
    packages = missing_package("s3://x") or missing_package("gs://x")
    return packages or ("" if moto_python() else "moto, an S3 server,")


needs_buckets = pytest.mark.skipif(
    missing() != "", reason=f"{missing()} is not installed; `make test-buckets` installs and runs it"
)


class Proxy:
    """Passes requests on to a server.

    Attributes:
        url: where it listens.
        direct: where the server itself does.
        away: nobody answers: connections are closed at once.
        seconds: before each answer.
        refused: a share of requests that are answered with 503, evenly spread.
        requests, answered_503: so many were made, and refused.
    """

    def __init__(self, port: int) -> None:
        self.away, self.seconds, self.refused, self.requests, self.answered_503 = False, 0.0, 0.0, 0, 0
        self.direct = f"http://127.0.0.1:{port}"
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self, port))
        self._server.daemon_threads = True
        self._server.handle_error = lambda *connection: None  # a client that was killed
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def verdict(self) -> str:
        """`away`, `503` or `pass`, for the next request."""
        with self._lock:
            self.requests += 1
            if self.away:
                return "away"
            if int(self.requests * self.refused) > int((self.requests - 1) * self.refused):
                self.answered_503 += 1
                return "503"
        time.sleep(self.seconds)
        return "pass"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(proxy: Proxy, port: int) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass(self) -> None:
            verdict = proxy.verdict()
            if verdict == "away":
                self.close_connection = True
                with suppress(OSError):
                    self.connection.shutdown(socket.SHUT_RDWR)
                return
            body = self._body()
            if verdict == "503":
                text = (
                    b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
                )
                self._answer(503, {"Content-Type": "application/xml"}, text)
                return
            server = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            headers = {name: text for name, text in self.headers.items() if name.lower() not in _HOPS}
            server.request(self.command, self.path, body, headers)
            answer = server.getresponse()
            data = answer.read()
            self._answer(answer.status, dict(answer.getheaders()), data)
            server.close()

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
                parts = []
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    parts.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(parts)
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))

        def _answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, text in headers.items():
                if name.lower() not in (*_HOPS, "content-length", "date", "server"):
                    self.send_header(name, text)
            length = headers.get("Content-Length") if self.command == "HEAD" else str(len(body))
            self.send_header("Content-Length", length or "0")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _pass

        def log_message(self, *arguments: Any) -> None:
            pass

    return Handler


_HOPS = ("connection", "keep-alive", "transfer-encoding", "expect")


@dataclass(frozen=True)
class Served:
    """How a server is started, and how it is found."""

    kind: str
    """Of its places: what stands before `://`."""
    command: Callable[[int], list[str]]
    """The module that listens at a port of this machine, and its arguments."""
    variables: Callable[[Proxy], dict[str, str]]
    """By which its package finds the proxy before it."""
    bucket: Callable[[int], int]
    """Makes the bucket; the status of the answer."""

    @property
    def depot(self) -> str:
        """Where the tests keep checkpoints in it."""
        return f"{self.kind}://{BUCKET}/prefix"

    @contextmanager
    def running(self, log: Path) -> Iterator[Proxy]:
        """The server with an empty bucket, behind a proxy."""
        python = moto_python()
        assert python is not None, "run `make test-buckets`, which makes .venv-moto"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        with log.open("wb") as out:
            server = subprocess.Popen([str(python), "-m", *self.command(port)], stdout=out, stderr=out)
        try:
            _wait_for(port, server)
            assert self.bucket(port) == 200
            proxy = Proxy(port)
            try:
                yield proxy
            finally:
                proxy.close()
        finally:
            server.kill()
            server.wait()


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until:
        assert server.poll() is None, "the server has ended"
        with suppress(OSError):
            _request(port, "GET", "/")
            return
        time.sleep(0.2)
    raise AssertionError("the server does not answer")


def _request(port: int, method: str, path: str, body: str | None = None) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    headers = {"Authorization": _AUTHORIZATION, "Content-Type": "application/json"}
    connection.request(method, path, body, headers)
    status = connection.getresponse().status
    connection.close()
    return status


# Moto looks at the name of the service in it, and at nothing else.
_AUTHORIZATION = (
    "AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
)

S3 = Served(
    "s3",
    lambda port: ["moto.server", "-H", "127.0.0.1", "-p", str(port)],
    lambda proxy: {**KEYS, "AWS_ENDPOINT_URL_S3": proxy.url},
    lambda port: _request(port, "PUT", f"/{BUCKET}"),
)
GS = Served(
    "gs",
    lambda port: ["gcp_storage_emulator", "start", "-M", "-q", "-H", "127.0.0.1", "--port", str(port)],
    # Google's own servers are asked for a bucket's kind otherwise, over another protocol.
    lambda proxy: {"STORAGE_EMULATOR_HOST": proxy.url, "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false"},
    lambda port: _request(port, "POST", "/storage/v1/b?project=test", f'{{"name": "{BUCKET}"}}'),
)
SERVERS = [S3, GS]
