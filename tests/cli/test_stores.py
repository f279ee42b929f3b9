"""The store that a command opens only to look at: what it has to say stands on standard error."""

from __future__ import annotations

import sys

import pytest

from helpers.phased import fill, workspace
from recsweep.cli import main
from recsweep.study import Store

LOOKS = ("ls", "stop --all", "summarize", "doctor", "dashboard --port 0")


@pytest.fixture
def torn(tmp_path):
    """A sweep, and its journal, that ends within a line."""
    sweep = workspace(tmp_path)
    store = Store(f"journal:///{tmp_path / 'store.journal'}")
    fill(sweep.plan(), store, [0.1])
    store.close()
    with (tmp_path / "store.journal").open("ab") as journal:
        journal.write(b'{"op_code":5,"work')
    return sweep, store.address


@pytest.mark.parametrize("words", LOOKS)
def test_who_looks_is_told_of_a_torn_end(torn, monkeypatch, capsys, words):
    sweep, address = torn
    monkeypatch.setattr("recsweep.report.dashboard._Server.serve_forever", lambda self: None)
    of = [] if words == "stop --all" else ["--config", str(sweep.sweep)]
    argv = ["recsweep", *words.split(), *of, "--storage", str(address)]
    monkeypatch.setattr(sys, "argv", argv)
    with pytest.raises(SystemExit):
        main()
    captured = capsys.readouterr()
    assert captured.err.count("its 18 bytes were dropped") == 1, captured
    assert "dropped" not in captured.out
