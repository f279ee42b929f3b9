"""Lists of recommendations: of trained models, against the scores of all items and RecBole's own metrics."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from helpers.fast import CPU, write_interactions
from helpers.untrained import MODELS, untrained
from recsweep.common.errors import InputError
from recsweep.common.parquet import read_parquet
from recsweep.training import lists as lists_file
from recsweep.training import training
from recsweep.training.history import BEFORE_TEST, EVERYTHING, History, texts_of
from recsweep.training.list_files import write_lists
from recsweep.training.lists import top_lists
from recsweep.training.scoring import TrainedModel, scoring


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_interactions(tmp_path_factory.mktemp("lists") / "toy", users=40, items=50, longest=20)


@pytest.fixture
def trained_of(folder):
    return lambda name: untrained(folder, name)


def interactions(folder) -> dict[str, list[str]]:
    """The items of each user, in the order of time."""
    found: dict[str, list[str]] = {}
    for line in (folder / f"{folder.name}.inter").read_text().splitlines()[1:]:
        user, item, _ = line.split("\t")
        found.setdefault(user, []).append(item)
    return found


def lists_of(trained: TrainedModel, path, count=7, upto=EVERYTHING, seen=False, users=None):
    """What is written: by user, its items and scores."""
    with scoring(trained, CPU) as scorer:
        history = History.of(scorer, upto)
        data = scorer.loader._dataset
        chosen = history.users if users is None else users
        found = top_lists(scorer.family, history.table, chosen, None if seen else history.seen, count)
        write_lists(path, found, texts_of(data, data.uid_field), texts_of(data, data.iid_field))
    if path.suffix == ".jsonl":
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        return {line["user"]: (line["items"], line["scores"]) for line in lines}
    if path.suffix == ".csv":
        with path.open(newline="") as file:
            rows = [(row["user"], row["item"], float(row["score"])) for row in csv.DictReader(file)]
    else:
        columns = read_parquet(path)[0]
        rows = list(zip(columns["user"], columns["item"], columns["score"].tolist(), strict=True))
    found = {}
    for user, item, score in rows:
        items, scores = found.setdefault(user, ([], []))
        items.append(item), scores.append(score)
    return found


@pytest.mark.parametrize("name", MODELS)
def test_every_user_has_a_list_without_what_it_has_seen(name, folder, trained_of, tmp_path):
    had = interactions(folder)
    found = lists_of(trained_of(name), tmp_path / "lists.jsonl")
    assert found.keys() == had.keys()
    for user, (items, scores) in found.items():
        assert len({*items}) == 7
        assert not {*items} & {*had[user]}
        assert scores == sorted(scores, reverse=True)
    assert any(
        {*items} & {*had[user]}
        for user, (items, _) in lists_of(trained_of(name), tmp_path / "seen.jsonl", seen=True).items()
    )


@pytest.mark.parametrize("name", MODELS)
def test_lists_before_the_test_are_those_that_a_test_measures(name, folder, trained_of, tmp_path):
    trained = trained_of(name)
    expected = training.evaluate(trained.settings, trained.split, CPU, dict(trained.state))
    _, valid, test = trained.split.parts
    with scoring(trained, CPU) as scorer:
        data, sequential = scorer.loader._dataset, scorer.is_sequential
    names = texts_of(data, data.uid_field), texts_of(data, data.iid_field)
    right: dict[str, set[str]] = {}
    for user, item in zip(
        *(test.inter_feat.interaction[f].tolist() for f in (data.uid_field, data.iid_field)), strict=True
    ):
        right.setdefault(names[0][user], set()).add(names[1][item])
    found = lists_of(trained, tmp_path / "lists.parquet", upto=BEFORE_TEST, seen=sequential)
    shares = [len({*found[user][0]} & items) / len(items) for user, items in right.items()]
    assert sum(shares) / len(shares) == pytest.approx(expected["recall@7"], abs=1e-6)
    assert len(valid) > 0


def test_all_forms_hold_the_same_and_parts_change_nothing(trained_of, tmp_path, monkeypatch):
    trained = trained_of("GRU4Rec")
    one, *others = (lists_of(trained, tmp_path / f"lists.{form}") for form in ("jsonl", "csv", "parquet"))
    assert all(list(other) == list(one) for other in others)
    for user, (items, scores) in one.items():
        for other in others:
            assert other[user][0] == items
            assert other[user][1] == pytest.approx(scores, abs=1e-7)
    monkeypatch.setattr(lists_file, "USERS_AT_ONCE", 7)
    assert [items for items, _ in lists_of(trained, tmp_path / "more.csv").values()] == [
        i for i, _ in one.values()
    ]


def test_some_users_come_in_the_order_that_they_were_asked_for(trained_of, tmp_path):
    trained = trained_of("BPR")
    every = lists_of(trained, tmp_path / "all.jsonl")
    some = lists_of(trained, tmp_path / "some.jsonl", users=torch.tensor([9, 3]))
    assert list(some) == [list(every)[8], list(every)[2]]
    assert all(some[user][0] == every[user][0] for user in some)


def test_a_list_is_as_long_as_there_are_items(trained_of, tmp_path):
    had = lists_of(trained_of("BPR"), tmp_path / "lists.csv", count=200)
    assert max(len(items) for items, _ in had.values()) < 50


def test_a_file_that_names_no_form_is_refused(trained_of, tmp_path):
    with pytest.raises(InputError, match="does not say in which form"):
        lists_of(replace(trained_of("BPR")), tmp_path / "lists.txt")


def test_where_one_part_fails_nothing_is_left(tmp_path):
    good = lists_file.Lists(torch.tensor([1]), torch.tensor([[1]]), torch.tensor([[0.5]]))
    bad = lists_file.Lists(torch.tensor([9]), torch.tensor([[1]]), torch.tensor([[0.5]]))
    names = np.array(["", "a", "b"])
    for lists in ([good, bad], [bad, good, good]):
        with pytest.raises(IndexError):
            write_lists(tmp_path / "lists.csv", lists, names, names)
        assert not list(tmp_path.iterdir())
