"""The pages without a browser: who is given what, with which headers."""

from __future__ import annotations

import json
import shlex
from collections import defaultdict
from html.parser import HTMLParser

import pytest
import yaml

from helpers.service import NOBODY, READ, WRITE, Client, added, job

PAGES = ("/", "/new", f"/jobs/{NOBODY}")


def cookie(app: Client, token: str) -> dict[str, str]:
    role = app.service.tokens.role_of(token)
    assert role is not None
    return {"Cookie": f"recsweep_session={app.service.tokens.session(role)}"}


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_for_a_session_alone(app: Client, path: str) -> None:
    for headers in ({}, {"Cookie": "recsweep_session=write.99999999999.forged"}):
        answer = app("GET", path, token=None, headers=headers)
        assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    answer = app("GET", path, token=None, headers=cookie(app, READ))
    assert answer.status_code == (404 if NOBODY in path else 200)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "<script>" not in answer.text, "no script stands in a page"
    assert " style=" not in answer.text


@pytest.mark.parametrize(
    ("headers", "token", "status"),
    [
        ({"Origin": "http://service"}, WRITE, 204),
        ({"Origin": "http://service"}, "wrong", 401),
        ({"Origin": "http://elsewhere"}, WRITE, 403),
        ({"Origin": "null"}, WRITE, 403),
        ({}, WRITE, 403),
    ],
)
def test_a_token_is_shown_from_our_own_page_alone(app: Client, headers, token: str, status: int) -> None:
    answer = app("POST", "/login", token=None, headers=headers, json={"token": token})
    assert answer.status_code == status
    made = answer.headers.get("set-cookie", "")
    assert bool(made) == (status == 204)
    if made:
        assert all(word in made for word in ("HttpOnly", "SameSite=strict", "Path=/", "Max-Age=43200"))
        assert "Secure" not in made
        headers = {**headers, "X-Forwarded-Proto": "https"}
        behind = app("POST", "/login", token=None, headers=headers, json={"token": token})
        assert "Secure" in behind.headers["set-cookie"], "where a proxy with TLS stands in front"


def test_a_session_changes_nothing_for_another_site(app: Client) -> None:
    job_id = added(app)
    own = cookie(app, WRITE)
    for origin, status in (("http://elsewhere", 403), ("http://service", 200)):
        headers = {**own, "Origin": origin}
        assert app("POST", f"jobs/{job_id}/start", token=None, headers=headers).status_code == status


@pytest.mark.parametrize("name", ["..%2fpages.py", "nothing.js", "%2e%2e", "page.css%00"])
def test_static_files_are_those_that_are_there(app: Client, name: str) -> None:
    assert app("GET", f"/static/{name}", token=None).status_code == 404
    answer = app("GET", "/static/page.css", token=None)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/css; charset=utf-8")


def test_what_is_copied_can_be_typed_as_it_stands(app: Client) -> None:
    made = app.service.jobs.create(job(name="it's $(one) `job`") | {"engine": "optuna"}, "one", ["a"], ["b"])
    text = app("GET", f"/jobs/{made.id}", token=None, headers=cookie(app, WRITE)).text
    assert "it&#39;&#34;&#39;&#34;&#39;s $(one) `job`" in text, "in quotes for a shell, escaped for a page"
    assert "Bearer $RECSWEEP_TOKEN" in text
    assert WRITE not in text


NASTY = {
    "script": "</pre></textarea><script>alert(1)</script>",
    "attribute": '" autofocus onfocus="alert(1)',
    "template": "{{ 7 * 7 }}{% include 'base.html' %}",
    "lines": "one\ntwo\r\nSet-Cookie: a=b\u2028three",
    "SQL": "'; DROP TABLE tuning_jobs; --",
    "shell": "'; reboot #$(reboot) `reboot` $HOME \\ !! |&",
    "path": "../../etc/passwd",
    "terminal": "\x1b[2J\x07",
    "direction": "\u202egnp.exe",
    "long": "x" * 1000,
}


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)
def test_what_a_user_wrote_is_shown_and_is_nothing_else(app: Client, text: str) -> None:
    """By whatever way it came into the store: requests refuse most of these."""
    asked = job(name=text) | {"engine": "optuna", "metric_name": text}
    made = app.service.jobs.create(asked, text, [text], [text])
    answer = app("GET", f"/jobs/{made.id}", token=None, headers=cookie(app, WRITE))
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    scripts = answer.text.count("<script")
    assert scripts == app("GET", "/new", token=None, headers=cookie(app, WRITE)).text.count("<script")
    read = Reads()
    read.feed(answer.text)
    assert " ".join(text.split()) in " ".join(read.of["h1"].split())
    assert yaml.safe_load(read.of["yaml"]) == asked
    words = shlex.split(read.of["curl"])
    assert json.loads(words[words.index("-d") + 1]) == asked
    assert words[:3] == ["curl", "-X", "POST"]
    assert app("GET", f"jobs/{made.id}").json()["name"] == text
    assert app("GET", "jobs").status_code == 200


class Reads(HTMLParser):
    """The texts of a page's elements, as a browser has them: by id, or by name."""

    def __init__(self) -> None:
        super().__init__()
        self.of: defaultdict[str, str] = defaultdict(str)
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not any(name.startswith("on") for name, _ in attrs)
        if tag not in ("meta", "link", "input", "br"):
            self._open.append(dict(attrs).get("id") or tag)

    def handle_endtag(self, tag: str) -> None:
        self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._open:
            self.of[self._open[-1]] += data


def test_importance_is_asked_for_with_a_token(app: Client) -> None:
    job_id = added(app)
    assert app("GET", f"/jobs/{job_id}/importance", token=None).status_code == 401
    assert app("GET", f"/jobs/{job_id}/importance").json() == {"studies": []}
    assert app("GET", f"/jobs/{NOBODY}/importance").status_code == 404
