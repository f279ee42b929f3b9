"""A protocol is one object, by names that people know; old keys mean what they meant."""

from __future__ import annotations

import pytest

from recsweep.common.errors import InputError
from recsweep.planning.definition import defined
from recsweep.recbole_api.settings import data_settings
from recsweep.sweeps.config import DatasetConfig, SplitConfig
from recsweep.sweeps.documents import load_document, validate
from recsweep.sweeps.protocol_words import protocol_text


def loaded(tmp_path, text: str) -> DatasetConfig:
    path = tmp_path / "toy.yaml"
    path.write_text(f"name: toy\n{text}\n")
    return validate(load_document(path), DatasetConfig)


@pytest.mark.parametrize(
    ("name", "old"),
    [
        ("random", {"type": "ratio", "order": "random", "group_by": "none"}),
        ("random-by-user", {"type": "ratio", "order": "random", "group_by": "user"}),
        ("Temporal_by_user", {"type": "ratio", "order": "time", "group_by": "user"}),
        ("global-time", {"type": "ratio", "order": "time", "group_by": "none"}),
        ("leave-one-out", {"type": "leave_one_out"}),
    ],
)
def test_a_name_that_people_know_is_what_the_old_keys_say(name, old, tmp_path):
    assert loaded(tmp_path, f"split: {name}").split == SplitConfig(**old)
    assert loaded(tmp_path, f"protocol: {{split: {{type: {name}}}}}").split == SplitConfig(**old)


def test_one_object_is_the_same_as_its_keys_at_the_top(tmp_path):
    one = loaded(tmp_path, "protocol: {core: 5, keep: {rating: '[4,inf)'}, split: {type: leave_one_out}}")
    keys = "min_user_interactions: 5\nmin_item_interactions: 5\nkeep: {rating: '[4,inf)'}"
    assert one == loaded(tmp_path, keys)
    assert protocol_text(one, 1682) == (
        "leave-one-out by time, rating in [4,inf), 5-core, full ranking of 1,682 items"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "protocol: {core: 5}\nmin_user_interactions: 4",
            "3:24: `core: 5` stands for `min_user_interactions",
        ),
        ("protocol: {core: 5}\ncore: 5", "2:18: `core` stands at the top of the file too; keep one of them"),
        ("protocol:\n  cores: 5", "3:3: unknown key `protocol.cores`; did you mean `core`?"),
        ("protocol:\n  split: {type: leave-k-out, k: 0}", "3:33: `protocol.split.k` must be at least 1"),
        ("split: {type: kfold}", "2:15: `split.type` must be one of"),
        ("split: {type: random, order: time}", "2:8: `split`: `type: random` is `order: random`, but got"),
        ("split: {folds: 4}", "2:8: `split`: `folds` belongs to type k_fold, but type is leave_one_out"),
        ("split: {type: k-fold, folds: 3, fold: 4}", "2:8: `split`: `fold` must be one of the 3 folds"),
        ("split: global-date", "2:8: `split`: `global_date` needs `valid_from` and `test_from`"),
        (
            "split: {type: global-date, valid_from: 1998-03-01, test_from: 1998-02-01}",
            "2:8: `split`: `valid_from` must be before `test_from`, but got 1998-03-01 and 1998-02-01",
        ),
        (
            "split: {type: global-date, valid_from: May, test_from: 3}",
            "2:40: `split.valid_from`: a moment is",
        ),
        ("keep: {timestamp: '[1998-01-01,1998-02-30)'}", "2:7: `keep`: `timestamp` must be an interval"),
        ("keep: {device: []}", "2:7: `keep`: `device` must name one value or more"),
        ("candidates: uni", "2:13: `candidates`: candidates are `full`, `uni` or `pop` with a number"),
        ("split: {type: files, files: [a, a]}", "2:8: `split`: `files` must name different files"),
    ],
)
def test_mistakes_are_pointed_at(text, said, tmp_path):
    with pytest.raises(InputError) as caught:
        loaded(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path}/toy.yaml:{said}")


def test_what_was_there_before_is_all_that_an_old_definition_has(make_plan):
    plan = make_plan()
    dataset = defined(plan)["dataset"]
    assert set(dataset["split"]) == {"type", "ratio", "order", "group_by"}
    assert not {"drop", "core", "protocol", "candidates", "time_unit", "max_item_interactions"} & set(dataset)


@pytest.mark.parametrize(
    "changes",
    [
        {"split": SplitConfig(type="k_fold", order="random", folds=3, seed=4)},
        {"split": SplitConfig(type="global_date", valid_from="1998-01-01", test_from="1998-02-01")},
        {"candidates": "uni100", "drop": {"device": ("bot",)}, "remove_duplicates": "counted"},
    ],
)
def test_a_new_protocol_comes_back_from_the_definition(changes, make_plan):
    import dataclasses

    plan = make_plan()
    other = dataclasses.replace(plan, dataset=plan.dataset.model_copy(update=changes))
    record = other.record()
    assert record.content_hash != plan.record().content_hash
    for name, value in changes.items():
        assert getattr(record.dataset, name) == value


def test_dates_are_numbers_in_the_unit_of_the_data():
    dataset = DatasetConfig(name="toy", keep={"timestamp": "[1998-01-01,inf)"}, time_unit="ms")
    assert data_settings(dataset, None)["val_interval"] == {"timestamp": "[883612800000,inf)"}


def test_sampled_candidates_are_warned_of_in_words():
    said = protocol_text(DatasetConfig(name="toy", candidates="pop100"))
    assert said.startswith("leave-one-out by time, ranked among 100 items drawn by popularity (pop100; ")
    assert "Krichene and Rendle 2020" in said
