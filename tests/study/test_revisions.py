"""The revision of a store's tables is read without Alembic, and is the one that Alembic reads."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from optuna.storages import RDBStorage

from helpers.workspace import run_python
from recsweep.study import Store
from recsweep.study.revisions import newest

OPEN = """
import sys
from recsweep.study import Store
store = Store(sys.argv[1])
print(store.find_study("a"), [name for name in sys.modules if name.split(".")[0] == "alembic"])
"""


def test_the_newest_revision_is_the_head_of_optunas_migrations():
    opened = RDBStorage("sqlite://")
    assert newest() == opened.get_head_version() == opened.get_current_version()


def test_a_store_without_a_revision_is_given_its_own(tmp_path):
    file = tmp_path / "store.db"
    Store(f"sqlite:///{file}").close()
    with closing(sqlite3.connect(file)) as database:
        database.execute("DELETE FROM alembic_version")
        database.commit()
    Store(f"sqlite:///{file}").close()
    with closing(sqlite3.connect(file)) as database:
        assert database.execute("SELECT version_num FROM alembic_version").fetchall() == [(newest(),)]


def test_a_store_is_made_and_opened_without_alembic(tmp_path):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    assert [run_python(OPEN, url) for _ in range(2)] == ["None []"] * 2


def test_a_store_has_the_table_that_alembic_makes(tmp_path):
    ours, theirs = tmp_path / "ours.db", tmp_path / "theirs.db"
    Store(f"sqlite:///{ours}").close()
    opened = RDBStorage(f"sqlite:///{theirs}")
    opened._version_manager._set_alembic_revision(opened.get_head_version())
    opened.engine.dispose()
    assert _tables(ours) == _tables(theirs)


def _tables(file):
    with closing(sqlite3.connect(file)) as database:
        (made,) = database.execute("SELECT sql FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
    return made.split()
