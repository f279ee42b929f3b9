"""The files that a person reads: complete, sorted, fair, and the same each time they are rebuilt."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math

import pytest
import yaml

from helpers import phased
from helpers.found import NASTY, OBJECTIVES, fill_store, result_in, result_of, some_trials, trial, workspace
from recsweep.alarms.budgets import unequal_budgets
from recsweep.api.seen import results_of
from recsweep.planning.definition import study_settings
from recsweep.report.results import read_result
from recsweep.report.study_files import best_result, study_results, trials_csv, write_study
from recsweep.report.summary import write_summary
from recsweep.report.summary_latex import summary_latex
from recsweep.report.summary_markdown import summary_markdown
from recsweep.report.summary_notes import footnotes
from recsweep.report.tables import parameters_text, ranked, summary_csv, summed
from recsweep.report.text import reason
from recsweep.search.starts import begin, open_study
from recsweep.study import Failure, Reason, Result, Store
from recsweep.study.description import Objective

ME = {
    "device": "cpu",
    "threads": 2,
    "versions": {"torch": "2.13.0"},
    "commit": "abc123",
    "hardware": {"cores": 2},
}


@pytest.fixture
def filled(make_plan, tmp_path):
    """A function that makes a study whose slots came to the given scores (None: failed)."""
    stores = []

    def fill(model="FPMC", scores=(0.1, 0.3, 0.3), test=None, **overrides):
        from recsweep.common.owner import this_process

        plan = make_plan(model, max_evals=len(scores), **overrides)
        store = Store(f"sqlite:///{tmp_path / 'store.db'}")
        stores.append(store)
        study = store.open_study(plan.name, plan.definition, maximize=plan.maximize)
        study.ensure_slots(plan.budget)
        for slot, score in enumerate(scores):
            claim = study.claim(plan.budget, this_process())
            assert claim.slot == slot
            study.start(claim, plan.defaults, plan.model.space, plan.trial_seed(slot), ME)
            if score is None:
                study.fail(claim, Reason.DIVERGED, "the training loss is NaN in epoch 1")
                continue
            study.report(claim, 1, score)
            metrics = {"ndcg@10": score, "recall@10": score * 2}
            study.finish(claim, score, Result(metrics, 1, 2, 1.5))
        result = result_in(plan, store)
        if test is not None:
            study.set_attribute("test", {"trial_id": result.winner.id, "metrics": test})
            result = result_in(plan, store)
        return result

    yield fill
    for store in stores:
        store.close()


def stored(plan):
    """What is in the plan's own store."""
    store = Store(plan.storage_url)
    result = result_in(plan, store)
    store.close()
    return result


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_the_best_result_says_what_won_and_where_it_comes_from(filled):
    result = filled(test={"ndcg@10": 0.25})
    write_study(result)
    record = result.record
    content = yaml.safe_load(result.outputs.best_result(record.dataset_name, record.model_name).read_text())
    assert (content["trial"], content["score"], content["metric"]) == (1, 0.3, "NDCG@10")
    assert content["parameters"] == record.defaults
    assert content["validation"] == {"ndcg@10": 0.3, "recall@10": 0.6}
    assert content["test"] == {"ndcg@10": 0.25}
    assert content["budget"] == {"trials": 3, "counted": 3, "failed": 0}
    assert content["seed"] == record.trial_seed(1)
    assert content["content"] == {"study": record.content_hash, "data": dict(record.hashes)}
    assert content["environment"]["commit"] == "abc123"
    assert content["environment"]["versions"] == {"torch": "2.13.0"}
    assert content["durations"] == {"best_trial_seconds": 1.5, "all_trials_seconds": 4.5}


def test_ties_go_to_the_lower_trial_number(filled):
    assert filled(scores=(0.2, 0.5, 0.5)).winner.slot == 1


def test_test_metrics_appear_only_for_the_winner_that_was_evaluated(filled, tmp_path):
    result = filled()
    assert result.test is None
    assert best_result(result)["test"] is None
    assert "test_" not in summary_csv([result]).splitlines()[0]
    assert "| - |" in summary_markdown([result])
    store = Store(f"sqlite:///{tmp_path / 'store.db'}")
    study = store.find_study(result.record.name)
    study.set_attribute("test", {"trial_id": result.trials[0].id, "metrics": {"ndcg@10": 0.9}})
    assert read_result(result.record, result.root, store).test is None, (
        "that of another trial than the winner"
    )
    store.close()


def test_the_best_config_is_complete_and_says_how_to_run_it(filled):
    result = filled()
    write_study(result)
    record = result.record
    text = result.outputs.best_config(record.dataset_name, record.model_name).read_text()
    assert "recsweep train --config" in text.split("model:")[0]
    settings = study_settings(record, result.winner.params, result.winner.seed)
    in_words = "leave-one-out by time, rating in [5,inf), users with 50 or more interactions, full ranking"
    assert yaml.safe_load(text) == {**settings, "protocol": in_words, "data_hashes": dict(record.hashes)}


def test_the_best_parameters_are_json_in_their_own_types(filled):
    result = filled("GRU4Rec")
    write_study(result)
    record = result.record
    read = json.loads(result.outputs.best_params(record.dataset_name, record.model_name).read_text())
    assert read == record.defaults
    assert type(read["num_layers"]) is int


def test_every_trial_is_a_row_with_its_reason(filled):
    result = filled(scores=(0.1, None, 0.2))
    rows = rows_of(trials_csv(result.record, result.trials))
    assert [(row["trial"], row["state"], row["score"]) for row in rows] == [
        ("0", "complete", "0.1"),
        ("1", "failed", ""),
        ("2", "complete", "0.2"),
    ]
    assert rows[1]["reason"] == "diverged: the training loss is NaN in epoch 1"
    assert rows[0]["learning_rate"] == "0.001"
    assert rows[0]["recall@10"] == "0.2"
    assert [int(row["seed"]) for row in rows] == [result.record.trial_seed(slot) for slot in range(3)]


def test_a_pruned_trial_keeps_its_best_score_and_its_reason(tmp_path):
    plan = workspace(tmp_path).plan()
    fill_store(plan, some_trials())
    result = stored(plan)
    row = rows_of(trials_csv(plan, result.trials))[3]
    assert (row["state"], row["score"]) == ("pruned", "0.05")
    assert row["reason"] == f"pruned: {NASTY}"
    assert (result.failed, result.pruned, result.winner.slot) == (1, 2, 7)
    assert best_result(result)["budget"] == {"trials": 12, "counted": 12, "failed": 1, "pruned": 2}


@pytest.mark.parametrize(
    ("kind", "message", "text"),
    [
        ("pruned", "pruned at epoch 2: 0.1 < median 0.3", "pruned: at epoch 2: 0.1 < median 0.3"),
        ("out_of_memory", "out of memory: 4 GiB", "out_of_memory: 4 GiB"),
        ("diverged", "the training loss is NaN", "diverged: the training loss is NaN"),
    ],
)
def test_a_reason_does_not_say_its_kind_twice(kind, message, text):
    failed = dataclasses.replace(some_trials()[0], failure=Failure(Reason(kind), message))
    assert reason(failed) == text


def test_study_results_holds_every_trial_with_all_that_the_store_knows(filled):
    result = filled(scores=(0.1, None, 0.2), test={"ndcg@10": 0.7654321012345})
    write_study(result)
    record = result.record
    text = result.outputs.study_results(*record.folder_names).read_text()
    content = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert (content["study"], content["best_trial"]) == (record.name, 2)
    assert content["objectives"] == [{"name": "NDCG@10", "better": "more"}]
    assert content["budget"] == {"trials": 3, "counted": 3, "failed": 1}
    first, second, _ = content["trials"]
    assert (first["trial"], first["state"], first["reason"], first["score"]) == (0, "complete", None, 0.1)
    assert first["parameters"] == record.defaults
    assert first["validation"] == {"ndcg@10": 0.1, "recall@10": 0.2}
    assert first["curve"] == [{"epoch": 1, "score": 0.1}]
    assert first["epochs"] == {"best": 1, "trained": 2}
    assert (first["seed"], first["seconds"], first["attempt"]) == (record.trial_seed(0), 1.5, 0)
    assert first["environment"] == ME
    assert first["started"] < first["finished"]
    assert first["worker"]
    assert second["reason"] == "diverged: the training loss is NaN in epoch 1"
    assert second["objectives"] == {}
    assert "7654321012345" not in text, "the test split is for the winner's tables"


def test_study_results_is_json_that_any_program_reads(make_plan):
    plan = make_plan()
    odd = trial(0, None, "failed", curve={1: math.nan, 2: math.inf}, params={"learning_rate": 0.1})
    content = study_results(result_of(plan, [odd]))
    assert [point["score"] for point in content["trials"][0]["curve"]] == [None, None]
    assert content["best_trial"] is None


def test_several_objectives_have_columns_a_front_and_values_of_the_winner(tmp_path):
    plan = workspace(tmp_path, budget=4, objectives=OBJECTIVES).plan()
    values = ((0.1, 5.0), (0.12, 20.0), (0.2, 9.0))
    complete = [trial(slot, own[0], values=own) for slot, own in enumerate(values)]
    fill_store(plan, [*complete, trial(3, None, "failed")])
    result = stored(plan)
    write_study(result)
    rows = rows_of(plan.outputs.trials(*plan.folder_names).read_text())
    assert [(row["score"], row["training_seconds"]) for row in rows] == [
        ("0.1", "5.0"),
        ("0.12", "20.0"),
        ("0.2", "9.0"),
        ("", ""),
    ]
    front = rows_of(plan.outputs.pareto("csv", *plan.folder_names).read_text())
    assert [row["trial"] for row in front] == ["2", "0"]
    assert "| 2 | 0.2 | 9 |" in plan.outputs.pareto("md", *plan.folder_names).read_text()
    assert json.loads(plan.outputs.study_results(*plan.folder_names).read_text())["pareto_front"] == [2, 0]
    assert best_result(result)["objectives"] == {"NDCG@10": 0.2, "training_seconds": 9.0}
    assert best_result(result)["trial"] == 2, "the first objective decides"


def test_a_study_in_which_every_trial_failed_still_has_its_trials(filled):
    result = filled(scores=(None, None))
    write_study(result)
    record = result.record
    assert len(rows_of(result.outputs.trials(record.dataset_name, record.model_name).read_text())) == 2
    assert not result.outputs.best_result(record.dataset_name, record.model_name).exists()
    assert "no trial succeeded" in summary_markdown([result])
    with pytest.raises(ValueError, match="has no winner"):
        best_result(result)


def test_the_summary_is_sorted_by_validation_and_marks_the_best(filled):
    results = [
        filled("FPMC", (0.1, 0.2)),
        filled("STAMP", (None, None)),
        filled("GRU4Rec", (0.4, 0.3)),
        filled("FOSSIL", (0.4, 0.1)),
    ]
    order = ranked(results)
    assert [result.record.model_name for result in order] == ["FOSSIL", "GRU4Rec", "FPMC", "STAMP"]
    markdown = summary_markdown(order)
    assert "**FOSSIL**" in markdown
    assert markdown.count("**") == 2
    rows = rows_of(summary_csv(order))
    assert [(row["model"], row["validation"], row["failed"]) for row in rows] == [
        ("FOSSIL", "0.4", "0"),
        ("GRU4Rec", "0.4", "0"),
        ("FPMC", "0.2", "0"),
        ("STAMP", "", "2"),
    ]
    assert json.loads(rows[0]["parameters"]) == order[0].record.defaults


def test_a_metric_that_is_better_when_smaller_is_sorted_the_other_way(filled):
    import dataclasses

    def smaller_is_better(result):
        record = result.record.with_details(objectives=(Objective("AveragePopularity@10", False),))
        return dataclasses.replace(result, record=record)

    results = [smaller_is_better(filled("FPMC", (0.9,))), smaller_is_better(filled("FOSSIL", (0.4,)))]
    assert not results[0].record.maximize
    assert [result.record.model_name for result in ranked(results)] == ["FOSSIL", "FPMC"]


def test_equal_budgets_are_said_to_be_equal_and_unequal_ones_are_named(filled):
    first, second = filled("FPMC", (0.1, 0.2)), filled("FOSSIL", (0.1, 0.2))
    assert footnotes([first, second]) == ["Every model had the same budget: 2 trials."]
    third = filled("GRU4Rec", (0.1, None, 0.3))
    label = "ml-100k-small"
    assert footnotes([first, third]) == [f"Failed trials: {label}/GRU4Rec 1."]
    (alarm,) = unequal_budgets([first, third])
    assert (alarm.about, alarm.number) == (first.record.sweep_name, 1.5)
    assert alarm.text == f"budgets differ: {label}/FPMC 2, {label}/GRU4Rec 3 trials"


def test_a_model_without_parameters_has_a_budget_of_its_own(filled):
    first, pop = filled("FPMC", (0.1, 0.2)), filled("Pop", (0.1,))
    expected = (
        "Every model with parameters had the same budget: 2 trials (Pop: nothing to search, one trial)."
    )
    assert footnotes([first, pop]) == [expected]


def test_an_empty_sweep_says_so():
    assert "No study of the sweep is in the store yet" in summary_markdown([])
    assert summary_latex([]).count("\\") > 3
    assert len(summary_csv([]).splitlines()) == 1


def test_latex_is_escaped_and_balanced(filled):
    import dataclasses

    result = filled(test={"ndcg@10": 0.25})
    odd = dataclasses.replace(result.record, dataset_name="a_b&c%d#$~^{}\\")
    text = summary_latex([dataclasses.replace(result, record=odd)])
    row = next(line for line in text.splitlines() if "{FPMC}" in line)
    assert r"a\_b\&c\%d\#\$\textasciitilde{}\textasciicircum{}\{\}\textbackslash{}" in row
    assert row.endswith(r"\textbf{FPMC} & 0.3000 & 0.2500 & - & - & - & 3 \\")
    caption = next(line for line in text.splitlines() if line.startswith(r"\caption{"))
    assert "Every model had the same budget: 3 trials." in caption
    assert r"a\_b\&c\%d\#\$" in caption


def test_parameters_are_short_enough_for_a_table():
    assert parameters_text({"learning_rate": 0.0012345678, "num_layers": 2}) == (
        "learning_rate 0.001235, num_layers 2"
    )


def test_rebuilt_files_are_the_same_byte_for_byte(filled):
    results = [filled("FPMC", (0.1, None), test=None), filled("FOSSIL", (0.2, 0.1), test={"ndcg@10": 0.1})]
    root = results[0].root / "results"

    def write() -> dict[str, bytes]:
        for result in results:
            write_study(result)
        write_summary(results[0].outputs, results)
        return {str(path): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}

    first = write()
    assert len(first) == 2 * 5 + 3
    assert write() == first


def test_no_second_sweep_and_no_named_study_replaces_a_file(filled):
    import dataclasses

    first = filled(test={"ndcg@10": 0.25})
    record = first.record
    other = dataclasses.replace(record, sweep_name="other", study="other/ml-100k-small/FPMC/full")
    named = dataclasses.replace(record, study="mine")
    for number, each in enumerate((record, other, named)):
        write_study(dataclasses.replace(first, record=each))
        assert len([p for p in first.root.rglob("results/**/*") if p.is_file()]) == 5 * (number + 1)
    for results in ([first], [dataclasses.replace(first, record=other)]):
        write_summary(results[0].outputs, results)
    assert len(list(first.root.rglob("summary.md"))) == 2


# -- limits and phases ----------------------------------------------------------------------------


def test_a_limit_that_ended_a_study_is_in_result_and_summary(tmp_path):
    plan = phased.workspace(tmp_path, "max_evals: 20, no_improvement_after: 2").plan()
    store = Store(plan.storage_url)
    phased.fill(plan, store, [0.1, 0.3, 0.2, None])
    result = result_in(plan, store)
    store.close()
    reason = "no_improvement_after=2: no better trial since trial 1"
    assert best_result(result)["budget"] == {"trials": 20, "counted": 4, "failed": 1, "ended_by": reason}
    assert study_results(result)["budget"]["ended_by"] == reason
    assert footnotes(summed([result])) == [
        "Every model had the same budget: 4 trials.",
        "Failed trials: toy/NARM 1.",
        f"toy/NARM was ended by {reason}.",
    ]


def test_a_spent_budget_is_no_limit_to_tell(tmp_path):
    plan = phased.workspace(tmp_path, "max_evals: 2, no_improvement_after: 1").plan()
    store = Store(plan.storage_url)
    phased.fill(plan, store, [0.2, 0.1])
    result = result_in(plan, store)
    store.close()
    assert "ended_by" not in best_result(result)["budget"]
    assert footnotes([result]) == ["Every model had the same budget: 2 trials."]


GOOD = {"n_layers": 2, "hidden_size": 96}


@pytest.fixture
def two_phases(tmp_path):
    """A function that fills `coarse` (5 slots) and then `loss` (4, and the inherited one)."""

    def make(coarse_scores=(0.1, 0.3, 0.2, None, 0.1), loss_scores=(0.2, 0.4, None, 0.1), extra=""):
        search = f"phases: [coarse, loss], max_evals: 9{extra}"
        plans = phased.workspace(tmp_path, search).plans()
        coarse, loss = plans
        store = Store(coarse.storage_url)
        phased.fill(coarse, store, coarse_scores, [coarse.defaults, GOOD, *[coarse.defaults] * 3])
        begun, origin = begin(loss, store)
        study = open_study(begun, store, origin=origin)
        found = {"loss_type": "BPR", "weight_decay": 0.1}
        phased.fill(begun, store, loss_scores, [begun.defaults, found, *[begun.defaults] * 2], study)
        store.close()
        return plans

    return make


def test_what_is_inherited_costs_nothing_and_says_where_it_was_trained(two_phases):
    coarse, loss = results_of(two_phases(loss_scores=(0.2, 0.1, None, 0.1)))
    assert (coarse.trained, loss.trained, len(loss.trials)) == (5, 4, 5)
    best = best_result(loss)
    assert (best["trial"], best["score"]) == (0, 0.3)
    assert best["inherited"] == {"phase": "coarse", "slot": 1}
    assert best["budget"] == {"trials": 4, "counted": 4, "failed": 1, "inherited": 1}
    assert best["search"]["phase"] == "loss"
    assert best["search"]["searched"] == ["loss_type", "weight_decay"]
    assert best["durations"]["all_trials_seconds"] == 4.5, "three of its own succeeded"
    first, *others = study_results(loss)["trials"]
    assert first["inherited"] == {"phase": "coarse", "slot": 1}
    assert {other["inherited"] for other in others} == {None}


def test_the_parameters_of_a_winner_are_complete_whatever_its_phase_searched(two_phases):
    plans = two_phases()
    coarse, loss = results_of(plans)
    assert coarse.parameters == {**GOOD, "loss_type": "CE"}
    assert loss.parameters == {**GOOD, "loss_type": "BPR", "weight_decay": 0.1}
    for result in (coarse, loss):
        write_study(result)
    outputs = plans[0].outputs
    assert json.loads(outputs.best_params("toy", "NARM", "coarse").read_text()) == coarse.parameters
    assert json.loads(outputs.best_params("toy", "NARM").read_text()) == loss.parameters
    config = yaml.safe_load(outputs.best_config("toy", "NARM").read_text())
    assert {name: config[name] for name in loss.parameters} == loss.parameters
    searched = rows_of(outputs.trials("toy", "NARM").read_text())[2]
    assert (searched["loss_type"], searched["weight_decay"]) == ("BPR", "0.1")
    assert "n_layers" not in searched, "it was the same for all trials of the phase"
    absent = rows_of(outputs.trials("toy", "NARM").read_text())[1]
    assert (absent["loss_type"], absent["weight_decay"]) == ("CE", "")


def test_a_row_of_the_summary_counts_trials_of_all_phases(two_phases):
    results = results_of(two_phases())
    (row,) = ranked(summed(results))
    assert row.record.phase == "loss"
    assert (row.all_trained, row.all_failed, row.all_pruned) == (9, 2, 0)
    assert row.all_seconds == 7 * 1.5
    (line,) = rows_of(summary_csv([row]))
    assert (line["trials"], line["failed"], line["best_trial"], line["seconds"]) == ("9", "2", "2", "10.5")
    assert footnotes([row]) == [
        "Every model had the same budget: 9 trials.",
        "Failed trials: toy/NARM 2.",
    ]


def test_models_with_more_and_with_fewer_phases_have_equal_budgets(two_phases, filled):
    (with_two,) = summed(results_of(two_phases()))
    with_one = filled(scores=[0.1] * 9)
    assert footnotes([with_one, with_two])[0] == "Every model had the same budget: 9 trials."


def test_a_limit_that_ended_an_earlier_phase_is_told_with_its_name(two_phases):
    plans = two_phases((0.3, 0.1, 0.1, None), (0.4, 0.2, 0.3, 0.1), extra=", no_improvement_after: 3")
    (row,) = summed(results_of(plans))
    assert row.all_trained == 8
    assert footnotes([row])[1:] == [
        "Failed trials: toy/NARM 1.",
        "toy/NARM/coarse was ended by no_improvement_after=3: no better trial since trial 0.",
    ]


def test_pruned_trials_are_counted_below_the_summary(tmp_path):
    plan = workspace(tmp_path).plan()
    fill_store(plan, some_trials())
    assert footnotes(summed([stored(plan)])) == [
        "Every model had the same budget: 12 trials.",
        "Failed trials: toy/NARM 1.",
        "Pruned trials: toy/NARM 2.",
    ]


def test_trials_that_were_added_are_part_of_the_budget_that_is_told(tmp_path):
    import dataclasses

    plan = phased.workspace(tmp_path, "max_evals: 2").plan()
    store = Store(plan.storage_url)
    phased.fill(plan, store, [0.1, 0.2])
    phased.fill(dataclasses.replace(plan, slots=5), store, [0.3, 0.1, 0.1])
    store.close()
    (result,) = results_of([plan])
    assert best_result(result)["budget"] == {"trials": 5, "counted": 5, "failed": 0}
