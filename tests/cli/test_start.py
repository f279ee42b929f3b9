"""What a command loads before it knows what it is to do."""

from __future__ import annotations

from helpers.workspace import run_python

LOAD = """
import sys
import recsweep.cli.commands
unused = ("numpy", "pandas", "rich.console", "sqlalchemy", "optuna", "torch")
print([name for name in unused if name in sys.modules])
"""


def test_a_command_starts_without_what_only_some_commands_need():
    assert run_python(LOAD).strip() == "[]"
