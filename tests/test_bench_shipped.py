"""What is kept of the shipped sweep: read by the code of today, brought whole, gone on with."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import shipped
from recsweep.cli import cli


@pytest.fixture
def outputs(tmp_path):
    """An output folder with what is kept."""
    return Path(shutil.copytree(shipped.KEPT, tmp_path / "outputs"))


def printed(*arguments: str) -> str:
    done = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def files_of(folder: Path) -> set[Path]:
    return {file.relative_to(folder) for file in folder.rglob("*") if file.is_file()}


def test_the_report_is_made_of_what_is_kept(outputs):
    printed("report", *shipped.OF_SWEEP, "--outputs", str(outputs))
    page = (outputs / "report" / "default" / "index.html").read_text(encoding="utf-8")
    assert "5 training seeds" in page


def test_a_study_that_is_kept_is_not_run_again(outputs):
    told = printed("tune", *shipped.OF_SWEEP, "--outputs", str(outputs), "--models", "FPMC", "--dry-run")
    assert "0 trials to run" in told


def test_what_was_kept_is_kept_whole_again(outputs, tmp_path):
    again = tmp_path / "again"
    shipped.keep(outputs, again)
    assert files_of(again) == files_of(shipped.KEPT)
    assert printed("ls", "--csv", "--outputs", str(again)) == printed(
        "ls", "--csv", "--outputs", str(outputs)
    )
