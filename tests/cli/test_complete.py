"""What the Tab key offers, by the protocol of the shell."""

from __future__ import annotations

import sqlite3
import sys
import time

import pytest

from helpers.workspace import make_workspace, run_python
from recsweep.cli import main


@pytest.fixture
def offered(tmp_path, monkeypatch, capsys):
    """What is offered for the last word of a command line; anything beside it is a failure."""
    make_workspace(tmp_path)
    (tmp_path / "models" / "STAMP.yaml").write_text("space: {")
    monkeypatch.chdir(tmp_path)

    def call(*words: str, shell: str = "bash") -> list[str]:
        monkeypatch.setenv("_RECSWEEP_COMPLETE", f"{shell}_complete")
        monkeypatch.setenv("COMP_WORDS", " ".join(["recsweep", *words]))
        monkeypatch.setenv("COMP_CWORD", str(len(words)) if shell != "fish" else words[-1])
        monkeypatch.setattr(sys, "argv", ["recsweep"])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        assert (ended.value.code, said.err) == (0, "")
        return (
            [line.partition(",")[2] for line in said.out.splitlines() if line]
            if shell == "bash"
            else said.out.split()
        )

    return call


def store(path, *names: str) -> None:
    with sqlite3.connect(path) as made:
        made.execute("CREATE TABLE studies (study_id INTEGER PRIMARY KEY, study_name TEXT)")
        made.executemany("INSERT INTO studies (study_name) VALUES (?)", [(name,) for name in names])


def test_commands_and_options_are_offered(offered):
    assert offered("su") == ["summarize"]
    assert "--max-evals" in offered("tune", "--max")
    assert offered("dashboard", "--max") == []
    assert offered("schema", "da") == ["dataset"]


def test_choices_are_those_of_the_model(offered):
    assert offered("tune", "--engine", "o") == ["optuna"]
    assert offered("tune", "--phase", "co") == ["coarse"]
    assert offered("train", "--device", "c") == ["cpu", "cuda"]


def test_models_and_data_sets_are_the_files_beside_the_sweep(offered):
    assert offered("tune", "--config", "sweep.yaml", "--model", "") == ["NARM", "STAMP"]
    assert offered("tune", "--config", "sweep.yaml", "--dataset", "t") == ["toy"]
    assert offered("tune", "--model", "") == [], "no file has the default name here"


def test_the_last_of_several_names_is_completed(offered, monkeypatch):
    assert offered("tune", "--config", "sweep.yaml", "--models", "'NARM S") == ["NARM STAMP"]
    assert offered("tune", "--config", "sweep.yaml", "--models", "'NARM N") == [], "once is enough"


def test_studies_are_those_of_the_store(offered, tmp_path):
    (tmp_path / "outputs").mkdir()
    store(tmp_path / "outputs" / "recsweep.db", "s/toy/NARM/full", "s/toy/STAMP/full")
    store(tmp_path / "own.db", "mine")
    assert offered("worker", "--config", "sweep.yaml", "--study", "s/toy/N") == ["s/toy/NARM/full"]
    assert offered("worker", "--storage", "sqlite:///own.db", "--study", "") == ["mine"]
    assert offered("worker", "--outputs", "elsewhere", "--study", "") == []


@pytest.mark.parametrize("command", ["show", "ls", "status", "compare", "rm", "mv", "stop"])
def test_studies_are_offered_wherever_one_is_named(offered, tmp_path, command):
    (tmp_path / "outputs").mkdir()
    store(tmp_path / "outputs" / "recsweep.db", "s/toy/NARM/full")
    assert offered(command, "s/") == ["s/toy/NARM/full"]


def test_the_store_is_that_of_the_command(offered, tmp_path, monkeypatch):
    """The sweep file names it, below its own folder; the environment goes first, the command before both."""
    for name in ("own", "given", "typed"):
        store(tmp_path / f"{name}.db", name)
    (tmp_path / "sweep.yaml").write_text(
        (tmp_path / "sweep.yaml").read_text() + "storage: sqlite:///own.db\n"
    )
    (tmp_path / "address").write_text("sqlite:///typed.db\n")
    (tmp_path / "address").chmod(0o600)
    assert offered("show", "--sweep", "sweep.yaml", "") == ["own"]
    monkeypatch.setenv("RECSWEEP_STORAGE", "sqlite:///given.db")
    assert offered("show", "--sweep", "sweep.yaml", "") == ["given"]
    assert offered("show", "--storage-file", "address", "") == ["typed"]


def test_what_can_be_merged_are_the_studies_of_the_other_store(offered, tmp_path):
    (tmp_path / "outputs").mkdir()
    store(tmp_path / "outputs" / "recsweep.db", "ours/toy/NARM/full")
    store(tmp_path / "other.db", "s/toy/NARM/full", "s/toy/STAMP/full")
    assert offered("merge", "other.db", "s/toy/N") == ["s/toy/NARM/full"]
    assert offered("merge", "sqlite:///other.db", "s/toy/NARM/full", "s/toy/S") == ["s/toy/STAMP/full"]
    assert offered("merge", "--storage", "sqlite:///outputs/recsweep.db", "other.db", "ours") == []
    assert offered("merge", "none.db", "") == []


def test_a_sweep_in_python_is_not_run_while_one_types(offered, tmp_path):
    (tmp_path / "mine.py").write_text("raise SystemExit('run')")
    assert offered("show", "--sweep", "mine.py:sweep", "") == []


@pytest.mark.parametrize(
    "given",
    [
        ("--config", "none.yaml"),
        ("--config", "broken.yaml"),
        ("--storage", "postgresql+psycopg://me:pw@127.0.0.1:1/db"),
        ("--storage", "address"),
        ("--storage-file", "none"),
        ("--storage", "sqlite:///broken.yaml"),
    ],
)
def test_nothing_that_is_wrong_is_said(offered, tmp_path, given):
    (tmp_path / "broken.yaml").write_text("models: [")
    assert offered("worker", *given, "--study", "") == []
    assert offered("worker", *given, "--study-name", "x") == []


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_other_shells_are_answered_too(offered, tmp_path, shell):
    store(tmp_path / "other.db", "s/toy/NARM/full")
    assert "summarize" in " ".join(offered("su", shell=shell))
    assert "s/toy/NARM/full" in " ".join(offered("merge", "other.db", "s/", shell=shell))
    several = offered("tune", "--config", "sweep.yaml", "--models", "'NARM S", shell=shell)
    assert "NARM STAMP" in " ".join(several)


def test_it_loads_neither_torch_nor_the_store():
    code = (
        "import sys\nfrom recsweep.cli.commands import cli\n"
        "print([m for m in ('torch', 'recbole', 'optuna', 'pandas', 'sqlalchemy') if m in sys.modules])"
    )
    began = time.monotonic()
    assert run_python(code) == "[]"
    assert time.monotonic() - began < 60, "a machine under load; alone it is half a second"
