"""The summary: nothing unfinished is finished, every mark is explained, what the data are is said."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re

import pytest
import yaml

from helpers.found import OBJECTIVES, fill_store, not_begun, result_of, some_trials, trial, workspace
from recsweep.alarms.edges import at_edges
from recsweep.api.seen import results_of
from recsweep.common.escape import for_markdown
from recsweep.report.alarms import raised
from recsweep.report.results import with_missing
from recsweep.report.study_files import best_result, study_results, write_study
from recsweep.report.summary import write_summary
from recsweep.report.summary_latex import summary_latex
from recsweep.report.summary_markdown import summary_markdown
from recsweep.report.summary_notes import data_lines, footnotes
from recsweep.report.tables import best_tests, ranked, summary_csv, trials_text
from recsweep.study import Store


@pytest.fixture
def space(tmp_path):
    """A sweep of NARM and Other on `toy`, 18 trials each."""
    own = workspace(tmp_path, budget=18)
    (own.root / "models" / "Other.yaml").write_text(own.model.read_text())
    return own


@pytest.fixture
def plans(space):
    return space.plans(models="NARM Other")


def full(plan, best=0.3, test=None, trials=18):
    """A result with so many complete trials."""
    found = result_of(plan, [trial(slot, best - 0.01 * slot) for slot in range(trials)])
    return dataclasses.replace(found, test=test)


def csv_rows(results):
    return list(csv.DictReader(io.StringIO(summary_csv(results))))


def table_row(text, name):
    return next(line for line in text.splitlines() if re.search(rf"[|& {{*]{name}\b.*(\||\\\\)$", line))


def test_a_study_whose_first_trials_failed_and_were_given_back_has_begun(plans):
    failed = dataclasses.replace(not_begun(plans[0]), given_back=2, failure="no room\nfor it")
    assert failed.state == "not finished"
    notes = footnotes([failed, not_begun(plans[1])])
    paused = "toy/NARM: paused, as its first 2 trials failed, to be run again; the last one: no room for it."
    assert paused in notes
    begun = dataclasses.replace(full(plans[0], trials=3), given_back=1, failure="no room")
    assert "toy/NARM: 1 trial failed, to be run again; the last one: no room." in footnotes([begun])
    assert not any("in the store yet" in note for note in notes)


def test_why_a_study_paused_is_read_from_its_store(plans):
    fill_store(plans[0], [trial(slot, state="failed") for slot in range(3)])
    store = Store(plans[0].storage_url)
    study = store.find_study(plans[0].name)
    study.return_slots(study.results())
    store.close()
    (result,) = results_of(plans)
    assert (result.state, trials_text(result)) == ("not finished", "0 of 18, not finished")
    (note,) = (note for note in footnotes([result]) if "paused" in note)
    assert note.startswith("toy/NARM: paused, as its first 3 trials failed, to be run again; the last one: ")
    assert for_markdown(note) in summary_markdown([result])


def test_an_unfinished_study_is_said_to_be_unfinished_in_every_view(plans):
    results = ranked([full(plans[0], trials=13), not_begun(plans[1])])
    markdown, latex = summary_markdown(results), summary_latex(results)
    notes = (
        "Every model has the same budget: 18 trials.",
        "Not finished: toy/NARM 13 of 18 trials.",
        "Not begun: toy/Other.",
    )
    for text in (markdown, latex):
        assert "13 of 18, not finished" in table_row(text, "NARM")
        assert "not begun" in table_row(text, "Other")
        assert "had the same budget" not in text
        assert all(note in text for note in notes)
    assert [(row["state"], row["trials"], row["budget"]) for row in csv_rows(results)] == [
        ("not finished", "13", "18"),
        ("not begun", "0", "18"),
    ]
    for content in (best_result(results[0]), study_results(results[0])):
        assert (content["state"], content["budget"]["counted"], content["budget"]["trials"]) == (
            "not finished",
            13,
            18,
        )


def test_the_files_of_an_unfinished_study_say_so(plans):
    for result, said in ((full(plans[0], trials=13), True), (full(plans[0]), False)):
        write_study(result)
        header = plans[0].outputs.best_config(*plans[0].folder_names).read_text().splitlines()[0]
        assert ("toy/NARM in 13 of 18 trials, not finished" in header) is said


def test_a_finished_study_is_said_to_be_finished(plans):
    results = [full(plans[0]), full(plans[1])]
    assert trials_text(results[0]) == "18"
    assert best_result(results[0])["state"] == "finished"
    assert footnotes(results) == ["Every model had the same budget: 18 trials."]
    assert {row["state"] for row in csv_rows(results)} == {"finished"}


def test_a_model_is_finished_when_all_its_phases_are(plans):
    done, more = full(plans[0]), full(plans[0], trials=4)
    assert trials_text(dataclasses.replace(done, before=(done,))) == "36"
    assert trials_text(dataclasses.replace(not_begun(plans[0]), before=(done,))) == "18 of 36, not finished"
    assert trials_text(dataclasses.replace(done, before=(more,))) == "22 of 36, not finished"


def test_a_study_whose_first_trial_runs_is_begun(plans):
    running = dataclasses.replace(not_begun(plans[0]), runs=True)
    assert trials_text(running) == "0 of 18, not finished"


def test_studies_that_are_not_in_the_store_stand_in_the_summary(space, plans):
    fill_store(plans[0], [trial(slot, 0.1) for slot in range(5)])
    results = with_missing(results_of(plans), [plan.record() for plan in plans], plans[0].sweep.outputs)
    write_summary(plans[0].outputs, results)
    text = plans[0].outputs.summary("md").read_text()
    assert "| 5 of 18, not finished |" in table_row(text, "NARM")
    assert table_row(text, "Other").startswith("| toy | Other | - | - | not begun |")


def test_bold_is_best_on_validation_and_a_dagger_best_on_test(plans):
    results = ranked(
        [
            full(plans[0], 0.4, {"ndcg@10": 0.2, "recall@10": 0.5}),
            full(plans[1], 0.3, {"ndcg@10": 0.25, "recall@10": 0.5}),
        ]
    )
    text = summary_markdown(results)
    assert table_row(text, "NARM").startswith("| toy | **NARM** | 0.4000 | 0.2000 |")
    assert table_row(text, "Other").startswith("| toy | Other | 0.3000 | 0.2500† |")
    assert "Bold: best on validation, by which configurations are chosen." in text
    assert "†: best on test, by which nothing was chosen." in text
    assert text.count("0.5000†") == 2, "of equal ones all are best"
    latex = summary_latex(results)
    assert r"\textbf{NARM} & 0.4000 & 0.2000 &" in latex
    assert r"Other & 0.3000 & \underline{0.2500} &" in latex
    assert "Underlined: best on test, by which nothing was chosen." in latex


def test_where_less_is_better_the_least_is_the_best_on_test(plans):
    def rare(plan, value):
        evaluation = plan.sweep.evaluation.model_copy(update={"metrics": ("AveragePopularity",)})
        sweep = plan.sweep.model_copy(update={"evaluation": evaluation})
        return full(dataclasses.replace(plan, sweep=sweep), test={"averagepopularity@10": value})

    results = [rare(plans[0], 9.0), rare(plans[1], 4.0)]
    assert best_tests(results) == {("toy", "AveragePopularity@10"): "4.0000"}


def test_every_metric_that_is_reported_stands_in_the_tables(plans):
    test = {"ndcg@10": 0.11, "recall@10": 0.12, "mrr@10": 0.13, "hit@10": 0.14}
    results = [full(plans[0], test=test)]
    markdown, latex = summary_markdown(results), summary_latex(results)
    for name, value in {"NDCG": 0.11, "Recall": 0.12, "MRR": 0.13, "Hit": 0.14}.items():
        for text in (markdown, latex):
            assert f"{name}@10" in text
            assert f"{value:.4f}" in text
    (row,) = csv_rows(results)
    assert {f"test_{name}": row[f"test_{name}"] for name in test} == {
        f"test_{k}": str(v) for k, v in test.items()
    }
    assert row["validation_ndcg@10"] == "0.3"


def test_numbers_in_the_csv_are_whole(plans):
    third = 1 / 3
    results = [dataclasses.replace(full(plans[0], best=third), test={"ndcg@10": third / 3})]
    (row,) = csv_rows(results)
    assert (float(row["validation"]), float(row["test_ndcg@10"])) == (third, third / 3)
    assert json.loads(row["parameters"]) == results[0].parameters


def test_users_items_split_and_filters_are_said_for_each_data_set(plans):
    assert data_lines([full(plans[0])]) == [
        "toy: - users, - items; protocol: leave-one-out by time, full ranking."
    ]
    dataset = plans[0].dataset.model_copy(update={"keep": {"rating": "[4,inf)"}, "min_user_interactions": 5})
    plan = dataclasses.replace(plans[0], dataset=dataset)
    counted = plan.record().counted({"users": 1234, "items": 56})
    result = dataclasses.replace(full(plan), record=counted)
    line = "toy: 1,234 users, 56 items; protocol: leave-one-out by time, "
    filters = "rating in [4,inf), users with 5 or more interactions, full ranking of 56 items."
    assert data_lines([result, full(plan)]) == [line + filters]
    (row,) = csv_rows([result])
    assert (row["users"], row["items"], row["split"]) == ("1234", "56", "leave-one-out by time")
    assert line in summary_latex([result])
    assert line in summary_markdown([result])


def test_what_prepare_wrote_is_taken_where_the_store_says_nothing(plans):
    plan = plans[0]
    path = plan.outputs.prepared("toy")
    path.parent.mkdir(parents=True)
    split = {"users": 4, "items": 6, "models": ["NARM"]}
    path.write_text(yaml.safe_dump({"files": dict(plan.files.hashes), "splits": {"k": split}}))
    assert data_lines([full(plan)])[0].startswith("toy: 4 users, 6 items;")
    path.write_text(yaml.safe_dump({"files": {"toy.inter": "other"}, "splits": {"k": split}}))
    assert data_lines([full(plan)])[0].startswith("toy: - users, - items;")


def test_no_parameter_at_the_edge_of_its_range_goes_unsaid(plans):
    at = {"learning_rate": 0.01, "n_layers": 3, "hidden_size": 64, "loss_type": "BPR"}
    result = result_of(plans[0], [trial(0, 0.3, params=at)])
    assert [alarm.text for alarm in at_edges(result)] == [
        "learning_rate 0.01 is at the edge of its range, 0.0001 to 0.01",
        "n_layers 3 is at the edge of its range, 1 to 3",
    ]
    alarms = raised([result])
    inside = {**at, "learning_rate": 0.0098, "n_layers": 2}
    assert len(list(at_edges(result_of(plans[0], [trial(0, 0.3, params=inside)])))) == 1, "almost there"
    inside["learning_rate"] = 0.001
    assert list(at_edges(result_of(plans[0], [trial(0, 0.3, params=inside)]))) == []
    for text in (summary_markdown([result], alarms), summary_latex([result], alarms)):
        assert re.search(r"learning.{0,2}rate 0\.01 is at the edge of its range, 0\.0001 to 0\.01", text)


def test_the_table_for_a_paper_stands_alone(plans):
    results = ranked([full(plans[0], test={"ndcg@10": 0.2}), full(plans[1])])
    text = summary_latex(results)
    begun = re.findall(r"\\begin\{(\w+)\}", text)
    assert begun == ["table", "tabular"]
    assert re.findall(r"\\end\{(\w+)\}", text) == begun[::-1]
    assert r"\label{tab:toy-sweep}" in text
    macros = {"begin", "end", "centering", "caption", "label", "toprule", "midrule", "bottomrule", "cmidrule"}
    macros |= {"multicolumn", "textbf", "underline", "usepackage"}
    assert set(re.findall(r"\\([A-Za-z]+)", text)) <= macros, "booktabs and LaTeX itself are enough"
    columns = len(re.search(r"\\begin\{tabular\}\{(\w+)\}", text)[1])
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")]
    assert [line.count("&") for line in body.splitlines() if "&" in line] == [columns - 1] * 2
    assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")


def test_a_front_of_an_unfinished_study_says_so(tmp_path):
    plan = workspace(tmp_path, budget=6, objectives=OBJECTIVES).plan()
    trials = [trial(slot, 0.1, values=(0.1 + slot, 5.0)) for slot in range(4)]
    write_study(result_of(plan, trials))
    text = plan.outputs.pareto("md", *plan.folder_names).read_text()
    assert "1 of 4 complete trials of toy/NARM in 4 of 6 trials, not finished: no other one betters" in text


def test_some_trials_of_a_limit_are_not_called_unfinished(plans):
    from recsweep.search.stopping import NO_IMPROVEMENT, Ended

    ended = Ended(NO_IMPROVEMENT, "no_improvement_after=3: no better trial since trial 7")
    result = dataclasses.replace(result_of(plans[0], some_trials()), ended=ended)
    assert trials_text(result) == "12 of 18"
    assert "toy/NARM was ended by no_improvement_after=3: no better trial since trial 7." in footnotes(
        [result]
    )
