"""The tutorial and the how-to pages, done as they say; what comes of it is what they show."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from helpers.pages import ROOT, Shown, checkout, perform, steps
from helpers.quick_venv import quick_venv

DOCS = ROOT / "docs"
ELSEWHERE = {"ray", "service", "tracking"}
"""How-to pages that need a cluster or a server, and so cannot be followed alone."""
HOW_TO = sorted(page for page in (DOCS / "how-to").glob("*.md") if page.stem not in ELSEWHERE)
NUMBER = r"\d[\d,.]*(?:e-?\d+)?"
MARKS = re.compile(r"\*\*|†")


def as_pattern(line: str) -> str:
    """A line that a page shows; numbers may be others, and `…` stands for anything."""
    parts = re.split(f"({NUMBER}|…)", MARKS.sub("", line).rstrip())
    return "".join(
        ".*" if part == "…" else NUMBER if re.fullmatch(NUMBER, part) else re.escape(part) for part in parts
    )


def missing(shown: Iterable[str], said: str) -> list[str]:
    """The lines that a page shows and a command did not say; of a mistake the numbers count too."""
    lines = [MARKS.sub("", line).rstrip() for line in said.splitlines()]
    lacking = []
    for line in filter(str.strip, shown):
        told = line.startswith("recsweep: ")
        pattern = ".*".join(map(re.escape, line.split("…"))) if told else as_pattern(line)
        if not any(re.fullmatch(pattern, other) for other in lines):
            lacking.append(line)
    return lacking


def follow(page: Path, folder: Path, until: str = "") -> int:
    """Do what a page says, and return how many commands were run."""
    count = 0
    for step in steps(page.read_text(encoding="utf-8")):
        if until and isinstance(step, Shown) and step.command.startswith(until):
            break
        done = perform(step, folder)
        if done is not None and isinstance(step, Shown):
            count += 1
            assert not missing(step.lines, done.stdout), f"{page.name}: $ {step.command}\n{done.stdout}"
            mistake = any(line.startswith("recsweep: ") for line in step.lines)
            assert done.returncode == (2 if mistake else 0), f"$ {step.command}\n{done.stdout}"
    return count


def test_the_tutorial_leads_from_a_csv_to_a_sweep_that_could_run(tmp_path, tmp_path_factory):
    with quick_venv(tmp_path_factory.mktemp("quick")) as environment:
        folder = checkout(tmp_path, environment)
        assert follow(DOCS / "tutorial.md", folder, until="make tune-all") > 8


@pytest.mark.long
def test_the_tutorial_leads_from_a_csv_to_a_table(tmp_path):
    folder = checkout(tmp_path)
    follow(DOCS / "tutorial.md", folder)
    assert (folder / "outputs" / "results" / "default" / "summary.tex").exists()
    assert (folder / "outputs" / "plots" / "default" / "index.html").exists()


@pytest.mark.long
@pytest.mark.parametrize("page", HOW_TO, ids=lambda page: page.stem)
def test_a_how_to_page_can_be_followed(page, tmp_path):
    assert follow(page, checkout(tmp_path)) >= 2


def test_what_a_page_shows_is_compared_with_what_was_said():
    said = (
        "| mine | SASRec | 0.0412 |\nrecsweep: /a/b.yaml:3:1: no\nmine/FPMC trial 3 (4/5) pruned at epoch 7"
    )
    assert missing(["| mine | **SASRec** | 0.0500† |", "mine/FPMC trial 1 …", ""], said) == []
    assert missing(["recsweep: …b.yaml:3:1: no"], said) == []
    assert missing(["recsweep: …b.yaml:4:1: no", "| mine | NARM | 0.0412 |"], said) == [
        "recsweep: …b.yaml:4:1: no",
        "| mine | NARM | 0.0412 |",
    ]
