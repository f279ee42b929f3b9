"""Optuna's dashboard on the store: served where it was asked for, ended by Ctrl-C."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from helpers.found import fill_store, some_trials, workspace
from recsweep.cli import main
from recsweep.common.address import StoreAddress
from recsweep.common.errors import UserError


def serve(*given: Any) -> None:
    """Imported where it is needed, by some of these tests only."""
    from recsweep.report import dashboard

    dashboard.serve(*given)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def filled(tmp_path):
    space = workspace(tmp_path)
    fill_store(space.plan(), some_trials())
    return space


def test_it_says_its_address_lists_studies_and_ends_with_ctrl_c(filled):
    port = free_port()
    command = [sys.executable, "-m", "recsweep", "dashboard", "--config", str(filled.sweep)]
    process = subprocess.Popen(
        [*command, "--port", str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        line = process.stdout.readline()
        assert line == f"dashboard on http://127.0.0.1:{port}/ (Ctrl-C ends it)\n"
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/studies", timeout=30) as answer:
            studies = json.load(answer)["study_summaries"]
        assert [study["study_name"] for study in studies] == [filled.plan().name]
        maps = Path(f"/proc/{process.pid}/maps")
        assert not maps.exists() or "sklearn" not in maps.read_text(), "it takes more than half of the start"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    assert out == "the dashboard has ended; the store is as it was left\n"
    assert err == ""


def test_a_port_that_is_taken_is_told_in_one_line(filled, monkeypatch, capfd):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setattr(
            sys, "argv", ["recsweep", "dashboard", "--config", str(filled.sweep), "--port", str(port)]
        )
        with pytest.raises(SystemExit) as ended:
            main()
    assert ended.value.code == 2
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err == (
        f"recsweep: cannot serve on 127.0.0.1 port {port}; Address already in use; "
        "give another one with --port, or 0 for any free one\n"
    )


def test_an_address_of_another_machine_is_told(filled):
    with pytest.raises(UserError, match="give an address of this machine with --host"):
        serve(filled.plan().storage_url, "192.0.2.1", 0, lambda line: None)


@pytest.mark.parametrize("scheme", ["sqlite", "journal"])
def test_a_store_that_is_not_there_is_not_made(tmp_path, scheme):
    with pytest.raises(UserError, match=r"there is no store .*none\.db yet"):
        serve(StoreAddress(f"{scheme}:///{tmp_path / 'none.db'}"), "127.0.0.1", 0, lambda line: None)
    assert list(tmp_path.iterdir()) == []


def test_who_opens_it_to_others_is_warned(filled, monkeypatch):
    told: list[str] = []
    monkeypatch.setattr("recsweep.report.dashboard._Server.serve_forever", lambda self: None)
    serve(filled.plan().storage_url, "127.0.0.1", 0, told.append)
    assert len(told) == 1
    serve(filled.plan().storage_url, "0.0.0.0", 0, told.append)
    assert told[-1] == "whoever reaches 0.0.0.0 can read, change and delete the studies there"
