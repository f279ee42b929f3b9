"""What is kept of the shipped sweep: read by the code of today, brought whole, gone on with."""

from __future__ import annotations

import re
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


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The report of what is kept."""
    outputs = Path(shutil.copytree(shipped.KEPT, tmp_path_factory.mktemp("shipped") / "outputs"))
    printed("report", *shipped.OF_SWEEP, "--outputs", str(outputs))
    return (outputs / "report" / "default" / "index.html").read_text(encoding="utf-8")


def test_the_report_is_made_of_what_is_kept(page):
    assert "5 training seeds" in page
    assert "Not finished" not in page
    assert "not there yet" not in page


def test_the_report_of_what_is_kept_agrees_with_its_alarms(page):
    chosen = dict(re.findall(r"<h3>(\w+)</h3>.*?chosen is trial (\d+)", page, flags=re.DOTALL))
    assert len(chosen) == 6
    late = re.findall(r"ml-100k/(\w+): the best trial was found as number (\d+) of 20", page)
    assert {model for model, slot in chosen.items() if int(slot) >= 18} == {model for model, _ in late}
    assert all(int(number) == int(chosen[model]) + 1 for model, number in late)
    assert page.count(" is at the edge of its range") == page.count('</b> <span class="edge">edge</span>')
    best, second = re.search(r"The data cannot tell (\w+) from (\w+):", page).groups()
    pair = f"(?:{best} and {second}|{second} and {best})"
    assert re.search(rf"{pair} differ by .{{0,400}}claim no difference", page, flags=re.DOTALL)


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
