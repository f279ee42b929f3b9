"""Several models as one ranking: standardised scores, reciprocal ranks, and the greedy choice."""

from __future__ import annotations

import math

import pytest
import torch

from helpers.fast import CPU, write_interactions
from helpers.untrained import untrained
from recsweep.training import training
from recsweep.training.cases import TEST, VALID, Cases
from recsweep.training.fast.table import Pairs
from recsweep.training.fusion import RANKS, SCORES, choose, measure, standard
from recsweep.training.scoring import scoring

NONE = -math.inf


def pairs(lists: list[list[int]]) -> Pairs:
    return Pairs.of([torch.tensor(some) for some in lists], CPU)


def test_scores_are_standardised_for_each_case_over_what_is_there():
    found = standard(torch.tensor([[NONE, 1.0, 3.0, NONE], [NONE, 7.0, 7.0, 7.0]]), SCORES)
    assert found[0].tolist() == [NONE, -1.0, 1.0, NONE]
    assert found[1].tolist() == [NONE, 0.0, 0.0, 0.0]


def test_ranks_are_reciprocals_and_ties_go_by_number():
    found = standard(torch.tensor([[NONE, 5.0, 9.0, 5.0]]), RANKS)
    assert found[0].tolist() == pytest.approx([NONE, 1 / 62, 1 / 61, 1 / 63])


def test_what_one_model_leaves_out_is_in_no_list():
    fused = standard(torch.tensor([[NONE, 9.0, 1.0]]), SCORES) + standard(
        torch.tensor([[NONE, NONE, 1.0]]), SCORES
    )
    assert measure(fused, pairs([[1]]), "hit", 2).tolist() == [0.0]
    assert measure(fused, pairs([[2]]), "hit", 1).tolist() == [1.0]


def test_two_models_that_are_right_about_others_are_better_together():
    right = pairs([[1], [1], [2], [2]])
    one = torch.tensor([[NONE, 9.0, 0.0, 1.0]] * 2 + [[NONE, 2.0, 1.9, 0.0]] * 2)
    other = torch.tensor([[NONE, 1.9, 2.0, 0.0]] * 2 + [[NONE, 0.0, 9.0, 1.0]] * 2)
    bad = torch.tensor([[NONE, 0.0, 0.0, 9.0]] * 4)
    chosen = choose([standard(s, SCORES) for s in (bad, one, other)], right, ("hit", 1), SCORES)
    assert chosen.weights == [0, 1, 1]
    assert chosen.path == [0.5, 1.0]
    assert chosen.score == 1.0


def test_one_model_is_left_alone_where_others_only_harm():
    right = pairs([[1], [2]])
    good = torch.tensor([[NONE, 9.0, 0.0, 1.0], [NONE, 0.0, 9.0, 1.0]])
    chosen = choose([standard(good, RANKS), standard(-good.clamp(min=-9), RANKS)], right, ("ndcg", 1), RANKS)
    assert (chosen.weights, chosen.score, len(chosen.path)) == ([1, 0], 1.0, 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_interactions(tmp_path_factory.mktemp("fusion") / "toy", users=40, items=50, longest=20)


@pytest.mark.parametrize("model", ["BPR", "FPMC", "GRU4Rec"])
def test_a_model_alone_has_recboles_own_test(folder, model):
    trained = untrained(folder, model)
    expected = training.evaluate(trained.settings, trained.split, CPU, dict(trained.state))
    with scoring(trained, CPU) as scorer:
        cases = Cases.of(scorer, TEST)
        parts = [cases.scores(some) for some in torch.split(torch.arange(len(cases.users)), 11)]
    found = measure(standard(torch.cat(parts), SCORES), cases.right, "recall", 7)
    assert float(found.mean()) == pytest.approx(expected["recall@7"], abs=1e-6)


def test_cases_are_the_same_for_models_of_one_split_alone(folder):
    with (
        scoring(untrained(folder, "FPMC"), CPU) as one,
        scoring(untrained(folder, "GRU4Rec"), CPU) as two,
        scoring(untrained(folder, "BPR"), CPU) as other,
    ):
        assert Cases.of(one, VALID).is_like(Cases.of(two, VALID))
        assert not Cases.of(one, VALID).is_like(Cases.of(one, TEST))
        assert not Cases.of(one, TEST).is_like(Cases.of(other, TEST))
