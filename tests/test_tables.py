"""A store that a test makes begins as a copy, and is what recsweep itself makes."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from recsweep.common.errors import RecsweepError
from recsweep.study import Store


def schema(path):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()


def test_a_copied_store_has_the_tables_of_a_new_one(tmp_path):
    Store(f"sqlite:///{tmp_path}/copied.db").close()
    made = tmp_path / "made.db"
    made.touch()  # empty: recsweep makes the tables
    Store(f"sqlite:///{made}").close()
    assert schema(tmp_path / "copied.db") == schema(made)
    assert {"trials", "recsweep_studies"} <= {name for name, _ in schema(made)}
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".copy"] == []


def test_what_is_there_is_not_copied_over(tmp_path):
    taken = tmp_path / "taken.db"
    taken.write_text("a note of mine")
    with pytest.raises(RecsweepError, match="no SQLite database"):
        Store(f"sqlite:///{taken}")
    assert taken.read_text() == "a note of mine"
