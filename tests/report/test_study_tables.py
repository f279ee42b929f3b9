"""The numbers behind the pictures of a study: the same trials, in rows."""

from __future__ import annotations

import re

import pytest

from helpers.found import NASTY, OBJECTIVES, result_of, some_trials, trial, workspace
from recsweep.report import page_parts
from recsweep.report.chart import Chart, Table
from recsweep.report.study_charts import charts
from recsweep.report.study_tables import MOST_EPOCHS, MOST_ROWS, curve_table, limited


@pytest.fixture
def plan(tmp_path):
    return workspace(tmp_path).plan()


def tables(result) -> dict[str, Table]:
    return {kind.name: chart.table for kind, chart in charts(result)}


def test_every_picture_has_its_numbers_and_each_row_all_columns(plan):
    found = tables(result_of(plan, some_trials()))
    assert {name: len(table.rows) for name, table in found.items()} == {
        "history": 12,
        "importance": 5,
        "parallel": 9,
        "slices": 11,
        "curves": 11,
        "timeline": 12,
    }
    for table in found.values():
        assert {len(row) for row in table.rows} == {len(table.columns)}


def test_the_tables_say_what_the_pictures_show(plan):
    found = tables(result_of(plan, some_trials()))
    assert found["history"].columns == ("trial", "state", "NDCG@10", "seconds", "reason")
    assert found["history"].rows[7] == ("7", "complete", "0.2", "2", "")
    assert found["history"].rows[5][:3] == ("5", "failed", "-")
    assert found["slices"].columns == ("trial", "state", "NDCG@10", *plan.space)
    assert found["slices"].rows[0][-2:] == ("-", "BPR"), "trial 0 has no dropout_probs"
    assert found["curves"].columns == ("trial", "state", "epoch 1", "epoch 2")
    assert found["timeline"].rows[0] == ("0", "complete", "host-a 100", "2026-03-01 12:00:00", "45.0")
    shares = [float(row[1].rstrip("%")) for row in found["importance"].rows]
    assert shares == sorted(shares, reverse=True)


def test_the_front_comes_first_in_its_table(tmp_path):
    plan = workspace(tmp_path, objectives=OBJECTIVES).plan()
    values = [(0.10, 5.0), (0.12, 20.0), (0.20, 10.0)]
    found = tables(result_of(plan, [trial(i, own[0], values=own) for i, own in enumerate(values)]))
    assert [row[:4] for row in found["pareto"].rows] == [
        ("2", "yes", "0.2", "10"),
        ("0", "yes", "0.1", "5"),
        ("1", "no", "0.12", "20"),
    ]


def test_a_picture_that_is_not_there_has_no_table(plan):
    assert all(chart.table == Table() for _, chart in charts(result_of(plan, [])) if chart.missing)


def test_a_long_table_is_cut_and_says_so():
    table = limited(("trial",), [(str(i),) for i in range(1234)])
    assert len(table.rows) == MOST_ROWS
    assert table.remark == f"The first {MOST_ROWS} of 1234 rows; all are in trials.csv."


def test_of_many_epochs_some_are_shown_and_the_last_one_is(plan):
    long = trial(0, 0.2, curve={epoch: epoch / 1000 for epoch in range(1, 201)})
    table = curve_table(result_of(plan, [long]), Chart("curves"))
    assert len(table.columns) - 2 <= MOST_EPOCHS + 1
    assert table.columns[-1] == "epoch 200"
    assert re.match(r"\d+ of 200 epochs are shown\.", table.remark)


def test_a_table_is_text_and_its_numbers_stand_to_the_right():
    table = Table(("name", "score"), ((NASTY, "0.1"), ("b", "-")))
    shown = page_parts.table(table, "a label", leads=[(1, 0)], targets={"b": "#b"})
    assert "<img" not in shown
    assert shown.count('<td class="number">') == 2
    assert '<th scope="row" class="leads"><a href="#b">b</a></th>' in shown
    assert 'role="region" tabindex="0" aria-label="a label"' in shown
