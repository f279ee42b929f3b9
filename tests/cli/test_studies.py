"""ls, show, status, compare, rm, mv, merge, export: in an empty folder, with nothing but `--storage`."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import optuna
import pytest

from recsweep.cli import main
from recsweep.common.owner import this_process
from recsweep.planning.evidence import Configuration, evidence_plan
from recsweep.search.evidence import open_evidence
from recsweep.study import Result, Store
from recsweep.study.transfer import merge, rename

STORES = Path(__file__).parents[1] / "stores"
NAMES = [
    *("plain/toy/NARM/full", "plain/toy/FPMC/full", "of-mine", "plain/toy/FOSSIL/full"),
    *("phased/toy/NARM/coarse", "phased/toy/NARM/architecture", "variants/toy/Any/full_with_model"),
    "several/toy/NARM/full",
]


@dataclass
class Said:
    """What a command came to."""

    code: int
    out: str
    err: str


Call = Callable[..., Said]


@pytest.fixture(scope="module")
def filled(postgres, tmp_path_factory) -> str:
    """The name of a database with the studies, to be copied: to bring them there takes seconds."""
    path = tmp_path_factory.mktemp("filled") / "source.db"
    shutil.copy(STORES / "old.db", path)
    url = postgres.new_url()
    source, target = Store(f"sqlite:///{path}"), Store(url)
    list(merge(source, target, source.records(archived=True)))
    source.close()
    target.close()
    return postgres.name_of(url)


@pytest.fixture(params=["sqlite", "journal", "postgresql"])
def url(request, tmp_path):
    """A store with eight studies and an archived one, of each kind."""
    if request.param == "postgresql":
        return request.getfixturevalue("postgres").new_url(request.getfixturevalue("filled"))
    suffix = "db" if request.param == "sqlite" else "journal"
    shutil.copy(STORES / f"old.{suffix}", tmp_path / f"store.{suffix}")
    return f"{request.param}:///{tmp_path / f'store.{suffix}'}"


@pytest.fixture
def call(monkeypatch, capsys, tmp_path, url) -> Call:
    """Run a command on that store, in a folder where nothing else is."""
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)

    def run(*words: str, storage: str = url) -> Said:
        monkeypatch.setattr(sys, "argv", ["recsweep", *words, "--storage", storage])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return Said(int(ended.value.code or 0), captured.out, captured.err)

    return run


def test_every_study_is_listed_with_its_state(call):
    told = call("ls", "--json")
    rows = {row["study"]: row for row in json.loads(told.out)}
    assert list(rows) == NAMES
    assert (rows["plain/toy/FPMC/full"]["state"], rows["plain/toy/FPMC/full"]["trials"]) == (
        "not finished",
        2,
    )
    narm = rows["plain/toy/NARM/full"]
    assert (narm["state"], narm["trials"], narm["of"], narm["best"]) == ("finished", 6, 6, 0.35)
    assert (narm["pruned"], narm["failed"]) == (1, 1)
    later = rows["phased/toy/NARM/architecture"]
    assert (later["trials"], later["of"]) == (2, 2), "an inherited trial is none of its own"


def test_a_list_is_narrowed_by_a_part_a_pattern_and_options(call):
    def names(*words: str) -> list[str]:
        return [row["study"] for row in json.loads(call("ls", "--json", *words).out)]

    assert names("phased") == NAMES[4:6]
    assert names("*/FPMC/*", "of-mine") == NAMES[1:3]
    assert names("--model", "NARM", "--phase", "full") == [NAMES[0], NAMES[7]]
    assert len(names("--archived")) == len(NAMES) + 1
    assert call("ls", "nothing-like-it").err == "no such studies are in the store\n"


def test_csv_has_a_line_a_study_and_people_a_table(call):
    rows = list(csv.DictReader(io.StringIO(call("ls", "--csv").out)))
    assert [row["study"] for row in rows] == NAMES
    assert "| plain/toy/NARM/full | finished | 6/6 | NDCG@10 | 0.3500 |" in call("ls").out


def test_a_study_is_shown_by_the_end_of_its_name(call):
    told = call("show", "plain/toy/NARM")
    assert "state: finished, 6 of 6 trials (1 pruned, 1 failed)" in told.out
    assert "| 5 | 0.3500 |" in told.out
    whole = json.loads(call("show", "of-mine", "--json").out)
    assert [trial["slot"] for trial in whole["trials_found"]] == [0, 1, 2, 3]
    assert whole["record"]["details"]["definition"]["model"]["model"]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("plain/toy/NRAM/full", "the store has no study plain/toy/NRAM/full; did you mean"),
        ("NARM/full", "NARM/full is a part of several studies' names"),
    ],
)
def test_a_name_that_is_no_studys_is_refused_with_the_nearest(call, name, problem):
    told = call("show", name)
    assert told.code == 2
    assert problem in told.err


def test_status_says_what_is_left(call):
    told = call("status")
    assert told.out.startswith("7 of 8 studies finished, 26 of 28 trials\n")
    assert "| plain/toy/FPMC/full | not finished | 2/4 |" in told.out
    assert call("status", "of-mine", "--watch", "1").out.startswith("1 of 1 study finished")


def test_what_differs_is_compared_and_what_is_unfair_said(call):
    told = call("compare", "plain")
    assert told.out.index("plain/toy/NARM/full") < told.out.index("plain/toy/FOSSIL/full")
    assert "| model.model | NARM | FPMC | FOSSIL |" in told.out
    assert "They had not the same number of trials." in told.out
    assert call("compare", "of-mine").code == 2


def test_a_study_is_removed_only_when_it_is_meant(call, url):
    assert call("rm", "of-mine").code == 2
    assert call("rm", "of-mine", "--dry-run").out == "of-mine: 4 trials\n"
    assert "of-mine" in names_in(url)
    assert call("rm", "of-mine", "--yes").code == 0
    assert names_in(url) == [name for name in NAMES if name != "of-mine"]


def test_a_renamed_study_keeps_everything(call, url):
    before = json.loads(call("show", "plain/toy/NARM", "--json").out)
    assert call("mv", "plain/toy/NARM/full", "mine/first").out == "plain/toy/NARM/full is mine/first now\n"
    after = json.loads(call("show", "mine/first", "--json").out)
    assert after["trials_found"] == before["trials_found"]
    assert (after["best"], after["test"], after["state"]) == (before["best"], before["test"], before["state"])
    assert "plain/toy/NARM/full" not in names_in(url)
    assert call("mv", "mine/first", "of-mine").code == 2
    assert call("mv", "mine/first", "../mine").code == 2


def dies_at(count: int):
    """`rename` as it is, but that it is killed when it is called for the `count`th time."""
    calls = []

    def dying(*given):
        calls.append(given)
        if len(calls) == count:
            raise KeyboardInterrupt
        return rename(*given)

    return dying


@pytest.mark.parametrize("after", [0, 1, 99])
def test_a_rename_that_was_killed_is_ended_by_the_same_command(call, url, tmp_path, after):
    folder = tmp_path / "empty/outputs/checkpoints/plain/toy/NARM"
    for slot in (1, 2):
        (folder / f"trial-{slot}").mkdir(parents=True)
    before = json.loads(call("show", "plain/toy/NARM", "--json").out)
    if "journal" in url:  # trials are copied one by one there, and then the study is deleted
        dying = patch.object(Store, "delete", side_effect=KeyboardInterrupt)
        if after < 99:
            dying = patch.object(optuna.storages.JournalStorage, "create_new_trial", dies_after(after))
    elif after:
        dying = patch.object(Store, "rename", side_effect=KeyboardInterrupt)
    else:
        dying = patch.object(Path, "rename", side_effect=KeyboardInterrupt)
    with dying:
        assert call("mv", "plain/toy/NARM/full", "mine").code == 130
    assert call("mv", "plain/toy/NARM/full", "mine").out == "plain/toy/NARM/full is mine now\n"
    after_all = json.loads(call("show", "mine", "--json").out)
    assert after_all["trials_found"] == before["trials_found"]
    assert (after_all["best"], after_all["test"]) == (before["best"], before["test"])
    assert "plain/toy/NARM/full" not in names_in(url)
    found = sorted((tmp_path / "empty/outputs/checkpoints").rglob("trial-*"))
    assert [path.parent.name for path in found] == ["study-mine", "study-mine"]


def dies_after(count: int):
    """`create_new_trial` of a journal, killed after so many."""
    made, make = [], optuna.storages.JournalStorage.create_new_trial

    def dying(*given):
        if len(made) == count:
            raise KeyboardInterrupt
        made.append(given)
        return make(*given)

    return dying


def test_the_evidence_of_a_search_goes_where_it_goes(make_plan, tmp_path, monkeypatch, capsys):
    search = make_plan(storage=f"sqlite:///{tmp_path / 'evidence.db'}")
    url = str(search.storage_url)
    store = Store(url)
    store.open_study(search.name, search.definition, maximize=[True], record=search.record())
    evidence = open_evidence(evidence_plan(search, [Configuration(0, search.defaults)]), store)
    store.close()

    def run(*words: str, code: int = 0) -> list[str]:
        monkeypatch.setattr(sys, "argv", ["recsweep", *words, "--storage", url])
        with pytest.raises(SystemExit) as ended:
            main()
        assert (ended.value.code or 0) == code
        return capsys.readouterr().out.splitlines()

    with patch("recsweep.study.transfer.rename", dies_at(2)):
        assert run("mv", search.name, "first", code=130) == [f"{evidence.name} is first/evidence now"]
    assert names_in(url) == [search.name], "so that the same can be asked for again"
    assert run("mv", search.name, "first") == [f"{search.name} is first now"]
    assert run("rm", "first", "--dry-run") == ["first: 0 trials", "first/evidence: 0 trials"]
    run("rm", "first", "--yes")
    assert names_in(url) == []


def test_a_merge_can_be_repeated_and_doubles_nothing(call, url, tmp_path):
    target = f"sqlite:///{tmp_path / 'other.db'}"
    Store(target).close()
    assert call("merge", url, storage=target).code == 0
    again = call("merge", url, storage=target)
    assert all(": 0 trials brought" in line for line in again.out.splitlines())
    shown = ("study", "state", "trials", "of", "best", "test", "complete", "pruned", "failed")
    source, merged = (
        [{name: row[name] for name in shown} for row in json.loads(call("ls", "--json", storage=one).out)]
        for one in (url, target)
    )
    assert merged == source


def test_an_interrupted_merge_keeps_the_order_of_the_ends(call, url, tmp_path):
    source = Store(url)
    study = source.find_study("plain/toy/FPMC/full")
    study.ensure_slots(6)
    for _ in range(4):
        claim = study.claim(6, this_process())
        study.start(claim, {}, {}, 7, {})
        study.finish(claim, 0.5, Result())
    target = Store(f"sqlite:///{tmp_path / 'other.db'}")
    made, make = [], target.optuna_storage.create_new_trial

    def dies(*args):
        if len(made) == 3:
            raise KeyboardInterrupt
        made.append(args)
        return make(*args)

    records = [source.find_record(study.name)]
    with patch.object(target.optuna_storage, "create_new_trial", dies), pytest.raises(KeyboardInterrupt):
        list(merge(source, target, records))
    list(merge(source, target, records))
    ends = [
        [(trial.slot, trial.ended) for trial in one.find_study(study.name).results()]
        for one in (source, target)
    ]
    assert ends[0] == ends[1]
    assert target.find_study(study.name).attributes["trials_ended"] == 4
    source.close()
    target.close()


def test_weights_go_with_a_name_and_are_told_of_where_they_stay(call, url, tmp_path):
    folder = tmp_path / "empty/outputs/checkpoints/plain/toy/FPMC"
    (folder / "trial-1").mkdir(parents=True)
    assert call("mv", "plain/toy/FPMC/full", "mine").code == 0
    assert not (folder / "trial-1").exists()
    (weights,) = (tmp_path / "empty/outputs/checkpoints").rglob("trial-1")
    assert weights.parent.name == "study-mine"
    told = call("rm", "mine", "--yes")
    assert f"its weights are still in {weights.parent.relative_to(tmp_path / 'empty')}" in told.out
    assert weights.is_dir()


def test_slots_that_are_filled_on_both_sides_keep_their_own_result(call, url, tmp_path):
    """Two machines went on with copies of one study; the slots that only one of them filled are brought."""
    target = f"sqlite:///{tmp_path / 'other.db'}"
    Store(target).close()
    call("merge", url, "plain/toy/FPMC", storage=target)
    for one, slots in ((url, 2), (target, 1)):
        store = Store(one)
        study = store.find_study("plain/toy/FPMC/full")
        assert study is not None
        study.ensure_slots(4)
        for _ in range(slots):
            claim = study.claim(4, this_process())
            assert claim is not None
            study.start(claim, {}, {}, 7, {})
            study.finish(claim, 0.5, Result())
        store.close()
    told = call("merge", url, "plain/toy/FPMC", storage=target)
    assert told.out == (
        "plain/toy/FPMC/full: 1 trial brought, 2 known, 1 left out, as their slots are filled or run here\n"
    )
    store = Store(target)
    study = store.find_study("plain/toy/FPMC/full")
    assert study is not None
    assert [trial.slot for trial in study.results()] == [0, 1, 2, 3]
    assert [trial.ended for trial in study.results()][2:] == [1, None], "its place was one of the other store"
    assert study.ensure_slots(4) == 0
    assert study.claim(4, this_process()) is None
    store.close()


def test_a_study_of_another_definition_is_left_alone(call, url, tmp_path):
    target = f"sqlite:///{tmp_path / 'other.db'}"
    store = Store(target)
    store.open_study("of-mine", {"other": True}, maximize=True).ensure_slots(1)
    store.close()
    told = call("merge", url, "of-mine", storage=target)
    assert told.code == 2
    assert "has another definition" in told.out


def test_an_export_is_a_store_a_document_or_a_table(call, tmp_path):
    assert call("export", "part.db", "phased").code == 0
    part = f"sqlite:///{tmp_path / 'empty' / 'part.db'}"
    assert [row["study"] for row in json.loads(call("ls", "--json", storage=part).out)] == NAMES[4:6]
    assert call("export", "part.json", "of-mine").out == "1 study in part.json\n"
    (whole,) = json.loads(Path("part.json").read_text())
    assert len(whole["trials_found"]) == 4
    call("export", "part.csv", "of-mine")
    assert len(Path("part.csv").read_text().splitlines()) == 5
    assert call("export", "part.txt").code == 2


def test_a_store_that_is_not_there_is_not_made(call, tmp_path):
    told = call("ls", storage=f"sqlite:///{tmp_path / 'none.db'}")
    assert told.code == 2
    assert "there is no store at" in told.err
    assert not (tmp_path / "none.db").exists()


def names_in(url: str) -> list[str]:
    store = Store(url)
    try:
        return [record.study for record in store.records()]
    finally:
        store.close()


def test_the_store_is_found_however_a_sweep_file_names_it(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    shutil.copy(STORES / "old.db", tmp_path / "mine.db")
    (tmp_path / "address").write_text("sqlite:///mine.db\n")
    (tmp_path / "address").chmod(0o600)
    sweep = "sweep: s\nmodels: [NARM]\ndatasets: [toy]\n"
    for line in ("storage_file: address\n", "storage: sqlite:///mine.db\n"):
        (tmp_path / "sweep.yaml").write_text(sweep + line)
        monkeypatch.setattr(sys, "argv", ["recsweep", "ls", "of-mine", "--csv", "--config", "sweep.yaml"])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        assert (ended.value.code or 0) == 0, said.err
        assert said.out.splitlines()[1].startswith("of-mine,finished")
