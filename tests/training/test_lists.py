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
from recsweep.training import ensemble as ensemble_file
from recsweep.training import lists as lists_file
from recsweep.training import training
from recsweep.training.ensemble import Ensemble, Member
from recsweep.training.fusion import FUSIONS
from recsweep.training.history import BEFORE_TEST, EVERYTHING, texts_of
from recsweep.training.list_files import write_lists
from recsweep.training.listing import listing
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


def lists_of(trained: TrainedModel | Ensemble, path, count=7, upto=EVERYTHING, seen=False, users=None):
    """What is written: by user, its items and scores."""
    with listing(trained, CPU, upto) as by:
        data = by.scorer.loader._dataset
        found = by.lists(by.users if users is None else users, count, with_seen=seen)
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


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("names", [("BPR", "LightGCN"), ("FPMC", "GRU4Rec")], ids=" ".join)
def test_an_ensembles_lists_are_those_that_its_test_measures(names, fusion, trained_of, tmp_path):
    members = [Member(name, weight, trained_of(name), {}) for weight, name in enumerate(names, 1)]
    ensemble = Ensemble(fusion, members)
    users = ensemble_file.tested(ensemble, CPU, ["recall"], [7])
    sequential = "GRU4Rec" in names
    found = lists_of(ensemble, tmp_path / "lists.csv", upto=BEFORE_TEST, seen=sequential)
    with scoring(members[0].trained, CPU) as scorer:
        data, test = scorer.loader._dataset, scorer.split.parts[2].inter_feat.interaction
        user, item = (texts_of(data, field) for field in (data.uid_field, data.iid_field))
    right: dict[str, set[str]] = {}
    for one, its in zip(test[data.uid_field].tolist(), test[data.iid_field].tolist(), strict=True):
        right.setdefault(user[one], set()).add(item[its])
    expected = dict(zip(users.users.tolist(), users.metrics["recall@7"].tolist(), strict=True))
    assert expected == pytest.approx(
        {one: len({*found[one][0]} & items) / len(items) for one, items in right.items()}
    )
    alone = [lists_of(member.trained, tmp_path / "one.csv", upto=BEFORE_TEST) for member in members]
    assert all(found != one for one in alone)


def test_a_model_with_itself_lists_what_it_lists_alone(trained_of, tmp_path, monkeypatch):
    trained = trained_of("LightGCN")
    alone = lists_of(trained, tmp_path / "alone.csv")
    monkeypatch.setattr(ensemble_file, "_CASES_AT_ONCE", 300)  # a few users at once
    twice = Ensemble(FUSIONS[0], [Member("a", 1, trained, {}), Member("b", 2, trained, {})])
    found = lists_of(twice, tmp_path / "twice.csv")
    assert {user: items for user, (items, _) in found.items()} == {
        u: items for u, (items, _) in alone.items()
    }


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
