"""The rows of data sets before a job is made: told as a dry run tells them, and read once."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from helpers.service import Client, job, running_app
from helpers.workspace import HEADER, ROWS, Workspace, make_workspace
from recsweep.planning.plan import check_data
from recsweep.service.planned import dry_run
from recsweep.service.refusals import Mistake, Refused
from recsweep.service.request import request_of
from recsweep.service.rows import Rows


@pytest.fixture
def folder(tmp_path: Path) -> Workspace:
    return make_workspace(tmp_path / "config")


def asked(**changes: Any) -> dict[str, Any]:
    return job(**{"dataset": "toy", "model": "NARM", "search_space": None, "num_samples": 2, **changes})


def remarks(folder: Workspace, rows: Rows, **changes: Any) -> list[str]:
    return list(dry_run(request_of(asked(**changes)), folder.root, rows)["remarks"])


def mistake(folder: Workspace, rows: Rows, **changes: Any) -> Mistake:
    with pytest.raises(Refused) as caught:
        remarks(folder, rows, **changes)
    (one,) = caught.value.mistakes
    assert str(folder.root.parent) not in str(caught.value), "the server's folders are its own"
    return one


def test_bad_rows_are_told_with_their_place(folder: Workspace) -> None:
    rows = Rows()
    folder.write_rows(*ROWS[:3], "1\t2")
    for _ in range(2):
        told = mistake(folder, rows)
        assert (told.field, told.value) == ("dataset", "toy")
        assert told.problem.startswith("toy/toy.inter:5:")
        assert told.fix.endswith("on the server")
    assert rows.read == 1, "what is wrong is remembered too"
    folder.write_rows(*ROWS)
    assert remarks(folder, rows) == []
    assert rows.read == 2, "the file has other bytes now"


def test_of_several_data_sets_the_bad_one_is_told(folder: Workspace) -> None:
    other = folder.root / "datasets" / "bad"
    other.mkdir()
    (other / "bad.inter").write_text(f"{HEADER}\n1\tx\tnoon\n")
    (folder.root / "datasets" / "bad.yaml").write_text("path: bad\n")
    told = mistake(folder, Rows(), dataset=None, datasets=["toy", "bad"])
    assert (told.field, told.value) == ("datasets.1", "bad")
    assert "noon" in told.problem


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"metric_name": "NDCG@500"}, "metric_name"), ({"topk": [10, 400]}, "topk")],
)
def test_what_the_rows_cannot_give_is_told_at_what_asks_for_it(
    folder: Workspace, changes: dict[str, Any], field: str
) -> None:
    told = mistake(folder, Rows(), **changes)
    assert told.field == field
    assert "15 items" in told.problem


def test_a_split_that_cannot_work_is_told(folder: Workspace) -> None:
    folder.write_rows(*(f"{user}\t{user}\t{user}" for user in range(1, 20)))
    told = mistake(folder, Rows())
    assert told.field == "dataset"
    assert told.problem.startswith("datasets/toy.yaml")


def test_rows_are_read_once_however_many_ask(folder: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = Rows()
    many = [threading.Thread(target=remarks, args=(folder, rows)) for _ in range(8)]
    for one in many:
        one.start()
    for one in many:
        one.join()
    assert rows.read == 1
    remarks(folder, rows, model="NARM", num_samples=5, seed=3, metric_name="MRR@5")
    assert rows.read == 1, "the rest of a request has nothing to do with it"


def test_what_is_remembered_has_a_limit(folder: Workspace) -> None:
    rows = Rows(most_kept=2)
    for number in (1, 2, 3, 1):
        folder.dataset.write_text(f"path: toy\nmin_user_interactions: {number}\n")
        remarks(folder, rows)
    assert rows.read == 4


def test_large_files_are_left_to_the_job(folder: Workspace) -> None:
    rows = Rows(most_bytes=10)
    folder.write_rows("bad")
    assert remarks(folder, rows) == ["toy: its 0 MB are read when the job runs, not now"]
    assert rows.read == 0


def test_a_dry_run_says_what_the_command_says(folder: Workspace) -> None:
    folder.write_rows(*ROWS, *(f'"{user}"\t{user}\t{user}' for user in range(1, 3)))
    told: list[str] = []
    check_data(folder.load(), told.append)
    assert told
    assert [one for one in remarks(folder, Rows()) if one in told] == told


def test_neither_route_takes_bad_rows(tmp_path: Path, empty_store: Path, folder: Workspace) -> None:
    with running_app(tmp_path, empty_store, rows=Rows()) as client:
        client.service.config = folder.root
        folder.write_rows("1\t1\tnoon")
        _refused(client, "validate")
        _refused(client, "jobs")
        folder.write_rows(*ROWS)
        assert client("POST", "validate", json=asked()).status_code == 200
        assert client("POST", "jobs", json=asked()).status_code == 201
        assert client.service.rows.read == 2


def _refused(client: Client, route: str) -> None:
    answer = client("POST", route, json=asked())
    assert answer.status_code == 422
    assert answer.json()["field"] == "dataset"
    assert "toy/toy.inter:2:" in answer.json()["detail"]
