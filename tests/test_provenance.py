from __future__ import annotations

import os
import subprocess

import pytest

import recsweep
from helpers.workspace import run_python
from recsweep import provenance
from recsweep.files import to_plain


@pytest.fixture
def commit_here(tmp_path, monkeypatch):
    """The commit as a run in `tmp_path` would find it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    return provenance.git_commit.__wrapped__


def git(*arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    done = subprocess.run(["git", *identity, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_versions_name_every_library_that_a_result_depends_on():
    versions = provenance.versions()
    assert set(versions) == {"python", *provenance.LIBRARIES}
    assert versions["recbole"] == "1.2.1"
    assert versions["recsweep"] == recsweep.__version__


def test_a_library_that_is_not_installed_is_said_to_be_so(monkeypatch):
    monkeypatch.setattr(provenance, "LIBRARIES", ("numpy", "no-such-library"))
    assert provenance.versions.__wrapped__()["no-such-library"] == "not installed"


def test_the_commit_is_known_and_local_changes_are_told(tmp_path, commit_here):
    git("init", "-q")
    (tmp_path / "a.txt").write_text("1")
    git("add", "a.txt")
    git("commit", "-q", "-m", "first")
    head = git("rev-parse", "HEAD")
    assert commit_here() == head
    (tmp_path / "outputs.db").write_text("untracked files are no changes")
    assert commit_here() == head
    (tmp_path / "a.txt").write_text("2")
    assert commit_here() == f"{head}+changes"


def test_outside_git_there_is_no_commit(commit_here):
    assert commit_here() is None


def test_without_git_there_is_no_commit(commit_here, monkeypatch):
    monkeypatch.setenv("PATH", os.devnull)
    assert commit_here() is None


def test_hardware_can_be_written_down():
    hardware = provenance.hardware()
    assert hardware["cores"] >= 1
    assert hardware["memory_gib"] > 0
    assert hardware["processor"]
    assert to_plain(hardware) == hardware


def test_asking_where_a_result_comes_from_loads_nothing_heavy():
    code = (
        "import sys\nfrom recsweep import provenance\nprovenance.versions(), provenance.hardware()\n"
        "print([m for m in ('torch', 'recbole', 'pandas', 'numpy') if m in sys.modules])"
    )
    assert run_python(code) == "[]"
