"""A stand-in of W&B's server on this machine: it keeps runs, hangs or fails as it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "k" * 40


@dataclass
class ServedRun:
    """A run as the server has it."""

    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    lines: dict[int, str] = field(default_factory=dict)
    """Of its history, by their offsets."""
    tags: list[str] = field(default_factory=list)
    group: str = ""
    ends: int = 0

    @property
    def history(self) -> list[dict[str, Any]]:
        return [json.loads(self.lines[offset]) for offset in sorted(self.lines)]


class WandbServer(ThreadingHTTPServer):
    """`how`: `works`, `fails` (500), `hangs`, or `drops` (takes what is uploaded and keeps none of it)."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.how = "works"
        self.runs: dict[str, ServedRun] = {}
        self.asked: list[str] = []
        self.keys: set[str] = set()
        self.over = threading.Event()
        self.lock = threading.Lock()

    def handle_error(self, *about: Any) -> None:
        """A client that was killed is no error of ours."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def variables(self) -> dict[str, str]:
        return {"WANDB_API_KEY": KEY, "WANDB_BASE_URL": self.url}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: WandbServer

    def log_message(self, *about: Any) -> None:
        """Nothing is said."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.keys.add(self.headers.get("Authorization", ""))
        self.server.asked.append(self.path)
        if self.server.how == "hangs":
            self.server.over.wait(3600)
            return
        if self.server.how == "fails":
            self._answer(500, {"errors": [{"message": "internal"}]})
            return
        with self.server.lock:
            answer = self._graphql(json.loads(body)) if self.path == "/graphql" else self._stream(body)
        self._answer(200, answer)

    do_PUT = do_GET = do_POST

    def _answer(self, code: int, answer: Any) -> None:
        data = json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _graphql(self, asked: dict[str, Any]) -> dict[str, Any]:
        query, given = asked["query"], asked.get("variables") or {}
        if "upsertBucket" in query:
            return {"data": {"upsertBucket": {"bucket": self._upsert(given), "inserted": True}}}
        if "createRunFiles" in query:
            files = [
                {"name": name, "uploadUrl": f"{self.server.url}/upload"} for name in given.get("files", ())
            ]
            return {"data": {"createRunFiles": {"runID": "1", "uploadHeaders": [], "files": files}}}
        if "RunResumeStatus" in query:
            return {"data": {"model": self._resumed(str(given["name"]))}}
        if "summaryMetrics" in query:
            run = self.server.runs.get(str(given["name"]))
            found = None if run is None else {"summaryMetrics": json.dumps(run.summary)}
            return {"data": {"project": {"run": found}}}
        viewer = {"id": "1", "entity": "me", "username": "me", "flags": "{}", "teams": {"edges": []}}
        return {"data": {"viewer": viewer}}

    def _upsert(self, given: dict[str, Any]) -> dict[str, Any]:
        name = str(given.get("name"))
        run = self.server.runs.setdefault(name, ServedRun())
        run.group = given.get("groupName") or run.group
        run.tags = given.get("tags") or run.tags
        if given.get("config"):
            run.config |= {key: one["value"] for key, one in json.loads(given["config"]).items()}
        project = {"id": "1", "name": given.get("project"), "entity": {"id": "1", "name": "me"}}
        about = {"id": name, "name": name, "displayName": given.get("displayName"), "sweepName": None}
        about |= {"description": None, "config": "{}", "project": project}
        return {**about, "historyLineCount": len(run.lines)}

    def _resumed(self, name: str) -> dict[str, Any] | None:
        run = self.server.runs.get(name)
        if run is None:
            return None
        about = {"id": name, "name": name, "displayName": name, "notes": None, "tags": run.tags}
        tail = [run.lines[max(run.lines)]] if run.lines else []
        counts = {"logLineCount": 0, "historyLineCount": len(run.lines), "eventsLineCount": 0}
        config = {key: {"value": value} for key, value in run.config.items()}
        texts = {"summaryMetrics": json.dumps(run.summary), "config": json.dumps(config)}
        texts |= {"historyTail": json.dumps(tail), "eventsTail": "[]", "wandbConfig": '{"t": 1}'}
        bucket = {**about, **counts, **texts}
        return {"id": "1", "name": "p", "entity": {"id": "1", "name": "me"}, "bucket": bucket}

    def _stream(self, body: bytes) -> dict[str, Any]:
        if self.path.endswith("/file_stream") and self.server.how != "drops":
            run = self.server.runs[self.path.split("/")[-2]]
            told = json.loads(body)
            for name, part in (told.get("files") or {}).items():
                if name == "wandb-history.jsonl":
                    run.lines |= dict(enumerate(part["content"], part["offset"]))
                elif name == "wandb-summary.json":
                    run.summary = json.loads(part["content"][-1])
            run.ends += bool(told.get("complete"))
        return {"exitcode": None, "limits": {}}


@contextmanager
def wandb_server() -> Iterator[WandbServer]:
    """One, for a while."""
    server = WandbServer()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        server.server_close()
