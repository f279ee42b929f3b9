"""`recsweep report`: from a store to files, with a sweep file and without one."""

from __future__ import annotations

from click.testing import CliRunner

from helpers.found import fill_store, some_trials, workspace
from recsweep.cli import cli


def test_the_command_prints_the_path_of_the_page_it_wrote(tmp_path):
    space = workspace(tmp_path)
    fill_store(space.plan(), some_trials(), {"ndcg@10": 0.1234})
    page = tmp_path / "outputs" / "report" / "toy-sweep" / "index.html"
    done = CliRunner().invoke(cli, ["report", "--config", str(space.sweep)], catch_exceptions=False)
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (0, str(page))
    assert "0.1234" in page.read_text(encoding="utf-8")
    page.unlink()
    store = f"sqlite:///{tmp_path / 'outputs' / 'recsweep.db'}"
    alone = ["report", "--storage", store, "--sweep", "toy-sweep", "--outputs", str(tmp_path / "outputs")]
    assert CliRunner().invoke(cli, alone, catch_exceptions=False).exit_code == 0
    assert page.is_file()


def test_the_commands_name_the_sweeps_file_as_seen_from_here(tmp_path, monkeypatch):
    space = workspace(tmp_path)
    fill_store(space.plan(), some_trials(), {"ndcg@10": 0.1234})
    monkeypatch.chdir(tmp_path)
    CliRunner().invoke(cli, ["report", "--config", str(space.sweep)], catch_exceptions=False)
    text = (tmp_path / "outputs" / "report" / "toy-sweep" / "index.html").read_text(encoding="utf-8")
    assert f"recsweep tune --config {space.sweep.relative_to(tmp_path)}\n" in text
