"""Splits that RecBole has not, as it is handed them; and held against its own, where it has one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from helpers.splits import held_out, make_tiny, prepared
from recsweep.datasets.own_parts import of_rows, sizes
from recsweep.datasets.prepare import open_tables
from recsweep.recbole_api.config import TypedConfig
from recsweep.recbole_api.settings import SPLIT_SEED

WAYS = {
    "leave-2-out": {"type": "leave_k_out", "k": 2},
    "date": {"type": "global_date", "valid_from": 1003, "test_from": 1005},
    "cold users": {"type": "cold_users", "ratio": [0.5, 0.25, 0.25]},
}
DRAWN = {
    "folds": {"type": "k-fold", "folds": 3, "seed": 5},
    "cold items": {"type": "cold-items", "ratio": [0.5, 0.25, 0.25]},
}


def pairs(part) -> list[tuple[str, str]]:
    """Users and items of a part, as the files have them."""
    users = part.id2token(part.uid_field, part.inter_feat[part.uid_field])
    items = part.id2token(part.iid_field, part.inter_feat[part.iid_field])
    return sorted(zip(users, items, strict=True))


def tables_of(plan, tmp_path: Path):
    import torch

    settings = plan.settings(plan.defaults, 1)
    return settings, open_tables(TypedConfig(settings, torch.device("cpu"), tmp_path))


@pytest.mark.parametrize("name", [*WAYS, *DRAWN])
def test_a_general_model_gets_the_rows_of_each_part(name, tmp_path):
    plan = make_tiny(tmp_path, model="BPR", split={**WAYS, **DRAWN}[name], min_user_interactions=6)
    settings, tables = tables_of(plan, tmp_path)
    parts = of_rows(tables, settings.get(SPLIT_SEED, 0))
    inter = tables.interactions
    users, items = inter.texts["user_id"], inter.texts["item_id"]
    split = prepared(plan).split
    for number, part in enumerate(split.parts):
        rows = np.flatnonzero(parts == number)
        wanted = [(users.values[users.codes[row]], items.values[items.codes[row]]) for row in rows]
        assert pairs(part) == sorted(wanted)
    assert tuple(map(len, split.parts)) == sizes(tables, parts, sequential=False)
    assert sum(map(len, split.parts)) == 42  # u1 has five, and is filtered out


@pytest.mark.parametrize("name", WAYS)
def test_a_sequential_model_sees_nothing_but_what_came_before(name, tmp_path):
    plan = make_tiny(tmp_path, split=WAYS[name])
    split = prepared(plan).split
    history = {}
    for line in (tmp_path / "data" / "tiny" / "tiny.inter").read_text().splitlines()[1:]:
        user, item, time = line.split("\t")
        history.setdefault(user, []).append((float(time), item))
    seen = 0
    for part in split.parts:
        feature = part.inter_feat
        names = split.whole.field2id_token
        for row in range(len(feature)):
            user = names[part.uid_field][int(feature[part.uid_field][row])]
            before = [item for _, item in sorted(history[user])]
            length = int(feature[part.item_list_length_field][row])
            past = names[part.iid_field][feature[part.item_id_list_field][row][:length].numpy()]
            target = names[part.iid_field][int(feature[part.iid_field][row])]
            at = before.index(target)
            assert [*past] == before[at - length : at]
            seen += 1
    assert seen == 39
    assert not hasattr(split.whole, "_handed_rows")


def test_leaving_k_out_with_one_is_the_split_that_recbole_makes(tmp_path):
    own = prepared(make_tiny(tmp_path / "own", split={"type": "leave_k_out"})).split
    recboles = prepared(make_tiny(tmp_path / "recboles")).split
    assert held_out(own) == held_out(recboles)
    assert [pairs(part) for part in own.parts] == [pairs(part) for part in recboles.parts]


def test_files_that_are_split_are_divided_as_recbole_divides_its_benchmarks(tmp_path):
    plan = make_tiny(tmp_path, model="BPR")
    folder = tmp_path / "data" / "tiny"
    header, *rows = (folder / "tiny.inter").read_text().splitlines()
    given = {"train": rows[:30], "valid": rows[30:38], "test": rows[38:]}
    for part, own in given.items():
        (folder / f"tiny.{part}.inter").write_text("\n".join([header, *own]) + "\n")
    plan = make_tiny(tmp_path, model="BPR", split="files")
    split = prepared(plan).split
    for part, own in zip(split.parts, given.values(), strict=True):
        assert pairs(part) == sorted((user, item) for user, item, _ in (row.split("\t") for row in own))
    assert [pairs(part) for part in split.parts] == [pairs(part) for part in _recboles(plan, given)]


def _recboles(plan, given):
    """The same by RecBole's own code, from the files."""
    import torch

    from recsweep.recbole_api.compat import recbole

    settings = plan.settings(plan.defaults, 1)
    for name in ("own_split", "eval_args"):
        del settings[name]
    settings |= {"benchmark_filename": list(given), "time_order": "recbole"}
    config = TypedConfig(settings, torch.device("cpu"), plan.outputs.cache)
    return recbole("data.dataset").Dataset(config).build()
