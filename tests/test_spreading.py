"""What is long is divided among the processes of a test run, and begins first."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from helpers.spreading import BY_MODEL, BY_TEST, longest_first, scope_of

ROOT = Path(__file__).parents[1]


def test_the_files_that_are_divided_are_there():
    assert [name for name in (*BY_TEST, *BY_MODEL) if not (ROOT / name).is_file()] == []


def test_a_file_stays_together_but_for_what_is_divided():
    assert scope_of("tests/cli/test_cli.py::Test::test_a[x]") == "tests/cli/test_cli.py"
    assert scope_of(f"{BY_TEST[0]}::test_a[x]") == scope_of(f"{BY_TEST[0]}::test_a[y]")
    assert scope_of(f"{BY_TEST[0]}::test_a[x]") != scope_of(f"{BY_TEST[0]}::test_b[x]")
    scopes = [
        scope_of(f"{BY_MODEL[0]}::test_{name}") for name in ("a[BPR-CE-torch]", "b[BPR-torch]", "c[NPE]")
    ]
    assert scopes[0] == scopes[1] != scopes[2]


def test_real_processes_come_first_then_training_then_what_is_large():
    names = ["a.py::one", "b.py::one", "b.py::two", "training/c.py::one", "end_to_end/d.py::one"]
    items = [SimpleNamespace(nodeid=f"tests/{name}") for name in names]
    longest_first(items)
    assert [item.nodeid.removeprefix("tests/") for item in items] == [*names[:2:-1], *names[1:3], names[0]]
