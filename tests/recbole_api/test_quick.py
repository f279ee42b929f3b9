"""What is done on whole columns is what RecBole does row by row: the same ids, orders and parts."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from helpers.catalogue import make_split, settings_for, write_dataset
from recsweep.recbole_api import catalog, data, windows
from recsweep.recbole_api.config import TypedConfig
from recsweep.recbole_api.stored import dump_split
from recsweep.recbole_api.windows import Windows

SPLITS = {
    "leave one out": {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user"},
    "valid only": {"split": {"LS": "valid_only"}, "order": "TO", "group_by": "user"},
    "test only": {"split": {"LS": "test_only"}, "order": "RO", "group_by": "user"},
    "ratio of each user": {"split": {"RS": [8, 1, 1]}, "order": "TO", "group_by": "user"},
    "random of each user": {"split": {"RS": [0.5, 0.2, 0.3]}, "order": "RO", "group_by": "user"},
    "ratio": {"split": {"RS": [0.8, 0.1, 0.1]}, "order": "TO", "group_by": "none"},
    "random": {"split": {"RS": [0.7, 0.3, 0.0]}, "order": "RO", "group_by": None},
}
FILTERS = {
    "none": {},
    "five-core": {"user_inter_num_interval": "[5,inf)", "item_inter_num_interval": "[5,inf)"},
    "few and many": {"user_inter_num_interval": "[2,24];(26,90)", "item_inter_num_interval": "(1,30]"},
    "items alone": {"item_inter_num_interval": "[7,inf)"},
    "values": {"val_interval": {"rating": "[2,5]"}, "user_inter_num_interval": "[3,inf)"},
    "users by name": {"val_interval": {"user_id": [f"u{n}" for n in range(25)]}},
    "first of pairs": {"rm_dup_inter": "first", "user_inter_num_interval": "[4,inf)"},
}


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    """Users and items with one interaction to many, some twice; users and items without any, or unlisted."""
    folder = write_dataset(tmp_path_factory.mktemp("quick"))
    generator = np.random.default_rng(8)
    pairs = np.minimum(generator.geometric(0.08, (400, 2)), [45, 33])
    rest = generator.integers(1, [6, 900], (400, 2))
    rows = [f"u{u}\ti{i}\t{r}\t{t}\t1" for (u, i), (r, t) in zip(pairs, rest, strict=True)]
    (folder / "rich.inter").write_text(
        "user_id:token\titem_id:token\trating:float\ttimestamp:float\tlabel:float\n" + "\n".join(rows) + "\n"
    )
    return folder


def dumped(model, folder, **changes):
    settings = {**settings_for(model, folder), "normalize_all": True, **changes}
    split = make_split(TypedConfig(settings, torch.device("cpu"), folder.parent))
    for part in (split.whole, *split.parts):
        columns = part.inter_feat.interaction
        columns.update({name: column.dense() for name, column in columns.items() if type(column) is Windows})
    return dump_split(split)


def by_recbole(model, folder, **changes):
    """The same with RecBole's own ways, on texts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "NumberedFiles", lambda files, config, cls: files)
        patch.setattr(data, "quick", lambda cls, files: cls)
        return dumped(model, folder, **changes)


def same(first, second) -> bool:
    (content, arrays), (other, others) = first, second
    assert content == other
    assert [array.dtype for array in arrays] == [array.dtype for array in others]
    return all(map(torch.equal, arrays, others))


@pytest.mark.parametrize("split", SPLITS.values(), ids=SPLITS)
def test_a_split_is_the_one_that_recbole_makes(uneven, split):
    how = {"eval_args": {**split, "mode": "full"}, "filter_inter_by_user_or_item": False}
    assert same(dumped("BPR", uneven, **how), by_recbole("BPR", uneven, **how))


@pytest.mark.parametrize("chosen", FILTERS.values(), ids=FILTERS)
@pytest.mark.parametrize("features", [True, False])
def test_filters_leave_what_recboles_leave(uneven, chosen, features):
    columns = {"inter": ["user_id", "item_id", "rating", "timestamp"]}
    how = {**chosen, "filter_inter_by_user_or_item": True} | ({} if features else {"load_col": columns})
    assert same(dumped("BPR", uneven, **how), by_recbole("BPR", uneven, **how))


@pytest.mark.parametrize("model", ["FM", "SASRec", "DIEN", "CFKG", "KSR"])
def test_every_family_is_handed_the_same(tmp_path, model):
    folder = write_dataset(tmp_path)
    assert same(dumped(model, folder), by_recbole(model, folder))


@pytest.mark.parametrize("longest", [1, 3, 50])
def test_samples_are_those_that_recbole_fills_row_by_row(uneven, monkeypatch, longest):
    monkeypatch.setattr(windows, "_ROWS_AT_ONCE", 100)
    columns = {"inter": ["user_id", "item_id", "rating", "timestamp"]}
    how = {"MAX_ITEM_LIST_LENGTH": longest, "load_col": columns}
    assert same(dumped("SASRec", uneven, **how), by_recbole("SASRec", uneven, **how))


def test_ml_100k_is_split_as_recbole_splits_it():
    folder = catalog.recbole_folder() / "dataset_example" / "ml-100k"
    how = {
        "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
        "user_inter_num_interval": "[5,inf)",
        "item_inter_num_interval": "[5,inf)",
    }
    assert same(dumped("BPR", folder, **how), by_recbole("BPR", folder, **how))
