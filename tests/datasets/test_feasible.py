"""A split that cannot work is refused before the first trial, with the numbers and the key to change."""

from __future__ import annotations

import pytest

from helpers.workspace import make_workspace
from recsweep.common.errors import InputError
from recsweep.planning.plan import check_data

BPR = "model: BPR\ndefaults: {embedding_size: 4}\nspace:\n  embedding_size: {type: choice, values: [4, 8]}\n"
NARM = "defaults: {n_layers: 1}\nspace:\n  n_layers: {type: choice, values: [1, 2]}\n"
TOPK = "sweep: toy-sweep\nmodels: [NARM]\ndatasets: [toy]\nevaluation: {topk: [1], metric: NDCG@1}\n"


def rows(*lengths: int) -> list[str]:
    """So many interactions of each user, all with the first items."""
    return [f"u{u}\ti{i}\t{i}" for u, length in enumerate(lengths) for i in range(length)]


def refused(workspace, message):
    with pytest.raises(InputError) as caught:
        check_data(workspace.load())
    assert str(caught.value) == message.replace("{root}", str(workspace.root))


@pytest.mark.parametrize(
    ("model", "dataset", "data", "message"),
    [
        (
            BPR,
            "path: toy\n",
            rows(2, 2, 1),
            "1:1: no user has the 3 interactions that `leave_one_out` needs for BPR, the most is 2; "
            "there would be nothing to validate on; use longer histories, or `type: ratio`",
        ),
        (
            NARM,
            "path: toy\nsplit: {type: leave_one_out}\nmax_user_interactions: 3\n",
            rows(3, 3, 9),
            "2:15: no user has the 4 interactions that `leave_one_out` needs for NARM, the most is 3; there "
            "would be nothing to validate on; relax `max_user_interactions`, or use longer histories, or "
            "`type: ratio`",
        ),
        (
            BPR,
            "path: toy\nsplit:\n  type: ratio\n  ratio: [0.8, 0.1, 0.1]\n",
            rows(1, 1, 1, 2),
            "4:10: the split leaves 4 samples for training, 0 for validation and 1 for test of BPR; there "
            "are 5 interactions of 4 users, the most of one is 2; change `ratio` or `group_by`, or use "
            "more data",
        ),
        (
            NARM,
            "path: toy\n",
            [f"u{n}\ti1\t{n}" for n in range(9)],
            "1:7: 9 interactions of 9 users are left, all with one item; there is nothing to rank; "
            "use data with two items or more",
        ),
        (
            NARM,
            "path: toy\nmin_user_interactions: 3\n",
            rows(9, 2),
            "2:24: 9 interactions are left, all of one user; metrics are means over users; "
            "relax `min_user_interactions`, or use data with two users or more",
        ),
        (
            BPR,
            "path: toy\n",
            rows(5, 5, 3),
            "1:1: 2 of 3 users have interactions with all 5 items; BPR can draw no negative for them; "
            "set `max_user_interactions: 4`, which drops them, or use more items",
        ),
    ],
)
def test_a_split_that_cannot_work_is_refused(tmp_path, model, dataset, data, message):
    workspace = make_workspace(tmp_path.resolve(), TOPK, model, dataset, data)
    refused(workspace, f"{{root}}/datasets/toy.yaml:{message}")


def test_the_way_out_of_users_with_all_items_works(tmp_path):
    dataset = "path: toy\nmax_user_interactions: 4\n"
    workspace = make_workspace(tmp_path, TOPK, BPR, dataset, rows(5, 5, 3, 4))
    with pytest.raises(InputError, match="1 of 2 users have interactions with all 4 items"):
        check_data(workspace.load())
    workspace.write_rows(*rows(5, 5, 3, 4), "u7\ti4\t1")
    assert check_data(workspace.load()) == {"toy": 8}


def test_users_with_all_items_are_said_where_a_sequential_model_takes_them(tmp_path):
    said: list[str] = []
    assert check_data(make_workspace(tmp_path, TOPK, NARM, rows=rows(5, 5, 4)).load(), said.append) == {
        "toy": 14
    }
    assert said == ["toy: 2 of 3 users have interactions with all 5 items"]


@pytest.mark.parametrize(
    ("evaluation", "message"),
    [
        (
            "{topk: [1, 17], metric: NDCG@1}",
            "4:20: the cut-off 17 is above the 15 items of toy; use 15 or less, or",
        ),
        (
            "{topk: [1], metric: NDCG@19}",
            "4:33: the cut-off 19 is above the 15 items of toy; use 15 or less, or",
        ),
    ],
)
def test_a_cut_off_above_the_number_of_items_is_refused(tmp_path, evaluation, message):
    sweep = f"sweep: toy-sweep\nmodels: [NARM]\ndatasets: [toy]\nevaluation: {evaluation}\n"
    refused(make_workspace(tmp_path.resolve(), sweep), f"{{root}}/sweep.yaml:{message} more items")


def test_items_without_interactions_count_since_they_are_ranked(tmp_path):
    columns = "columns: {inter: [user_id, item_id, timestamp], item: [item_id]}\n"
    workspace = make_workspace(tmp_path, TOPK, BPR, f"path: toy\n{columns}", rows(5, 5, 3))
    items = workspace.inter.with_suffix(".item")
    items.write_text("item_id:token\n" + "".join(f"i{n}\n" for n in range(6)))
    assert check_data(workspace.load()) == {"toy": 13}
