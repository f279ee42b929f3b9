"""The page of a sweep: models compared fairly, one look a model, no test metric before a study is closed."""

from __future__ import annotations

import dataclasses
import re

import pytest

from helpers.contrast import contrast
from helpers.found import NASTY, not_begun, result_of, some_trials, trial, workspace
from recsweep.report.chart import Bars, Points
from recsweep.report.comparison import LOOKS, MOST_MODELS, Entry, Look, compared, matrix, ranks, steps
from recsweep.report.figures import figure
from recsweep.report.results import StudyResult
from recsweep.report.sweep_charts import distributions, over_seconds, over_trials
from recsweep.report.sweep_page import main_table, metric_table, overview, sweep_page
from recsweep.report.tables import summed
from recsweep.study import Result

TEST = {"ndcg@10": 0.7777, "recall@10": 0.8888}
MODELS = ("NARM", "Slow", "Waiting")


@pytest.fixture
def plans(tmp_path):
    """Three models on two data sets."""
    space = workspace(tmp_path)
    for name in MODELS[1:]:
        (space.root / "models" / f"{name}.yaml").write_text(space.model.read_text())
    (space.root / "datasets" / "other.yaml").write_text(space.dataset.read_text())
    return space.plans(models=" ".join(MODELS), datasets="toy other")


def slow_trials(count=12, seconds=100.0):
    trials = [trial(slot, 0.1 + slot / 1000) for slot in range(count)]
    return [
        dataclasses.replace(one, result=dataclasses.replace(one.result, seconds=seconds)) for one in trials
    ]


@pytest.fixture
def results(plans):
    """On toy NARM is finished and tested, Slow is half done; on other Slow alone has begun."""
    trials_of = {"toy/NARM": some_trials(), "toy/Slow": slow_trials(6), "other/Slow": slow_trials()}
    found = [
        result_of(plan, trials_of[plan.label]) if plan.label in trials_of else not_begun(plan)
        for plan in plans
    ]
    return [dataclasses.replace(one, test=TEST) if one.trials else one for one in found]


@pytest.fixture
def by_dataset(results):
    return compared(summed(results))


def page_of(by_dataset) -> str:
    return sweep_page("Sweep toy-sweep", by_dataset, {}, [], "plotly.min.js")


def lines(chart) -> dict[str, Points]:
    return {mark.name: mark for mark in chart.panels[0].marks if isinstance(mark, Points) and mark.name}


# -- pictures -------------------------------------------------------------------------------------


def test_the_best_so_far_stands_over_trials_that_were_spent(by_dataset):
    narm, slow = (lines(over_trials(by_dataset["toy"]))[name] for name in ("NARM", "Slow"))
    assert narm.x == (1, 2, 2, 5, 5, 8, 8, 12), "failed and pruned trials are spent too"
    assert narm.y == (0.10, 0.10, 0.12, 0.12, 0.15, 0.15, 0.20, 0.20)
    assert narm.hover[-1] == "NARM\ntrial 7: NDCG@10 0.2"
    assert slow.x[-1] == 6, "a line ends where its model's trials do"


def test_the_best_so_far_stands_over_the_time_that_was_spent(by_dataset):
    chart = over_seconds(by_dataset["toy"])
    narm, slow = (lines(chart)[name] for name in ("NARM", "Slow"))
    assert (narm.x[-1], slow.x[-1]) == pytest.approx((24 / 60, 600 / 60))
    axis = chart.panels[0].x
    assert (axis.label, axis.log) == ("minutes of training", True), "one is 25 times as slow"
    assert [word for _, word in axis.ticks] == ["0.05", "0.1", "0.2", "0.5", "1", "2", "5", "10"]


def test_where_less_is_better_the_line_falls(plans):
    plan = plans[0]
    entry = Entry(
        result_of(plan, [trial(i, score) for i, score in enumerate((5.0, 7.0, 3.0))]), Look("", "solid")
    )
    falling = type("Falling", (Entry,), {"maximize": False})(entry.result, entry.look)
    assert [(step.trials, step.score) for step in steps(falling)] == [(1, 5.0), (3, 3.0)]
    assert [(step.trials, step.score) for step in steps(entry)] == [(1, 5.0), (2, 7.0)]


def test_scores_stand_in_rows_the_best_model_on_top(by_dataset):
    chart = distributions(by_dataset["toy"])
    assert [word for _, word in chart.panels[0].y.ticks] == ["Slow", "NARM"]
    boxes = [mark for mark in chart.panels[0].marks if isinstance(mark, Bars)]
    assert [box.group for box in boxes] == ["Slow", "NARM"]
    assert chart.table.rows[0] == ("NARM", "9", "2", "1", "0.1", "0.12", "0.14", "0.16", "0.2")
    assert chart.table.rows[-1][:5] == ("Waiting", "0", "0", "0", "-")


def test_one_score_is_a_mark_without_a_box(plans):
    chart = distributions(compared([result_of(plans[0], [trial(0, 0.1)])])["toy"])
    (mark,) = chart.panels[0].marks
    assert isinstance(mark, Points)
    assert mark.x == (0.1,)


def test_a_model_looks_the_same_everywhere_and_whatever_others_reach(results, by_dataset):
    def looks(found) -> dict[str, set[Look]]:
        own: dict[str, set[Look]] = {}
        for entries in found.values():
            for entry in entries:
                own.setdefault(entry.model, set()).add(entry.look)
        return own

    assert all(len(own) == 1 for own in looks(by_dataset).values())
    better = [
        dataclasses.replace(one, winner=trial(0, 0.9)) if one.record.label == "toy/Slow" else one
        for one in results
    ]
    found = compared(summed(better))
    assert [entry.model for entry in found["toy"]] == ["Slow", "NARM", "Waiting"]
    assert looks(found) == looks(by_dataset)


def many(plan, count) -> list[StudyResult]:
    plans = [dataclasses.replace(plan, model_name=f"M{i:02}") for i in range(count)]
    return [result_of(one, [trial(0, 0.1 + i / 1000), trial(1, 0.1)]) for i, one in enumerate(plans)]


def test_looks_can_be_told_apart_and_seen_on_white_and_on_black(plans):
    looks = [entry.look for entry in compared(many(plans[0], LOOKS))["toy"]]
    assert len(set(looks)) == LOOKS
    for colour in {look.colour for look in looks}:
        assert min(contrast(colour, ground) for ground in ("#ffffff", "#16181c")) >= 3, colour


def test_of_many_models_the_best_are_drawn_and_the_caption_says_so(plans):
    entries = compared(many(plans[0], MOST_MODELS + 3))["toy"]
    chart = over_trials(entries)
    assert len(lines(chart)) == MOST_MODELS
    assert f"M{MOST_MODELS + 2}" in lines(chart)
    assert chart.remark == f"The best {MOST_MODELS} of {MOST_MODELS + 3} models are drawn."
    assert len(main_table(entries).rows) == MOST_MODELS + 3


def test_a_comparison_has_the_page_s_legend_not_one_of_its_own(by_dataset):
    layout = figure(over_trials(by_dataset["toy"])).to_plotly_json()
    assert layout["layout"]["showlegend"] is False
    assert {trace["legendgroup"] for trace in layout["data"]} == {"NARM", "Slow"}


def test_what_is_missing_is_said_in_a_sentence(plans):
    failed = compared([result_of(plans[0], [trial(0, None, "failed")])])["toy"]
    for draw in (over_trials, over_seconds, distributions):
        assert draw(failed).missing == "No trial has come to a score yet."
    timeless = compared([result_of(plans[0], [trial(0, 0.1, result=Result())])])["toy"]
    assert over_seconds(timeless).missing == "No trial has told its training time."
    assert not over_trials(timeless).missing


# -- tables ---------------------------------------------------------------------------------------


def test_the_table_has_validation_test_and_cost(by_dataset):
    table = main_table(by_dataset["toy"])
    assert table.columns[:4] == ("model", "place", "validation NDCG@10", "test NDCG@10")
    assert table.rows == (
        ("NARM", "1", "0.2000", "0.7777", "12", "1", "2", "24 s", "7"),
        ("Slow", "2", "0.1050", "-", "6 of 12, not finished", "0", "0", "10 min 00 s", "5"),
        ("Waiting", "-", "-", "-", "not begun", "-", "-", "-", "-"),
    )


def test_the_page_has_no_test_metric_of_an_open_study(plans):
    open_ = dataclasses.replace(result_of(plans[0], some_trials()[:6]), test=TEST)
    found = compared(summed([open_, *map(not_begun, plans[1:])]))
    text = page_of(found)
    assert "0.7777" not in text
    assert "0.8888" not in text
    assert metric_table(found["toy"]).rows[0][2] == "-"
    closed = dataclasses.replace(open_, trials=some_trials())
    assert "0.7777" in page_of(compared(summed([closed, *map(not_begun, plans[1:])])))


def test_models_stand_against_data_sets_with_their_places(by_dataset):
    table, leads = matrix(by_dataset)
    assert table.columns == ("model", "toy", "other", "mean place")
    assert table.rows == (
        ("Slow", "0.1050 (2)*", "0.1110 (1)", "1.50"),
        ("NARM", "0.2000 (1)", "-", "1.00 on 1"),
        ("Waiting", "-", "-", "-"),
    )
    assert leads == [(0, 2), (1, 1)]


def test_equal_scores_have_equal_places(plans):
    results = many(plans[0], 3)
    tied = [dataclasses.replace(one, winner=trial(0, 0.2 if i else 0.1)) for i, one in enumerate(results)]
    assert ranks(compared(tied)["toy"]) == {"M01": 1, "M02": 1, "M00": 3}


# -- the page -------------------------------------------------------------------------------------


def test_the_page_says_what_is_unequal_not_finished_and_not_begun(by_dataset):
    text = page_of(by_dataset)
    assert "6 studies: 2 finished, 1 not finished, 3 not begun. 30 trials, 30 min 24 s of training." in text
    assert "Not finished: toy/Slow 6 of 12 trials." in text
    assert "Not begun: toy/Waiting." in text
    assert "Not begun: other/NARM, other/Waiting." in text


def test_the_page_names_parameters_at_the_edge_of_their_range(by_dataset):
    text = page_of(by_dataset)
    assert "Alarms: what makes these results doubtful, and what to do about it." in text
    assert "toy/NARM: hidden_size 128 is at the edge of its range, 32 to 128; widen the range" in text


def test_one_study_has_a_table_and_nothing_to_compare(plans):
    found = compared([result_of(plans[0], some_trials())])
    text = page_of(found)
    assert "All data sets" not in text
    assert '<h2 id="dataset-toy">toy: 1 model</h2>' in text
    assert overview(found["toy"]).startswith("1 study: 1 finished. 12 trials, ")


def test_names_and_messages_stay_text(results):
    odd = [
        dataclasses.replace(
            one, record=dataclasses.replace(one.record, dataset_name=NASTY, model_name=f"{NASTY}{i}")
        )
        for i, one in enumerate(results)
    ]
    text = page_of(compared(summed(odd)))
    assert "<img src=x" not in text
    assert "&lt;img src=x" in text


def test_the_page_and_its_pictures_are_files_that_need_no_network(results, monkeypatch):
    monkeypatch.setattr(
        "recsweep.report.plots.write_picture", lambda chart, title, path: path.write_text(title)
    )
    from recsweep.report.plots import write_sweep  # with matplotlib

    page = write_sweep(results[0].outputs, results, [])
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"https?:|//[a-z]", text.replace("</", "<"))
    pictures = sorted(path.relative_to(page.parent).as_posix() for path in page.parent.rglob("*.png"))
    assert pictures == [
        f"{dataset}/compared-{name}.png"
        for dataset in ("other", "toy")
        for name in ("scores", "seconds", "trials")
    ]
    for source in re.findall(r'src="([^"]*)"', text):
        assert (page.parent / source).is_file()
    assert text.count("<summary>the numbers</summary>") == 6
    assert text.count('aria-pressed="true" value="Slow"') == 2
    assert text.count('type="application/json"') == 6
