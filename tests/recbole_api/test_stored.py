"""A split as arrays and plain JSON: nothing of any family's data is lost, and nothing in a file is run."""

from __future__ import annotations

import copy
import json
import pickle

import numpy as np
import pytest
import torch

from helpers.catalogue import make_split, settings_for, write_dataset
from recsweep.recbole_api import data, stored
from recsweep.recbole_api.compat import recbole
from recsweep.recbole_api.config import TypedConfig
from recsweep.recbole_api.data import make_loaders
from recsweep.recbole_api.model import clean_globals, seed_everything
from recsweep.recbole_api.stored import dump_split, load_split

CPU = torch.device("cpu")
# One for each class of data set and form of its loaders.
MODELS = ["BPR", "MultiVAE", "FM", "SASRec", "FPMC", "GRU4RecF", "DIEN", "CFKG", "KGCN", "GRU4RecKG", "KSR"]


@pytest.fixture(scope="module")
def rich(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("stored"))


def config_of(model, rich, **changes) -> TypedConfig:
    return TypedConfig({**settings_for(model, rich), **changes}, CPU, rich.parent)


@pytest.fixture(scope="module")
def splits(rich):
    """Splits by model, each made once."""
    made: dict[str, object] = {}

    def split_of(model):
        if model not in made:
            made[model] = make_split(config_of(model, rich))
        return made[model]

    return split_of


def through_a_file(split):
    content, arrays = dump_split(split)
    return load_split(json.loads(json.dumps(content, allow_nan=False)), [array.clone() for array in arrays])


def same(first, second) -> bool:
    """Whether two values hold the same, of the same types."""
    if isinstance(first, torch.Tensor):
        return first.dtype == second.dtype and torch.equal(first, second)
    if isinstance(first, np.ndarray):
        # A text array may be wider than its longest word.
        alike = first.dtype == second.dtype or first.dtype.kind == second.dtype.kind == "U"
        return alike and np.array_equal(first, second)
    if isinstance(first, dict):
        return list(first) == list(second) and all(same(first[name], second[name]) for name in first)
    if hasattr(first, "interaction"):
        return len(first) == len(second) and same(first.interaction, second.interaction)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    return type(first) is type(second) and first == second


def batches(model, rich, split) -> list[object]:
    config = config_of(model, rich)
    found = []
    with clean_globals():
        for loader in make_loaders(config, split):
            seed_everything(3)
            if hasattr(loader, "set_mode"):
                loader.set_mode(recbole("utils").KGDataLoaderState.RSKG)
            found.append(list(loader))
    return [list(part) if isinstance(part, tuple) else part for batch in found for part in batch]


@pytest.mark.parametrize("model", MODELS)
def test_a_split_of_any_family_comes_back_as_it_was(model, rich, splits):
    split, again = splits(model), through_a_file(splits(model))
    assert again.statistics == split.statistics
    for before, after in zip((split.whole, *split.parts), (again.whole, *again.parts), strict=True):
        assert type(after) is type(before)
        assert vars(before).keys() - vars(after).keys() == {"dataset_path"}, "a trial has its own"
        for name in vars(after).keys() - {"config", "logger", "seq_sampler"}:
            assert same(vars(before)[name], vars(after)[name]), name
    expected, found = batches(model, rich, split), batches(model, rich, again)
    assert len(expected) >= 3
    assert same(expected, found)


def test_all_classes_of_data_sets_are_known():
    there = {name for name in vars(recbole("data.dataset")) if name.endswith("Dataset")}
    assert set(stored.CLASSES) == there


def test_a_data_set_for_decision_trees_comes_back_with_its_tables(rich, monkeypatch):
    made = recbole("data.dataset").DecisionTreeDataset
    monkeypatch.setattr(data, "_dataset_class", lambda config: made)
    changes = {"convert_token_to_onehot": True, "token_num_threshold": 100}
    split = make_split(config_of("FM", rich, **changes))
    again = through_a_file(split)
    assert split.whole.hash_map
    assert same(split.whole.hash_map, again.whole.hash_map)
    assert again.whole.convert_col_list == split.whole.convert_col_list


def test_what_the_parts_share_is_one_object_still(splits):
    again = through_a_file(splits("CFKG"))
    tokens = again.whole.field2token_id
    assert all(part.field2token_id is tokens for part in again.parts)
    assert all(part.kg_feat is again.whole.kg_feat for part in again.parts)


class Odd:
    """A kind of value that no file holds."""


@pytest.mark.parametrize("value", [Odd(), {"a": Odd()}, [Odd()], {1, 2}, b"bytes", np.array([Odd()]), Odd])
def test_a_value_of_an_unknown_kind_is_named_when_it_is_written(splits, value):
    split = copy.copy(splits("BPR"))
    whole = copy.copy(split.whole)
    whole.oddity = value
    with pytest.raises(TypeError, match=r"`oddity` holds a.* teach `stored` to write it"):
        dump_split(data.Split(whole, split.parts))


def test_a_class_that_is_not_known_is_not_written(splits):
    split = splits("BPR")
    whole = copy.copy(split.whole)
    whole.__class__ = type("OtherDataset", (type(whole),), {})
    with pytest.raises(TypeError, match="OtherDataset is no data set of RecBole's"):
        dump_split(data.Split(whole, split.parts))


@pytest.mark.parametrize(
    "value", [None, True, 3, 2.5, float("inf"), "text", "\ud800", [1, (2, "x")], {"a": {"b": 1.5}}, {2: "x"}]
)
def test_plain_values_come_back(splits, value):
    split = splits("BPR")
    whole = copy.copy(split.whole)
    whole.own_value = value
    again = through_a_file(data.Split(whole, split.parts)).whole.own_value
    assert repr(again) == repr(value)


# -- what is no split -----------------------------------------------------------------------------


def harmful(*path, value):
    """A change of the JSON of a split: `value` at a place."""

    def change(content):
        at = content
        for name in path[:-1]:
            at = at[name]
        at[path[-1]] = value

    return change


CRAFTED = {
    "a class by its path": harmful("class", value="pandas.core.computation.expr.Expr"),
    "a class of a library": harmful("class", value="Expr"),
    "a list as a class": harmful("class", value=["Dataset"]),
    "two parts": harmful("parts", value=[{}, {}]),
    "an empty data set": harmful("shared", value={}),
    "attributes that are none": harmful("shared", value=["uid_field"]),
    "a method": harmful("shared", "build", value="os.system"),
    "a property": harmful("shared", "user_num", value=3),
    "the class of an object": harmful("shared", "__class__", value="Odd"),
    "its config": harmful("shared", "config", value={"dict": {}}),
    "a kind that is none": harmful("shared", "x", value={"eval": "__import__('os')"}),
    "a kind of Python's": harmful("shared", "x", value={"__reduce__": ["os.system", "x"]}),
    "two kinds": harmful("shared", "x", value={"list": [], "dict": {}}),
    "a bare list": harmful("shared", "x", value=[1]),
    "no such array": harmful("shared", "x", value={"tensor": 10_000}),
    "an array before the first": harmful("shared", "x", value={"tensor": -1}),
    "an array called true": harmful("shared", "x", value={"array": True}),
    "a type of features that is none": harmful("shared", "x", value={"FeatureType": "code"}),
    "words that are none": harmful("shared", "x", value={"text": [1]}),
    "a number that is none": harmful("shared", "x", value={"float": "2 + 2"}),
    "a plain mapping that is none": harmful("shared", "x", value={"plain": {"a": {"list": []}}}),
    "a list as a key": harmful("shared", "x", value={"pairs": [[{"list": []}, 1]]}),
    "an empty table": harmful("whole", "inter_feat", value={"table": {}}),
    "a table that is none": harmful("whole", "inter_feat", value={"list": []}),
    "columns of two lengths": harmful("whole", "inter_feat", value={"table": {"user_id": 0, "item_id": 1}}),
    "fewer items than ids": harmful("shared", "field2id_token", "dict", "item_id", "text", value=["[PAD]"]),
}


@pytest.mark.parametrize("change", CRAFTED.values(), ids=CRAFTED.keys())
def test_crafted_json_makes_nothing(splits, change):
    content, arrays = dump_split(splits("SASRec"))
    content, arrays = copy.deepcopy(content), [torch.zeros(3), torch.zeros(2), *arrays[2:]]
    change(content)
    with pytest.raises((ValueError, TypeError, AttributeError, LookupError)):
        load_split(content, arrays)


@pytest.mark.parametrize("wrong", [-1, 10**6], ids=["below", "beyond"])
@pytest.mark.parametrize("field", ["item_id", "item_id_list", "item_length", "class"])
def test_ids_that_are_none_never_reach_a_kernel(splits, wrong, field):
    content, arrays = dump_split(splits("GRU4RecF"))
    train = content["parts"][0]["inter_feat"]["table"]
    column = {**content["shared"]["item_feat"]["table"], **train}[field]
    number = column["windows"][0] if isinstance(column, dict) else column
    arrays[number] = arrays[number].clone()
    arrays[number].view(-1)[-1] = wrong
    with pytest.raises(ValueError, match=f"`{field}` must be from|a window reaches beyond its array"):
        load_split(content, arrays)


@pytest.mark.parametrize("wrong", [-1, 10**6], ids=["below", "beyond"])
@pytest.mark.parametrize("part", [1, 2], ids=["begins", "lengths"])
def test_windows_beyond_their_array_are_refused(splits, part, wrong):
    content, arrays = dump_split(splits("SASRec"))
    number = content["parts"][0]["inter_feat"]["table"]["item_id_list"]["windows"][part]
    arrays[number] = arrays[number].clone()
    arrays[number][0] = wrong
    with pytest.raises(ValueError, match="a window reaches beyond its array"):
        load_split(content, arrays)


def test_what_windows_share_is_written_once(splits):
    content, arrays = dump_split(splits("SASRec"))
    train = content["parts"][0]["inter_feat"]["table"]
    found = [column["windows"] for column in train.values() if isinstance(column, dict)]
    assert len(found) > 1
    assert {(begins, lengths) for _, begins, lengths, _ in found} == {(found[0][1], train["item_length"])}
    assert sum(array.numel() for array in arrays) < 20 * len(splits("SASRec").whole)


def test_a_pickle_is_no_description(tmp_path):
    class Harm:
        def __reduce__(self):
            return (open, (str(tmp_path / "harmed"), "w"))

    for given in (pickle.dumps(Harm()), pickle.dumps(Harm()).decode("latin-1"), None, [], 3):
        with pytest.raises(ValueError, match="a split has"):
            load_split(given, [])
    assert not (tmp_path / "harmed").exists()
