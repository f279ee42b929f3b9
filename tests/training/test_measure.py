"""Other metrics of what is trained already, by groups too: parts of the whole, and what lists say of it."""

from __future__ import annotations

import math

import pytest

from helpers.fast import CPU, write_interactions
from helpers.untrained import untrained
from recsweep.common.errors import InputError
from recsweep.training import training
from recsweep.training.measure import measured

ASKED = ("ndcg@3", "recall@20", "hit@3")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = write_interactions(tmp_path_factory.mktemp("measure") / "toy", users=40, items=50, longest=20)
    lines = ["user_id:token\tage:float\tsex:token"]
    lines += [f"u{user}\t{20 + user if user else ''}\t{'fm'[user % 2]}" for user in range(40)]
    (folder / "toy.user").write_text("\n".join(lines) + "\n")
    return folder


def test_new_cutoffs_are_what_a_test_with_them_would_say(folder):
    trained = untrained(folder, "BPR")
    (found,) = measured(trained, CPU, ASKED)
    settings = {**trained.settings, "metrics": ["NDCG", "Recall", "Hit"], "topk": [3, 20]}
    expected = training.evaluate(settings, trained.split, CPU, dict(trained.state))
    assert found.metrics == {name: expected[name] for name in ASKED}


@pytest.mark.parametrize("model", ["BPR", "GRU4Rec"])
@pytest.mark.parametrize("by", ["activity", "user:sex", "user:age"])
def test_groups_of_users_make_up_the_whole(folder, model, by):
    trained = untrained(folder, model)
    (whole,) = measured(trained, CPU, ASKED)
    groups = measured(trained, CPU, ASKED, by)
    cases = sum(group.cases for group in groups)
    assert cases == 40
    for name in ASKED:
        mean = sum(group.cases * group.metrics[name] for group in groups) / cases
        assert mean == pytest.approx(whole.metrics[name])
    if by == "user:age":
        assert [group.group for group in groups][-1] == "not given"
        assert groups[-1].cases == 1
    if by == "user:sex":
        assert [group.group for group in groups] == ["f", "m"]


def test_groups_of_items_make_up_the_whole_where_one_item_is_right(folder):
    trained = untrained(folder, "GRU4Rec")
    (whole,) = measured(trained, CPU, ASKED)
    groups = measured(trained, CPU, ASKED, "popularity")
    assert len(groups) > 1
    cases = sum(group.cases for group in groups)
    mean = sum(group.cases * group.metrics["ndcg@3"] for group in groups) / cases
    assert mean == pytest.approx(whole.metrics["ndcg@3"])


def test_in_a_group_of_items_only_its_own_are_right(folder):
    trained = untrained(folder, "BPR")
    groups = {one.group: one for one in measured(trained, CPU, ["recall@49"], "item:class")}
    assert {*groups} == {f"c{n}" for n in range(8)}
    assert all(0 < one.metrics["recall@49"] <= 1 for one in groups.values())
    names = trained.split.whole.field2id_token["item_id"]
    rows = trained.split.parts[2].inter_feat.interaction
    users = {
        user
        for user, item in zip(rows["user_id"].tolist(), rows["item_id"].tolist(), strict=True)
        if int(names[item][1:]) % 5 == 2
    }
    assert groups["c2"].cases == len(users)


def test_without_names_the_metrics_are_those_of_the_model(folder):
    found = measured(untrained(folder, "FPMC"), CPU, [], "activity")
    assert {*found[0].metrics} == {"ndcg@7", "recall@7"}
    assert not any(math.isnan(value) for value in found[0].metrics.values())


@pytest.mark.parametrize(
    ("metrics", "by", "said"),
    [
        (["ndgc@10"], None, "--metrics: there is no metric ndgc@10; did you mean `ndcg`"),
        (["ndcg"], None, "--metrics: ndcg has no cut-off from 1 to the 50 items"),
        (["ndcg@51"], None, "--metrics: ndcg@51 has no cut-off"),
        (
            ["itemcoverage@5"],
            "activity",
            "--metrics: of groups and ensembles there is no metric itemcoverage@5",
        ),
        ([], "age", "--by: there are no groups by age; give activity"),
        ([], "user:aged", "toy.user has no column aged; did you mean `age`"),
    ],
)
def test_what_cannot_be_measured_is_refused(folder, metrics, by, said):
    with pytest.raises(InputError) as error:
        measured(untrained(folder, "BPR"), CPU, metrics, by)
    assert said in str(error.value)
