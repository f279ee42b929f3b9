"""Bad input of all kinds, over HTTP: a 4xx that names the field, and never a 5xx."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers.bad_jobs import WRONG
from helpers.service import NOBODY, Client, job, running_app
from recsweep.service.auth import SESSION, Role, tokens_of

RAW: list[tuple[str, bytes]] = [
    ("body", b""),
    ("body", b"{"),
    ("body", b"\xff\xfe"),
    ("body", b"[]"),
    ("body", b"null"),
    ("body", b'"text"'),
    ("body", b'{"seed": NaN}'),
    ("body", b'{"seed": Infinity}'),
    ("seed", b'{"seed": 1e999}'),
    ("body", b'{"seed": ' + b"9" * 5000 + b"}"),
    ("seed", b'{"seed": 1, "seed": 2}'),
    ("name", b'{"name": "\\u0000"}'),
    ("name", b'{"name": "\\ud800"}'),
    ("body", b"x" * 10_000_000),
    ("body", b"[" * 200_000),
]
URLS: list[tuple[str, str, str]] = [
    ("job_id", "GET", "jobs/1"),
    ("job_id", "GET", "jobs/%3Cscript%3E"),
    ("job_id", "GET", "jobs/'%20OR%201=1--"),
    ("job_id", "POST", "jobs/%0A/start"),
    ("job_id", "DELETE", f"jobs/{NOBODY}"),
    ("after", "GET", "jobs?after=%00"),
    ("after", "GET", "jobs?after=';DROP%20TABLE%20tuning_jobs"),
    ("limit", "GET", "jobs?limit=100000"),
    ("limit", "GET", "jobs?limit=NaN"),
    ("status", "GET", "jobs?status=asleep"),
    ("model", "GET", "jobs?model=%3Cscript%3E"),
    ("dataset", "GET", "jobs?dataset=../x"),
    ("slot", "GET", f"jobs/{NOBODY}/trials/99999999999999999999"),
    ("slot", "GET", f"jobs/{NOBODY}/trials/one"),
]


@pytest.fixture
def client(tmp_path: Path, empty_store: Path) -> Iterator[Client]:
    with running_app(tmp_path, empty_store) as made:
        yield made


def refused(answer: Any, field: str) -> None:
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["field"] == field


def test_bad_jobs_are_told_by_field(client: Client):
    for field, change in WRONG:
        refused(client("POST", "jobs", json=job(**change)), field)
    assert client("GET", "jobs").json()["jobs"] == []


@pytest.mark.parametrize("model", ["path/to/file.py:MyRec", "my_package.models:MyRec", "../MyRec.yaml"])
def test_a_model_by_its_code_is_refused_and_the_reason_said(client: Client, model: str):
    for body, field in (({"model": model}, "model"), ({"model": None, "models": [model]}, "models.0")):
        answer = client("POST", "jobs", json=job(**body))
        refused(answer, field)
        told = answer.json()
        assert (
            "a job names a model file of the server, and no path and no code, which it would run"
            in told["detail"]
        )
        assert model in told["detail"]
        assert told["fix"].startswith("use a name that /api/tuning/models lists")
    assert client("GET", "jobs").json()["jobs"] == []


def test_bad_bodies_are_told(client: Client):
    for field, raw in RAW:
        refused(client("POST", "jobs", content=raw), field)


def test_bad_addresses_are_told_by_parameter(client: Client):
    for field, method, where in URLS:
        refused(client(method, where), field)


def test_bad_headers_are_told(client: Client):
    for key in ("", "x" * 256, "with space", "wörd".encode()):
        answer = client("POST", "jobs", json=job(), headers={"Idempotency-Key": key})
        refused(answer, "Idempotency-Key")
    made = client.make()
    for last in ("-1", "one", "9" * 40):
        refused(client("GET", f"jobs/{made}/events", headers={"Last-Event-ID": last}), "Last-Event-ID")


def test_an_old_token_is_no_token(tmp_path: Path, client: Client):
    """Its file is removed, and the next start makes another one: what was made of the old one ends too."""
    first = tokens_of(tmp_path, {})
    client.service.tokens = first
    session = {"Cookie": f"{SESSION}={first.session(Role.WRITE)}"}
    assert client("GET", "jobs", token=first.write).status_code == 200
    assert client("GET", "jobs", token=None, headers=session).status_code == 200
    assert first.file is not None
    first.file.unlink()
    client.service.tokens = tokens_of(tmp_path, {})
    refused(client("GET", "jobs", token=first.write), "Authorization")
    refused(client("GET", "jobs", token=None, headers=session), "Authorization")


def test_a_jobs_id_is_its_own(client: Client):
    """Nobody chooses one, and a key that was used makes no second job."""
    made = client.make()
    refused(client("POST", "jobs", json=job(id=made)), "id")
    key = {"Idempotency-Key": made}
    assert client("POST", "jobs", json=job(), headers=key).status_code == 201
    refused(client("POST", "jobs", json=job(seed=7), headers=key), "Idempotency-Key")


def test_an_answer_quotes_nothing_as_html(client: Client):
    answer = client("POST", "jobs", json=job(name="<script>alert(1)</script>"))
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert json.loads(answer.text)["value"] == "'<script>alert(1)</script>'"


def test_a_cookie_of_another_site_changes_nothing(client: Client):
    cookie = f"{SESSION}={client.service.tokens.session(Role.WRITE)}"
    ours = {"Cookie": cookie, "Origin": "http://service"}
    assert client("POST", "jobs", token=None, json=job(), headers=ours).status_code == 201
    for origin in ("http://elsewhere", "null", "http://service.elsewhere"):
        answer = client("POST", "jobs", token=None, json=job(), headers={**ours, "Origin": origin})
        assert answer.status_code == 403
        assert answer.json()["field"] == "Origin"
    assert client("POST", "jobs", token=None, json=job(), headers={"Cookie": cookie}).status_code == 403
    old = f"{SESSION}={client.service.tokens.session(Role.WRITE, now=0)}"
    assert client("GET", "jobs", token=None, headers={"Cookie": old}).status_code == 401
    look = f"{SESSION}={client.service.tokens.session(Role.READ)}"
    assert client("POST", "jobs", token=None, json=job(), headers={**ours, "Cookie": look}).status_code == 403
