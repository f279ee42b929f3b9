"""Several objectives: nobody on the front is bettered, and everybody else is."""

from __future__ import annotations

import csv
import io
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.found import OBJECTIVES, trial, workspace
from recsweep.report.pareto import measured, pareto_csv, pareto_front, pareto_markdown
from recsweep.study.description import Objective

SCORE, SECONDS = Objective("NDCG@10", True), Objective("training_seconds", False)


def with_values(*values: tuple[float, ...]):
    return [trial(slot, own[0], values=own) for slot, own in enumerate(values)]


def slots(trials) -> list[int]:
    return [t.slot for t in trials]


def test_more_of_one_and_less_of_the_other_is_better():
    trials = with_values((0.3, 9.0), (0.2, 5.0), (0.2, 6.0), (0.1, 1.0), (0.1, 1.5))
    assert slots(pareto_front(trials, [SCORE, SECONDS])) == [0, 1, 3]


def test_equal_trials_all_stay_the_lower_slot_first():
    trials = with_values((0.2, 5.0), (0.2, 5.0), (0.1, 6.0))
    assert slots(pareto_front(trials, [SCORE, SECONDS])) == [0, 1]


def test_one_objective_has_the_best_trial_alone():
    assert slots(pareto_front(with_values((0.1,), (0.3,), (0.2,)), [SCORE])) == [1]
    assert slots(pareto_front(with_values((0.1,), (0.3,), (0.2,)), [SECONDS])) == [0]


def test_only_complete_trials_with_all_values_take_part():
    trials = [
        *with_values((0.1, 5.0)),
        trial(1, 0.9, "pruned"),
        trial(2, None, "failed"),
        trial(3, 0.9, values=(0.9,)),
        trial(4, 0.9, values=(0.9, math.inf)),
        trial(5, math.nan, values=(math.nan, 1.0)),
    ]
    assert slots(measured(trials, [SCORE, SECONDS])) == [0]
    assert slots(pareto_front(trials, [SCORE, SECONDS])) == [0]
    assert pareto_front([], [SCORE, SECONDS]) == []


@given(
    st.integers(1, 3).flatmap(
        lambda count: st.tuples(
            st.lists(st.booleans(), min_size=count, max_size=count),
            st.lists(st.tuples(*[st.integers(0, 5).map(float)] * count), max_size=30),
        )
    )
)
def test_the_front_is_what_a_look_at_every_pair_finds(case):
    directions, values = case
    objectives = [Objective(f"o{i}", maximize) for i, maximize in enumerate(directions)]

    def betters(one, other):
        pairs = [(a, b) if more else (-a, -b) for a, b, more in zip(one, other, directions, strict=True)]
        return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)

    expected = {i for i, own in enumerate(values) if not any(betters(other, own) for other in values)}
    found = slots(pareto_front(with_values(*values), objectives))
    assert set(found) == expected
    assert len(found) == len(expected)


@pytest.fixture
def plan(tmp_path):
    return workspace(tmp_path, objectives=OBJECTIVES).plan()


def test_the_table_has_the_trials_of_the_front_best_first(plan):
    trials = with_values((0.1, 2.0), (0.3, 9.0), (0.05, 3.0))
    rows = list(csv.DictReader(io.StringIO(pareto_csv(plan, trials))))
    assert [(row["trial"], row["NDCG@10"], row["training_seconds"]) for row in rows] == [
        ("1", "0.3", "9.0"),
        ("0", "0.1", "2.0"),
    ]
    assert rows[0]["dropout_probs"] == "[0.25, 0.5]"
    assert rows[1]["dropout_probs"] == "", "a parameter that the trial does not have"
    assert rows[0]["seconds"] == "2.0"


def test_the_table_for_people_says_which_way_is_better(plan):
    trials = with_values((0.1, 2.0), (0.3, 9.0), (0.05, 3.0))
    text = pareto_markdown(
        plan, [*trials[:2], trial(2, 0.05, values=(0.05, 3.0), params={"loss_type": "a|b"})]
    )
    head, line, *rest = text.splitlines()
    assert head.startswith("| trial | NDCG@10 (more is better) | training_seconds (less is better) |")
    assert rest[0].startswith("| 1 | 0.3 | 9 | 0.0008 |")
    assert "2 of 3 complete trials of toy/NARM" in rest[-1]
    assert len({row.count("|") for row in (head, line, *rest[:2])}) == 1
    assert "a\\|b" in pareto_markdown(plan, [trial(0, 0.1, values=(0.1, 1.0), params={"loss_type": "a|b"})])
