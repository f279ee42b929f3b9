"""What is counted is what RecBole leaves, for any filter and any split; a difference stops the run."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from helpers.splits import make_tiny, prepared, settings_with
from recsweep.common.errors import InputError, SplitMismatch
from recsweep.datasets import count
from recsweep.datasets.prepare import prepare
from recsweep.datasets.tables import Reading, Tables
from recsweep.recbole_api import frames

ODD_IDS = ["NA", "null", '"u1', 'u2"', "u1", "u1 ", "n/a", "None", "\u200bu1", "#N/A", "ü", "'"]
ROWS = st.lists(
    st.tuples(st.sampled_from(ODD_IDS), st.sampled_from(ODD_IDS), st.integers(0, 2**62)),
    min_size=1,
    max_size=60,
)


@settings(max_examples=25)
@given(
    ROWS,
    st.sampled_from(["BPR", "FPMC"]),
    st.fixed_dictionaries(
        {
            "min_user_interactions": st.integers(0, 3),
            "min_item_interactions": st.integers(0, 3),
            "split": st.sampled_from(
                [
                    {"type": "leave_one_out"},
                    {"type": "ratio"},
                    {"type": "ratio", "ratio": [0.5, 0.2, 0.3], "group_by": "none"},
                ]
            ),
        },
        optional={
            "max_user_interactions": st.integers(3, 9),
            "keep": st.just({"timestamp": "[1000,4e18)"}),
        },
    ),
)
def test_recbole_leaves_what_was_counted(tmp_path_factory, rows, model, dataset):
    """`prepare` raises where rows, users, items or the parts differ from RecBole's."""
    plan = make_tiny(tmp_path_factory.mktemp("tiny"), rows, model, **dataset)
    tables = Tables(plan.files.folder, Reading.of(plan.settings(plan.defaults, 1).get))
    counts = count.count(tables)
    assume(counts.longest > 1)  # a sequential model has samples
    split = prepared(plan).split
    assert (split.whole.user_num - 1, split.whole.item_num - 1) == (counts.users, counts.items)
    assert counts.histories.sum() == counts.interactions


@pytest.mark.parametrize("model", ["BPR", "FPMC"])
def test_rows_that_recbole_lost_stop_the_run(tmp_path, monkeypatch, model):
    load = frames._load
    monkeypatch.setattr(frames, "_load", lambda *args: load(*args).drop(index=3))
    with pytest.raises(SplitMismatch, match=r"interactions: 47 were counted, RecBole has 46"):
        prepared(make_tiny(tmp_path, model=model))


def test_a_file_that_changed_since_it_was_checked_is_not_prepared(tmp_path):
    plan = make_tiny(tmp_path)
    path = plan.files.folder / "tiny.inter"
    path.write_text(path.read_text() + "u9\ti1\t5\n")
    with pytest.raises(InputError, match=r"tiny.inter: has changed since this run began"):
        prepare(settings_with(plan), plan.files, plan.outputs.cache)


@pytest.mark.parametrize(("duplicates", "left"), [("first", 2), ("last", 2), (False, 1)])
def test_equal_pairs_are_counted_as_recbole_removes_them(tmp_path, duplicates, left):
    rows = [("u1", "i1", 3), ("u1", "i1", 1), ("u1", "i2", 2)]
    plan = make_tiny(tmp_path, rows, "BPR", split={"type": "ratio", "group_by": "none"})
    split = prepare(settings_with(plan, rm_dup_inter=duplicates), plan.files, plan.outputs.cache).split
    assert sum(map(len, split.parts)) == left


@pytest.mark.parametrize(
    ("interval", "inside"), [("[2,3]", "23"), ("(2,3]", "3"), ("[0,1];[3,inf)", "0134"), (None, "01234")]
)
def test_intervals(interval, inside):
    values = np.arange(5)
    assert "".join(map(str, values[count.inside(interval, values)])) == inside
