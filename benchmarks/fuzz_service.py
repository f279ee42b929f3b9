"""Requests made of the OpenAPI document, to a real server: no 5xx, nothing outside it, auth everywhere.

    python benchmarks/fuzz_service.py [--examples N] [--fuzzer .venv-fuzz/bin/schemathesis] [--write]

Route by route, each with the same seed. What a route came to is kept in `.fuzz/` for this document, seed and
number of examples, so a run that was broken off goes on with the routes that are left; `--anew` begins again.
Schemathesis is no part of recsweep: it stands in a venv of its own (`envs/fuzz.lock`).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from results import command, own_lines, write_section
from service_process import ROOT, TOKEN, Served, served

CHECKS = (
    *("not_a_server_error", "status_code_conformance", "content_type_conformance"),
    *("response_schema_conformance", "response_headers_conformance", "ignored_auth"),
)
SEED = 1
_METHODS = ("get", "post", "put", "patch", "delete")
_KEPT = ROOT / ".fuzz"
_WIDTH = 400
Route = tuple[str, str, str]
"""Its method, its path, and its name in the document."""
_EVERY_SECONDS = 3.0


@dataclass(frozen=True)
class Part:
    """One route, and what requests to it came to.

    Attributes:
        cases: requests that were made.
        passed: the fuzzer found nothing, and the server lived on.
        said: by the fuzzer, where it found something.
    """

    method: str
    path: str
    cases: int
    passed: bool
    seconds: float
    said: str = ""


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
    """Ask every route that is left, print the total, and write it if asked to."""
    options = _arguments()
    with tempfile.TemporaryDirectory() as folder:
        wide = ("--requests-per-minute=10000000", "--job-workers=0", "--max-queued-jobs=1000000")
        with served(Path(folder), *wide) as server:
            document = Path(folder) / "openapi.json"
            document.write_bytes(_document(server))
            kept = _kept(document, options)
            with ending(server):
                parts = [
                    _once(kept, route, lambda route=route: _fuzzed(server, document, route, options))
                    for route in _routes(document)
                ]
    total, failed = sum(part.cases for part in parts), [part for part in parts if not part.passed]
    print(f"cases: {total:,} on {len(parts)} routes; routes that failed: {len(failed)}")
    if options.write:
        write_section("fuzz", _report(parts, total, options))
    return 0 if not failed and total >= options.at_least else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--examples", type=int, default=700, help="requests made for each route, at most")
    parser.add_argument("--at-least", type=int, default=10_000, help="requests in all, else it has failed")
    parser.add_argument("--fuzzer", default=str(ROOT / ".venv-fuzz/bin/schemathesis"))
    parser.add_argument("--anew", action="store_true", help="heed nothing of a run before")
    parser.add_argument("--write", action="store_true", help="write the section of RESULTS.md")
    return parser.parse_args()


def _document(server: Served) -> bytes:
    request = urllib.request.Request(f"{server.url}/openapi.json", headers=server.headers)
    with urllib.request.urlopen(request) as answer:
        return bytes(answer.read())


def _routes(document: Path) -> list[Route]:
    paths = json.loads(document.read_text(encoding="utf-8"))["paths"]
    return [
        (method, path, has[method]["operationId"])
        for path, has in paths.items()
        for method in _METHODS
        if method in has
    ]


def _kept(document: Path, options: argparse.Namespace) -> Path:
    """The folder in which the routes of a run are kept, by all that decides on it."""
    about = f"{SEED} {options.examples} {CHECKS}".encode() + document.read_bytes()
    folder = _KEPT / hashlib.sha256(about).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    if options.anew:
        for file in folder.glob("*.json"):
            file.unlink()
    return folder


def _once(kept: Path, route: Route, ask: Any) -> Part:
    """What a route came to: now, or in a run before that was broken off."""
    file = kept / f"{hashlib.sha256(repr(route).encode()).hexdigest()[:16]}.json"
    if file.exists():
        part = Part(**json.loads(file.read_text(encoding="utf-8")))
    else:
        part = ask()
        draft = file.with_suffix(".new")
        draft.write_text(json.dumps(asdict(part)), encoding="utf-8")
        draft.rename(file)
    verdict = "passed" if part.passed else f"FAILED\n{part.said}"
    print(f"{part.method.upper()} {part.path}: {part.cases:,} in {part.seconds:.0f} s, {verdict}", flush=True)
    return part


def _fuzzed(server: Served, document: Path, route: Route, options: argparse.Namespace) -> Part:
    """Ask one route, in one thread."""
    method, path, operation = route
    began = time.monotonic()
    ran = subprocess.run(
        [
            *(options.fuzzer, "run", str(document), "--url", server.url, "--no-color"),
            *("--include-operation-id", operation),
            *("-H", f"Authorization: Bearer {TOKEN}", "--checks", ",".join(CHECKS)),
            *("--phases", "examples,coverage,fuzzing", "--max-examples", str(options.examples)),
            # Of two threads that parse at once Python 3.11 may end one (gh-106905).
            *("--seed", str(SEED), "--workers", "1", "--request-timeout", "20"),
            *("--warnings", "off", "--suppress-health-check", "all", "--continue-on-failure"),
        ],
        capture_output=True,
        text=True,
        cwd=document.parent,
    )
    found = re.search(r"(\d[\d,]*) generated", ran.stdout)
    cases = int(found[1].replace(",", "")) if found else 0
    passed = ran.returncode == 0 and cases > 0 and server.process.poll() is None
    lines = f"{ran.stdout}\n{ran.stderr[-2000:]}".replace(TOKEN, "***").splitlines()
    said = "" if passed else "\n".join(line[:_WIDTH] for line in lines)
    return Part(method, path, cases, passed, time.monotonic() - began, said)


def _report(parts: list[Part], total: int, options: argparse.Namespace) -> str:
    """The section of RESULTS.md."""
    rows = [
        f"| {part.method.upper()} `{part.path}` | {part.cases:,} | {part.seconds:.0f} | "
        f"{'all passed' if part.passed else '**failed**'} |"
        for part in parts
    ]
    verdict = "reached" if total >= options.at_least and all(part.passed for part in parts) else "missed"
    seconds, target = sum(part.seconds for part in parts), f"target {options.at_least:,}: {verdict}"
    return "\n".join(
        [
            "## Requests made of the OpenAPI document, against a real server",
            "",
            f"Written by `{command()}` on {time.strftime('%Y-%m-%d')}:",
            f"Schemathesis, seed {SEED}, one thread, at most {options.examples:,} requests a route, and "
            "those of its phases for examples and coverage.",
            "Checked of each answer: no 5xx; its status, type, headers and schema are those of the document; "
            "nothing is given without a token or with a wrong one.",
            "",
            *own_lines(),
            "",
            "| route | requests | seconds | |",
            "|---|---:|---:|---|",
            *rows,
            f"| all | **{total:,}** | {seconds:.0f} | {target} |",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
