from __future__ import annotations

import os
import subprocess

import pytest

import recsweep
from helpers.workspace import run_python
from recsweep.common import provenance
from recsweep.common.files import to_plain


@pytest.fixture
def repository_here(tmp_path, monkeypatch):
    """The user's repository as a run in `tmp_path` would find it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    return provenance.repository.__wrapped__


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


def test_the_users_repository_stands_apart_with_its_commit_and_changes(tmp_path, repository_here):
    git("init", "-q")
    (tmp_path / "a.txt").write_text("1")
    git("add", "a.txt")
    git("commit", "-q", "-m", "first")
    own = {"name": tmp_path.name, "commit": git("rev-parse", "HEAD"), "changes": False}
    assert repository_here() == own
    (tmp_path / "outputs.db").write_text("untracked files are no changes")
    assert repository_here() == own
    (tmp_path / "a.txt").write_text("2")
    assert repository_here() == {**own, "changes": True}
    assert provenance.commit.__wrapped__().removesuffix("+changes") != own["commit"], "that is recsweep's"


def test_outside_git_there_is_no_repository(repository_here):
    assert repository_here() is None


def test_without_git_there_is_no_repository_and_the_version_is_the_commit(repository_here, monkeypatch):
    monkeypatch.setenv("PATH", os.devnull)
    assert repository_here() is None
    assert provenance.commit.__wrapped__() == recsweep.__version__


def test_a_checkout_that_recsweep_is_installed_in_is_not_its_own(tmp_path, repository_here, monkeypatch):
    git("init", "-q")
    installed = tmp_path / ".venv" / "recsweep" / "provenance.py"
    installed.parent.mkdir(parents=True)
    installed.write_text("")
    assert provenance.own_checkout(installed) is None
    git("add", str(installed))
    assert provenance.own_checkout(installed) == tmp_path
    git("commit", "-q", "-m", "first")
    monkeypatch.setattr(provenance, "own_checkout", lambda: tmp_path)
    assert provenance.commit.__wrapped__() == git("rev-parse", "HEAD")
    installed.write_text("changed")
    assert provenance.commit.__wrapped__() == f"{git('rev-parse', 'HEAD')}+changes"
    assert repository_here() is None, "it is said already"


def test_hardware_can_be_written_down():
    hardware = provenance.hardware()
    assert hardware["cores"] >= 1
    assert hardware["memory_gib"] > 0
    assert hardware["processor"]
    assert to_plain(hardware) == hardware


def test_asking_where_a_result_comes_from_loads_nothing_heavy():
    code = (
        "import sys\nfrom recsweep.common import provenance\nprovenance.versions(), provenance.hardware()\n"
        "print([m for m in ('torch', 'recbole', 'pandas', 'numpy') if m in sys.modules])"
    )
    assert run_python(code) == "[]"
