"""The table of results: best, second, ties as they are shown, and what the comparison says of them."""

from __future__ import annotations

import dataclasses

import pytest

from helpers.found import some_trials
from helpers.reported import OTHER, facts_of_three, over_seeds, results_of_three
from recsweep.document.facts import gathered
from recsweep.document.outcomes import Cell, block_of, meaning


def cells(facts, metric: int = 0) -> dict[str, Cell]:
    (block,) = facts.blocks
    return {line.model: line.cells[metric] for line in block.lines}


def test_best_and_second_are_those_of_each_metric(tmp_path):
    facts = facts_of_three(tmp_path)
    ndcg, recall = cells(facts), cells(facts, 1)
    assert (ndcg["NARM"].best, ndcg["Slow"].second) == (True, True)
    assert (recall["Slow"].best, recall["NARM"].second) == (True, True)
    assert (ndcg["Waiting"].text, ndcg["Waiting"].best) == ("-", False)


def test_equal_digits_are_equally_good(tmp_path):
    mrr = cells(facts_of_three(tmp_path), 2)
    assert [mrr[name].best for name in ("NARM", "Slow")] == [True, True]
    assert not any(cell.second for cell in mrr.values())


def test_one_model_alone_is_no_best(tmp_path):
    (first, *_) = results_of_three(tmp_path)
    assert not cells(gathered("s", [first], "s.yaml"))["NARM"].best


@pytest.mark.parametrize(("apart", "marks"), [(True, ("*", "")), (False, ("", "≈"))])
def test_marks_say_what_the_comparison_says(tmp_path, apart, marks):
    facts = dataclasses.replace(facts_of_three(tmp_path), measured=over_seeds(apart=apart))
    found = cells(facts)
    assert (found["NARM"].mark, found["Slow"].mark) == marks
    assert found["NARM"].value.half == pytest.approx(0.01)
    (block,) = facts.blocks
    assert block.seeds == "5"
    assert "better than the second beyond luck" in meaning([block])


def test_an_open_study_shows_nothing_of_its_test(tmp_path):
    results = results_of_three(tmp_path)
    half = [one for one in some_trials() if one.slot < 6]
    results[1] = dataclasses.replace(results[1], trials=half, test=OTHER)
    facts = gathered("s", results, "s.yaml")
    block = block_of(facts.by_dataset["toy"], facts.measured)
    assert {line.model: line.cells[0].text for line in block.lines}["Slow"] == "-"
