"""Requests made of the OpenAPI document, to a real server: no 5xx, nothing outside it, auth everywhere.

    python benchmarks/fuzz_service.py [--examples N] [--fuzzer .venv-fuzz/bin/schemathesis]

Schemathesis is no part of recsweep: it stands in a venv of its own (`envs/fuzz.lock`).
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from service_process import ROOT, TOKEN, Served, served

CHECKS = (
    *("not_a_server_error", "status_code_conformance", "content_type_conformance"),
    *("response_schema_conformance", "response_headers_conformance", "ignored_auth"),
)


_WIDTH = 400
_EVERY_SECONDS = 3.0


@contextmanager
def ending(server: Served) -> Iterator[None]:
    """Jobs that the fuzzer made are cancelled before long: a stream of events lasts until its job is over."""
    done = threading.Event()

    def end() -> None:
        while not done.wait(_EVERY_SECONDS):
            for status, wishes in (("created", ("start", "cancel")), ("queued", ("cancel",))):
                for job in _asked(server, "GET", f"?limit=200&status={status}").get("jobs", ()):
                    for wish in wishes:
                        _asked(server, "POST", f"/{job['id']}/{wish}")

    thread = threading.Thread(target=end, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _asked(server: Served, method: str, path: str) -> dict[str, Any]:
    """An answer; nothing where it is a refusal, as the fuzzer may have been there first."""
    url = f"{server.url}/api/tuning/jobs{path}"
    request = urllib.request.Request(url, method=method, headers=server.headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return dict(json.loads(answer.read()))
    except urllib.error.HTTPError:
        return {}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--examples", type=int, default=1100, help="requests made for each route, at most")
    parser.add_argument("--at-least", type=int, default=10_000, help="requests in all, else it has failed")
    parser.add_argument("--fuzzer", default=str(ROOT / ".venv-fuzz/bin/schemathesis"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wide = ("--requests-per-minute=10000000", "--job-workers=0", "--max-queued-jobs=1000000")
        with served(Path(folder), *wide) as server:
            request = urllib.request.Request(f"{server.url}/openapi.json", headers=server.headers)
            document = Path(folder) / "openapi.json"
            with urllib.request.urlopen(request) as answer:
                document.write_bytes(answer.read())
            print(f"{len(json.loads(document.read_text())['paths'])} paths at {server.url}", flush=True)
            with ending(server):
                ran = subprocess.run(
                    [
                        *(options.fuzzer, "run", str(document), "--url", server.url, "--no-color"),
                        *("-H", f"Authorization: Bearer {TOKEN}", "--checks", ",".join(CHECKS)),
                        *("--phases", "examples,coverage,fuzzing", "--max-examples", str(options.examples)),
                        # Of two threads that parse at once Python 3.11 may end one (gh-106905).
                        *("--seed", "1", "--workers", "1", "--request-timeout", "20"),
                        *("--warnings", "off", "--suppress-health-check", "all", "--continue-on-failure"),
                    ],
                    capture_output=True,
                    text=True,
                    cwd=folder,
                )
            alive = server.process.poll() is None
    lines = ran.stdout.replace(TOKEN, "***").splitlines()
    print("\n".join(line[:_WIDTH] for line in lines))
    print(ran.stderr[-2000:], file=sys.stderr)
    found = re.search(r"(\d[\d,]*) generated", ran.stdout)
    cases = int(found[1].replace(",", "")) if found else 0
    print(f"cases: {cases:,}; the server lives: {alive}")
    return ran.returncode or (0 if alive and cases >= options.at_least else 1)


if __name__ == "__main__":
    sys.exit(main())
