"""What a command loads before it knows what it is to do."""

from __future__ import annotations

import pytest

from helpers.workspace import run_python
from recsweep.cli import early
from recsweep.running import templates

LOAD = """
import sys
import recsweep.cli.commands
unused = ("numpy", "pandas", "rich.console", "sqlalchemy", "optuna", "torch")
print([name for name in unused if name in sys.modules])
"""


def test_a_command_starts_without_what_only_some_commands_need():
    assert run_python(LOAD).strip() == "[]"


@pytest.mark.parametrize(
    ("words", "begins"),
    [
        (["tune", "--model", "FPMC"], True),
        (["evidence"], True),
        (["worker", "--workers", "2"], True),
        (["tune", "--dry-run"], False),
        (["tune", "--help"], False),
        (["ls", "tune"], False),
        ([], False),
    ],
)
def test_what_workers_are_forked_from_begins_with_a_command_that_trains(monkeypatch, words, begins):
    begun = []
    monkeypatch.setattr(templates.TEMPLATES, "get", lambda: begun.append(1))
    monkeypatch.setattr(early, "cores", lambda: 2)
    early.begin(words)
    assert bool(begun) is begins


def test_on_one_core_it_begins_when_it_is_needed(monkeypatch):
    monkeypatch.setattr(templates.TEMPLATES, "get", lambda: pytest.fail("it takes the core of the command"))
    monkeypatch.setattr(early, "cores", lambda: 1)
    early.begin(["tune"])
