"""What random search would expect: the mean over all draws, and a picture that says it."""

from __future__ import annotations

import itertools
import statistics

import pytest

from helpers.found import result_of, some_trials, trial, workspace
from recsweep.document.convergence import convergence, expected_best
from recsweep.report.chart import Points
from recsweep.report.comparison import Entry, Look

SCORES = [0.3, 0.1, 0.4, 0.1, 0.5, 0.9, 0.2]


@pytest.mark.parametrize("maximize", [True, False])
def test_the_expectation_is_the_mean_over_every_draw(maximize):
    best = max if maximize else min
    counts = list(range(1, len(SCORES) + 1))
    by_hand = [statistics.mean(map(best, itertools.combinations(SCORES, count))) for count in counts]
    assert expected_best(SCORES, counts, maximize=maximize) == pytest.approx(by_hand)


def lines(entry) -> dict[str, Points]:
    return {mark.name: mark for mark in convergence(entry).panels[0].marks}


def test_best_so_far_and_expectation_end_at_the_same_score(tmp_path):
    entry = Entry(result_of(workspace(tmp_path).plan(), some_trials()), Look("#000000", "solid"))
    drawn = lines(entry)
    assert (drawn["best so far"].x[-1], drawn["best so far"].y[-1]) == (12, 0.20)
    assert drawn["expected of random search"].x[-1] == 12, "pruned and failed trials are spent too"
    assert drawn["expected of random search"].y[-1] == pytest.approx(0.20)
    assert list(drawn["failed"].x) == [6]


def test_of_many_trials_the_expectation_has_few_places(tmp_path):
    plan = workspace(tmp_path, budget=500).plan()
    entry = Entry(result_of(plan, [trial(i, 0.1 + i / 1000) for i in range(500)]), Look("#000000", "solid"))
    expected = lines(entry)["expected of random search"]
    assert len(expected.x) <= 61
    assert (expected.x[0], expected.x[-1]) == (1, 500)


def test_a_study_without_a_score_says_so(tmp_path):
    entry = Entry(result_of(workspace(tmp_path).plan(), [trial(0, None, "failed")]), Look("", "solid"))
    assert convergence(entry).missing == "No trial has come to a score yet."
