"""Stores that are not ours, or not whole: one line that says what to do; nothing is touched."""

from __future__ import annotations

import itertools
import json
import shutil
import sqlite3
import sys
from contextlib import closing

import optuna
import pytest

from helpers.light_worker import DEFAULTS, SPACE
from helpers.workspace import make_workspace, run_python
from recsweep.cli import main
from recsweep.common.errors import StoreDamaged, StudyForeign, UserError
from recsweep.common.owner import this_process
from recsweep.study import Result, Store
from recsweep.study.journal import mend

NAME, DEFINITION = "sweep/data/FPMC/full", {"model": "FPMC"}


@pytest.fixture(params=["sqlite", "journal"])
def url(request, tmp_path, empty_store):
    if request.param == "journal":
        return f"journal:///{tmp_path}/store.journal"
    shutil.copy(empty_store, tmp_path / "store.db")
    return f"sqlite:///{tmp_path}/store.db"


@pytest.fixture
def sqlite_file(tmp_path, empty_store):
    shutil.copy(empty_store, tmp_path / "store.db")
    return tmp_path / "store.db"


def filled(url, trials=2):
    """A store with a study of ours, of which some trials are complete."""
    store = Store(url)
    study = store.open_study(NAME, DEFINITION, maximize=True)
    study.ensure_slots(trials + 1)
    for _ in range(trials):
        claim = study.claim(trials, this_process())
        study.start(claim, DEFAULTS, SPACE, 1, {})
        study.finish(claim, 0.5, Result({"ndcg@10": 0.5}, seconds=1.0))
    store.close()


def read(url):
    store = Store(url)
    try:
        found = store.find_study(NAME)
        assert found is not None
        return found.trials(), found.attributes
    finally:
        store.close()


def one_line(error):
    text = str(error.value)
    assert "\n" not in text
    assert text.count("; ") >= 2, "what, why, what to do"
    return text


# -- studies of others ---------------------------------------------------------------------------


def somebodys_study(url, direction="minimize"):
    """A study of the same name, made by another program for its own ends."""
    store = Store(url)
    study = optuna.create_study(storage=store.optuna_storage, study_name=NAME, direction=direction)
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
    store.close()


def test_a_study_that_another_program_made_is_refused_and_left_alone(url):
    somebodys_study(url, "maximize")
    store = Store(url)
    for ask in (
        lambda: store.open_study(NAME, DEFINITION, maximize=True),
        lambda: store.open_study(NAME, DEFINITION, maximize=True, restart=True),
        lambda: store.find_study(NAME),
        lambda: store.find_study(NAME, DEFINITION),
    ):
        with pytest.raises(StudyForeign, match="3 trials and no definition") as refused:
            ask()
        line = one_line(refused)
        assert NAME in line
        assert all(way in line for way in ("a new name", "--study-name", "another store"))
    assert store.studies(sweep="sweep") == []
    store.close()
    again = optuna.load_study(storage=Store(url).optuna_storage, study_name=NAME)
    assert (len(again.trials), again.user_attrs) == (3, {})


def test_a_study_of_ours_that_goes_the_other_way_is_refused(url):
    filled(url)
    store = Store(url)
    with pytest.raises(StudyForeign, match="its objectives are to maximize"):
        store.open_study(NAME, DEFINITION, maximize=False)
    store.close()


def test_an_empty_study_takes_another_objective(url):
    store = Store(url)
    store.open_study(NAME, DEFINITION, maximize=True)
    turned = store.open_study(NAME, {"model": "FPMC", "metric": "other"}, maximize=False)
    (direction,) = store.optuna_storage.get_study_directions(turned.id)
    store.close()
    assert direction == optuna.study.StudyDirection.MINIMIZE


def test_the_command_line_says_so_in_one_line_and_exits_with_2(tmp_path, monkeypatch, capsys):
    workspace = make_workspace(tmp_path)
    plan = workspace.plan(outputs=tmp_path / "outputs")
    (tmp_path / "outputs").mkdir()
    url = f"sqlite:///{tmp_path}/outputs/recsweep.db"
    monkeypatch.setitem(globals(), "NAME", plan.name)
    somebodys_study(url)
    for command in ("open", "tune", "summarize"):
        options = ["--config", str(workspace.sweep), "--outputs", str(tmp_path / "outputs")]
        monkeypatch.setattr(sys, "argv", ["recsweep", command, *options])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr().err
        assert (ended.value.code, "was not made by recsweep" in said) == (2, True), said
        assert "Traceback" not in said


# -- attributes that were overwritten -------------------------------------------------------------

SPOILT = [
    *itertools.product(("slot", "setup", "result", "owner"), ({"a": 1}, [1], "text", None)),
    ("attempt", -1),
    ("crashes", "2"),
    ("alone", 1),
    ("inherited", {"phase": 1}),
    ("result", {"metrics": {"ndcg@10": "high"}}),
]


@pytest.mark.parametrize(("name", "value"), SPOILT, ids=lambda value: json.dumps(value))
def test_an_attribute_that_is_not_ours_is_one_line(sqlite_file, name, value):
    url = f"sqlite:///{sqlite_file}"
    filled(url)
    with closing(sqlite3.connect(sqlite_file)) as database:
        statement = "INSERT INTO trial_user_attributes (trial_id, key, value_json) VALUES (1, ?, ?)"
        database.execute(
            "DELETE FROM trial_user_attributes WHERE trial_id = 1 AND key = ?",
            (name,),
        )
        database.execute(statement, (name, json.dumps(value)))
        database.commit()
    with pytest.raises(StoreDamaged) as refused:
        read(url)
    line = one_line(refused)
    assert f"the attribute `{name}` of trial 0 is {json.dumps(value)}" in line


def test_an_attribute_that_is_no_json_is_one_line(sqlite_file):
    url = f"sqlite:///{sqlite_file}"
    filled(url)
    with closing(sqlite3.connect(sqlite_file)) as database:
        database.execute("UPDATE trial_user_attributes SET value_json = '{\"a\": ' WHERE key = 'result'")
        database.commit()
    with pytest.raises(StoreDamaged, match="the attribute `result` of the trial with the id 1"):
        read(url)


@pytest.mark.parametrize("name", ["definition", "starts", "test"])
@pytest.mark.parametrize("value", ["[1, 2", "3", '"text"'])
def test_an_attribute_of_a_study_too(sqlite_file, name, value):
    url = f"sqlite:///{sqlite_file}"
    filled(url)
    with closing(sqlite3.connect(sqlite_file)) as database:
        database.execute("DELETE FROM study_user_attributes WHERE key = ?", (name,))
        database.execute(
            "INSERT INTO study_user_attributes (study_id, key, value_json) VALUES (1, ?, ?)", (name, value)
        )
        database.commit()
    with pytest.raises(StoreDamaged) as refused:
        read(url)
    assert "sweep/data/FPMC/full" in one_line(refused)


# -- files that are something else, or not whole --------------------------------------------------


@pytest.mark.parametrize("revision", ["v2.6.0.a", "v99.0.0"])
def test_the_tables_of_another_optuna_are_refused(sqlite_file, revision):
    with closing(sqlite3.connect(sqlite_file)) as database:
        database.execute("UPDATE alembic_version SET version_num = ?", (revision,))
        database.commit()
    with pytest.raises(UserError, match="has the tables of another version of Optuna") as refused:
        Store(f"sqlite:///{sqlite_file}")
    assert "optuna storage upgrade" in one_line(refused)


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path):
    file = tmp_path / "notes.txt"
    file.write_text("my notes\n" * 100)
    with pytest.raises(UserError, match="is no SQLite database"):
        Store(f"sqlite:///{file}")
    assert file.read_text() == "my notes\n" * 100


def test_a_second_store_of_a_process_leaves_the_first_one_its_log(tmp_path):
    """SQLite's log is removed by whoever leaves last, and locks say who is there."""
    (tmp_path / "s.db").touch()  # the first store makes the tables, so that it has nothing to check yet
    first = Store(f"sqlite:///{tmp_path}/s.db")
    first.open_study("a", {}, maximize=True)
    Store(f"sqlite:///{tmp_path}/s.db")
    write = "c.execute('DELETE FROM trials'); c.commit(); c.close()"
    run_python(f"import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); {write}", str(tmp_path / "s.db"))
    assert (tmp_path / "s.db-wal").exists()


def test_the_database_of_another_program_is_refused_and_left_alone(tmp_path):
    file = tmp_path / "app.db"
    with closing(sqlite3.connect(file)) as database:
        database.execute("CREATE TABLE customers (name TEXT)")
        database.commit()
    before = file.read_bytes()
    with pytest.raises(UserError, match=r"of another program \(its first table: customers\)"):
        Store(f"sqlite:///{file}")
    assert file.read_bytes() == before


def test_a_database_with_a_spoilt_page_is_refused_when_it_is_opened(sqlite_file):
    url = f"sqlite:///{sqlite_file}"
    filled(url)
    pages = bytearray(sqlite_file.read_bytes())
    for page in range(8192, len(pages) - 4096, 4096):
        pages[page : page + 64] = b"\xff" * 64
    copy = sqlite_file.with_name("copy.db")
    copy.write_bytes(pages)
    with pytest.raises(StoreDamaged) as refused:
        Store(f"sqlite:///{copy}")
    assert f"sqlite3 {copy} .recover" in one_line(refused)


def test_a_database_that_was_cut_off_is_refused_when_it_is_opened(sqlite_file):
    filled(f"sqlite:///{sqlite_file}")
    copy = sqlite_file.with_name("copy.db")
    copy.write_bytes(sqlite_file.read_bytes()[:-6000])
    with pytest.raises(StoreDamaged, match="put back a copy"):
        Store(f"sqlite:///{copy}")


# -- journals ------------------------------------------------------------------------------------


def open_and_go_on(file, counted):
    """A run on a journal: what was finished is there, and more can be written and read."""
    trials, _ = read(f"journal:///{file}")
    assert sum(trial.counted for trial in trials) == counted
    store = Store(f"journal:///{file}")
    study = store.open_study(NAME, DEFINITION, maximize=True)
    study.put_back_owned(this_process(), "stopped")
    study.ensure_slots(counted + 1)
    claim = study.claim(counted + 1, this_process())
    study.start(claim, DEFAULTS, SPACE, 1, {})
    assert study.finish(claim, 0.7, Result({"ndcg@10": 0.7}))
    store.close()
    trials, _ = read(f"journal:///{file}")
    assert sum(trial.counted for trial in trials) == counted + 1


def test_a_journal_torn_at_any_byte_of_its_last_line_goes_on(tmp_path):
    whole = tmp_path / "whole.journal"
    filled(f"journal:///{whole}")
    content = whole.read_bytes()
    begin = content.rindex(b"\n", 0, -1) + 1
    before = read(f"journal:///{whole}")[0]
    file = tmp_path / "torn.journal"
    for cut in range(begin, len(content)):
        file.write_bytes(content[:cut])
        with file.open("r+b") as journal:
            mend(journal)
        # The last line completes the second trial; without its end alone it is whole.
        assert file.read_bytes() == (content if cut == len(content) - 1 else content[:begin]), cut
    for cut in (begin, begin + 1, (begin + len(content)) // 2, len(content) - 2, len(content) - 1):
        file = tmp_path / f"torn-{cut}.journal"
        file.write_bytes(content[:cut])
        open_and_go_on(file, 2 if cut == len(content) - 1 else 1)
    assert len(before) == 3
    assert sum(trial.counted for trial in before) == 2


def test_what_others_left_torn_is_dropped_before_a_live_run_appends(tmp_path):
    file = tmp_path / "shared.journal"
    filled(f"journal:///{file}")
    said: list[str] = []
    store = Store(f"journal:///{file}", tell=said.append)
    study = store.open_study(NAME, DEFINITION, maximize=True)
    assert said == []
    with file.open("ab") as journal:  # a process that was killed within a line
        journal.write(b'{"op_code":5,"worker_id":"abc')
    claim = study.claim(3, this_process())
    assert study.finish(claim, 0.9, Result())
    store.close()
    trials, _ = read(f"journal:///{file}")
    assert [trial.score for trial in trials] == [0.5, 0.5, 0.9]
    (line,) = said
    assert "ended within a line" in line
    assert "its 29 bytes were dropped" in line


@pytest.mark.parametrize(
    "line", [b"no json\n", b'{"op_code":5,"worker_id":"abc{"op_code":0}\n', b"[]\n", b"\xff\n"]
)
def test_a_line_that_is_none_within_a_journal_is_named(tmp_path, line):
    file = tmp_path / "spoilt.journal"
    filled(f"journal:///{file}")
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:5], line, *lines[5:]]))
    with pytest.raises(StoreDamaged, match="line 6 is none of Optuna's journal") as refused:
        read(f"journal:///{file}")
    one_line(refused)


@pytest.mark.parametrize("content", [b"my notes, and no end of line", b"SQLite format 3\0", b"{}"])
def test_a_file_that_is_no_journal_is_refused_and_left_alone(tmp_path, content):
    file = tmp_path / "notes.txt"
    file.write_bytes(content)
    with pytest.raises(UserError, match="is no journal of Optuna's"):
        Store(f"journal:///{file}")
    assert file.read_bytes() == content
