"""A marked password on its way to a real PostgreSQL: it arrives, and nobody tells it. Nothing is trained.

`end_to_end/test_marked_password.py` does the same with whole sweeps, their jobs and their processes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers.found import fill_store, some_trials, workspace
from helpers.postgres import Guarded, Postgres
from recsweep.cli import main

MARK = "mArk3d-7f3a"
PASSWORD = f"{MARK}@pw/ö:1"


@pytest.fixture(scope="module")
def guarded(postgres: Postgres) -> Guarded:
    return postgres.guarded(PASSWORD)


@pytest.fixture
def call(tmp_path, monkeypatch, capfd) -> Callable[..., tuple[int, str]]:
    """Run a command on a sweep of one study; its exit code and what it said."""
    workspace(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / ".pgpass"))

    def run(command: str, *options: str, **environment: str) -> tuple[int, str]:
        with monkeypatch.context() as here:
            for name, value in environment.items():
                here.setenv(name, value)
            here.setattr(sys, "argv", ["recsweep", command, "--config", "sweep.yaml", *options])
            with pytest.raises(SystemExit) as ended:
                main()
        said = capfd.readouterr()
        return int(ended.value.code or 0), said.out + said.err

    return run


def files_with(mark: str, folder: Path) -> list[str]:
    return [str(path) for path in folder.rglob("*") if path.is_file() and mark.encode() in path.read_bytes()]


def by_environment(guarded: Guarded, folder: Path) -> dict[str, str]:
    return {"RECSWEEP_STORAGE": guarded.url(PASSWORD)}


def by_file(guarded: Guarded, folder: Path) -> dict[str, str]:
    (folder / "store").write_text(guarded.url(PASSWORD))
    (folder / "store").chmod(0o600)
    return {"RECSWEEP_STORAGE_FILE": "store"}


def by_pgpassword(guarded: Guarded, folder: Path) -> dict[str, str]:
    return {"RECSWEEP_STORAGE": guarded.url(), "PGPASSWORD": PASSWORD}


def by_pgpass(guarded: Guarded, folder: Path) -> dict[str, str]:
    quoted = PASSWORD.replace("\\", "\\\\").replace(":", "\\:")
    (folder / ".pgpass").write_text(f"{guarded.socket}:*:*:{guarded.user}:{quoted}\n")
    (folder / ".pgpass").chmod(0o600)
    return {"RECSWEEP_STORAGE": guarded.url()}


@pytest.mark.parametrize("way", [by_environment, by_file, by_pgpassword, by_pgpass])
def test_every_way_that_is_documented_leads_to_the_store(call, guarded, tmp_path, way):
    code, said = call("open", **way(guarded, tmp_path))
    assert code == 0, said
    assert "toy-sweep/toy/NARM/full: 12 of 12 trials to run" in said
    assert MARK not in said


def test_a_filled_store_is_looked_at_without_a_word_of_its_password(call, postgres, tmp_path, monkeypatch):
    for picture in ("write_picture", "write_thumbnail"):  # which hold no words of a store
        monkeypatch.setattr(f"recsweep.report.plots.{picture}", lambda *given: given[-1].touch())
    own = postgres.guarded(PASSWORD)
    fill_store(workspace(tmp_path).plan(storage=own.url(PASSWORD)), some_trials(), {"ndcg@10": 0.1})
    for command in ("summarize", "plots", "evaluate", "doctor", "tune"):
        options = ("--dry-run",) if command == "tune" else ()
        code, said = call(command, *options, RECSWEEP_STORAGE=own.url(PASSWORD))
        assert code == 0 or command == "doctor", said
        assert command != "doctor" or "ok  store: postgresql+psycopg://***@/" in said
        assert MARK not in said
    assert (tmp_path / "outputs" / "results").is_dir()
    assert files_with(MARK, tmp_path) == []


@pytest.mark.parametrize("command", ["tune", "open", "worker", "summarize", "evaluate", "plots", "doctor"])
def test_a_wrong_password_is_one_line_that_does_not_tell_it(call, guarded, tmp_path, command):
    wrong = f"{MARK}-wrong"
    code, said = call(command, RECSWEEP_STORAGE=guarded.url(wrong))
    assert code == 2, said
    (line,) = [line for line in said.splitlines() if "password authentication failed" in line]
    assert "lets nobody in" in line
    assert "correct user or password (RECSWEEP_STORAGE, PGPASSWORD, ~/.pgpass)" in line
    assert "Traceback" not in said
    assert MARK not in said
    assert files_with(MARK, tmp_path) == []


def test_no_password_and_no_such_database_are_told_with_what_helps(call, guarded):
    code, said = call("open", RECSWEEP_STORAGE=guarded.url())
    assert (code, "give the password (RECSWEEP_STORAGE, PGPASSWORD, ~/.pgpass)" in said) == (2, True), said
    other = guarded.url(PASSWORD).replace(f"/{guarded.database}?", "/nowhere?")
    code, said = call("open", RECSWEEP_STORAGE=other)
    assert (code, "make it on the server, or correct the address" in said) == (2, True), said
    code, said = call("open", RECSWEEP_STORAGE=f"{guarded.url(PASSWORD)}&nosuchoption={MARK}")
    assert code == 2, said
    assert MARK not in said


def test_a_store_that_goes_away_is_told_of_without_its_password(call, guarded):
    away = guarded.url(PASSWORD).replace(guarded.socket, "/nowhere")
    code, said = call("summarize", RECSWEEP_STORAGE=away)
    assert code == 3, said
    assert "make it reachable and run the same command again, no trial is lost" in said
    assert MARK not in said
