"""Word of how a sweep ended: said once, to a real receiver, and never at the cost of the sweep."""

from __future__ import annotations

import importlib.util
import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from helpers.found import fill_store, trial, workspace
from recsweep.api import notify_send, notifying
from recsweep.api.notifying import FAILED, FINISHED, forget_notes, notify, notify_of_jobs, told_to_others
from recsweep.api.studies import Studies
from recsweep.common.errors import LimitReached, StoreUnavailable, UserError
from recsweep.common.notify_url import NotifyUrl
from recsweep.planning.plan import plan_sweep

SECRET = "s3cret-t0ken-of-a-channel"
needs_apprise = pytest.mark.skipif(
    importlib.util.find_spec("apprise") is None, reason="the package apprise is not there"
)


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server that takes what is posted; its address and that."""
    got: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append(json.loads(body))
            self.send_response(500 if "full" in self.path else 200)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            """Nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"json://127.0.0.1:{server.server_port}", got
    server.shutdown()
    server.server_close()


@pytest.fixture
def studies_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Studies]:
    """A sweep whose file says so of notifications."""
    monkeypatch.delenv("RECSWEEP_NOTIFY", raising=False)
    monkeypatch.chdir(tmp_path)
    space = workspace(tmp_path, budget=3)
    text = space.sweep.read_text()

    def made(section: str = "") -> Studies:
        space.sweep.write_text(f"{text}{section}\n")
        sweep = space.load()
        plans = plan_sweep(sweep)
        return Studies(sweep, plans, plans)

    return made


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Titles and texts, instead of their being sent."""
    told: list[tuple[str, str]] = []

    def keep(addresses: Any, title: str, body: str) -> list[str]:
        told.append((title, body))
        return []

    monkeypatch.setattr(notifying, "send", keep)
    return told


TOLD = f"notify: {{to: ['json://127.0.0.1:9/{SECRET}']}}"


def ended(studies: Studies, error: BaseException | None = None, *, is_job: bool = False) -> list[str]:
    """The lines that a run says beside, which ends so."""
    lines: list[str] = []
    with (
        suppress(BaseException),
        told_to_others(studies, lambda: "recsweep tune", lines.append, is_job=is_job),
    ):
        if error is not None:
            raise error
    return lines


@needs_apprise
def test_a_receiver_is_told_once_with_all_that_there_is_to_say(
    studies_of: Callable[[str], Studies], receiver: tuple[str, list[dict[str, Any]]]
) -> None:
    address, got = receiver
    studies = studies_of(f"notify: {{on: [finished], to: ['{address}/{SECRET}']}}")
    fill_store(studies.all[0], [trial(0, 0.1), trial(1, 0.3), trial(2, 0.2)], {"ndcg@10": 0.25})
    assert ended(studies) == []
    (one,) = got
    assert one["title"] == "recsweep: toy-sweep finished"
    assert "3 of 3 trials done." in one["message"]
    assert "toy/NARM: NDCG@10 0.3000 on validation, 0.2500 on test" in one["message"]
    assert f"Results: {studies.all[0].outputs.results.absolute()}" in one["message"]
    assert ended(studies, LimitReached("no time is left")) == []
    assert len(got) == 1, "only a good end was to be told"


@needs_apprise
def test_a_receiver_that_refuses_is_a_warning(
    studies_of: Callable[[str], Studies], receiver: tuple[str, list[dict[str, Any]]]
) -> None:
    studies = studies_of(f"notify: {{to: ['{receiver[0]}/full', 'nobody://{SECRET}']}}")
    lines = ended(studies, UserError("all trials failed"))
    assert len(lines) == 2
    assert "apprise knows no service nobody://***" in lines[0]
    assert "json://*** did not take it" in lines[1]
    assert SECRET not in str(lines)


_HANGS = "import socket; socket.create_connection(('127.0.0.1', %d)).recv(1)"


def test_a_receiver_that_hangs_costs_some_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hangs:
        address = NotifyUrl(f"json://127.0.0.1:{hangs.getsockname()[1]}/{SECRET}")
        began = time.monotonic()
        monkeypatch.setattr(
            notify_send, "_CODE", f"print('ready', flush=True); {_HANGS % hangs.getsockname()[1]}"
        )
        (line,) = notify_send.send([address], "title", "body", 0.5)
        assert time.monotonic() - began < 30, "on a busy machine too"
    assert line == "no answer within 0.5 s from json://***"


def test_without_apprise_it_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import io

    monkeypatch.setitem(sys.modules, "apprise", None)
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps([["json://127.0.0.1/x"], "t", "b"])))
    notify_send.main()
    assert capsys.readouterr().out == "the package apprise is missing; run `make setup`\n"


@pytest.mark.parametrize(
    ("error", "event"),
    [
        (None, "finished"),
        (LimitReached("no time is left"), "paused"),
        (StoreUnavailable("the store is away"), "paused"),
        (OSError(28, "No space left on device"), "paused"),
        (KeyboardInterrupt("2 of 3 trials done; go on with: recsweep tune"), "paused"),
        (UserError("all trials failed"), "failed"),
        (ValueError("a bug"), "failed"),
    ],
)
def test_each_end_has_its_word_and_the_way_on(
    studies_of: Callable[[str], Studies], sent: list[tuple[str, str]], error: Any, event: str
) -> None:
    assert ended(studies_of(TOLD), error) == []
    ((title, body),) = sent
    assert title == f"recsweep: toy-sweep {event}"
    assert ("Go on with: recsweep tune" in body) is (event != "finished")
    assert error is None or str(error).split(";")[0] in body


def test_where_nobody_is_to_know_nothing_is_done(
    studies_of: Callable[[str], Studies], sent: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifying, "_body", lambda *args: pytest.fail("somebody looked at the store"))
    ended(studies_of())
    ended(studies_of(), UserError("all trials failed"))
    ended(studies_of("notify: {on: [failed], to: ['json://127.0.0.1:9']}"))
    assert sent == []


def test_addresses_of_the_environment_and_of_a_file(
    studies_of: Callable[[str], Studies], sent: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(".env").write_text(f"RECSWEEP_NOTIFY='json://127.0.0.1:9/{SECRET} json://127.0.0.1:8'\n")
    config = studies_of().sweep.config.notify
    assert [address.reveal() for address in config.addresses(FINISHED)][1] == "json://127.0.0.1:8"
    ended(studies_of())
    assert len(sent) == 1
    monkeypatch.setenv("RECSWEEP_NOTIFY", f"no address {SECRET}")
    (line,) = ended(studies_of())
    assert "RECSWEEP_NOTIFY: must be an address of a service to notify" in line
    assert SECRET not in line


def test_jobs_leave_notes_and_the_pipeline_tells_once(
    studies_of: Callable[[str], Studies], sent: list[tuple[str, str]]
) -> None:
    studies, tell = studies_of(TOLD), pytest.fail
    ended(studies, is_job=True)
    ended(studies, LimitReached("no time is left"), is_job=True)
    assert sent == []
    notify_of_jobs(studies, FAILED, "make tune-all", tell)
    assert sent[-1][0] == "recsweep: toy-sweep paused"
    assert "no time is left" in sent[-1][1]
    ended(studies, UserError("all trials failed"), is_job=True)
    notify_of_jobs(studies, FAILED, "make tune-all", tell)
    assert sent[-1][0] == "recsweep: toy-sweep failed"
    forget_notes(studies)
    notify_of_jobs(studies, FAILED, "make tune-all", tell)
    assert (sent[-1][0], len(sent)) == ("recsweep: toy-sweep failed", 3)
    notify_of_jobs(studies, FINISHED, "make tune-all", tell)
    assert sent[-1][0] == "recsweep: toy-sweep finished"


def test_a_trouble_of_ours_is_a_warning_too(
    studies_of: Callable[[str], Studies], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any) -> list[str]:
        raise RuntimeError(f"cannot reach json://x/{SECRET}")

    monkeypatch.setattr(notifying, "send", broken)
    lines: list[str] = []
    notify(studies_of(TOLD), FINISHED, "", "recsweep tune", lines.append)
    assert len(lines) == 1
    assert "warning: nobody was notified that the sweep finished: RuntimeError" in lines[0]
    assert SECRET not in lines[0]
