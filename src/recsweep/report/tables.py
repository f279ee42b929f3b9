"""The summary: the best configuration of every model on every data set."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from typing import Any

from recsweep.escape import for_latex, for_markdown, for_terminal
from recsweep.files import counted, write_text
from recsweep.paths import Outputs
from recsweep.report.results import StudyResult
from recsweep.report.text import short
from recsweep.stopping import MAX_EVALS


def write_summary(outputs: Outputs, results: list[StudyResult]) -> None:
    """Write summary.csv, summary.md and summary.tex; of a model's phases the last one decides."""
    ordered = ranked(summed(results))
    write_text(outputs.summary("csv"), summary_csv(ordered))
    write_text(outputs.summary("md"), summary_markdown(ordered))
    write_text(outputs.summary("tex"), summary_latex(ordered))


def summed(results: list[StudyResult]) -> list[StudyResult]:
    """The last phase of each model, with the trials and the time of those before it."""
    last = [result for result in results if result.plan.is_last]
    return [
        replace(
            one, before=tuple(r for r in results if r.plan.place[:2] == one.plan.place[:2] and r is not one)
        )
        for one in last
    ]


def ranked(results: list[StudyResult]) -> list[StudyResult]:
    """Data set by data set in the sweep's order, the best validation score first."""
    datasets = list(dict.fromkeys(result.plan.dataset_name for result in results))

    def place(result: StudyResult) -> tuple[int, bool, float, str]:
        score = result.winner.score if result.winner and result.winner.score is not None else None
        signed = 0.0 if score is None else (-score if result.plan.maximize else score)
        return datasets.index(result.plan.dataset_name), score is None, signed, result.plan.model_name

    return sorted(results, key=place)


def summary_csv(results: list[StudyResult]) -> str:
    """One row a study; test columns stay empty until its winner was evaluated."""
    metrics = sorted({name for result in results for name in (result.test or {})})
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(
        ["dataset", "model", "metric", "validation", *(f"test_{name}" for name in metrics)]
        + ["best_trial", "trials", "failed", "parameters", "seed", "study_hash", "git_commit", "seconds"]
    )
    for result in results:
        winner, plan, test = result.winner, result.plan, result.test or {}
        writer.writerow(
            [plan.dataset_name, plan.model_name, plan.sweep.evaluation.metric]
            + [winner.score if winner else ""]
            + [test.get(name, "") for name in metrics]
            + [winner.slot if winner else "", result.all_trained, result.all_failed]
            + [json.dumps(result.parameters) if winner else "", winner.seed if winner else ""]
            + [plan.content_hash[:16], (winner.environment.get("commit") or "") if winner else ""]
            + [round(result.all_seconds, 1)]
        )
    return buffer.getvalue()


def summary_markdown(results: list[StudyResult]) -> str:
    """The table for a README; the best model of each data set is bold."""
    lines: list[str] = []
    if results:
        metric = results[0].plan.sweep.evaluation.metric
        lines += [
            f"| data set | model | validation {metric} | test {metric} | trials | best trial | parameters |",
            "|---|---|---:|---:|---:|---:|---|",
        ]
    for row in _rows(results):
        dataset, model, parameters = (for_markdown(row[key]) for key in ("dataset", "model", "parameters"))
        model = f"**{model}**" if row["leads"] else model
        lines.append(
            f"| {dataset} | {model} | {row['validation']} | {row['test']} | {row['trials']} "
            f"| {row['trial']} | {parameters} |"
        )
    return "\n".join([*lines, "", *map(for_markdown, footnotes(results))]) + "\n"


def summary_latex(results: list[StudyResult]) -> str:
    """A booktabs table."""
    metric = results[0].plan.sweep.evaluation.metric if results else ""
    lines = [
        r"\begin{tabular}{llrrr}",
        r"\toprule",
        rf"data set & model & validation {for_latex(metric)} & test {for_latex(metric)} & trials \\",
        r"\midrule",
    ]
    for row in _rows(results):
        dataset, model = for_latex(row["dataset"]), for_latex(row["model"])
        model = rf"\textbf{{{model}}}" if row["leads"] else model
        lines.append(rf"{dataset} & {model} & {row['validation']} & {row['test']} & {row['trials']} \\")
    comments = [f"% {for_terminal(line)}" for line in footnotes(results)]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", *comments]) + "\n"


def footnotes(results: list[StudyResult]) -> list[str]:
    """Whether the comparison is fair: equal budgets, or where they differ."""
    if not results:
        return ["No study of the sweep is in the store yet."]
    counts = {_name(result): result.all_trained for result in results}
    if len(set(counts.values())) == 1:
        notes = [f"Every model had the same budget: {counted(next(iter(counts.values())), 'trial')}."]
    else:
        notes = [
            "Budgets differ: " + ", ".join(f"{label} {count}" for label, count in counts.items()) + " trials."
        ]
    failed = {_name(result): result.all_failed for result in results}
    pruned = {_name(result): result.all_pruned for result in results}
    for title, numbers in (("Failed", failed), ("Pruned", pruned)):
        found = ", ".join(f"{name} {number}" for name, number in numbers.items() if number)
        notes += [f"{title} trials: {found}."] if found else []
    for result in (one for last in results for one in (*last.before, last)):
        if result.ended is not None and result.ended.limit != MAX_EVALS:
            notes.append(f"{result.plan.label} was ended by {result.ended.reason}.")
    return notes


def _name(result: StudyResult) -> str:
    return f"{result.plan.dataset_name}/{result.plan.model_name}"


def _rows(results: list[StudyResult]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    seen: set[str] = set()
    for result in results:
        plan, winner = result.plan, result.winner
        key = plan.sweep.evaluation.metric.lower()
        test = (result.test or {}).get(key)
        rows.append(
            {
                "dataset": plan.dataset_name,
                "model": plan.model_name,
                "validation": f"{winner.score:.4f}" if winner and winner.score is not None else "-",
                "test": "-" if test is None else f"{test:.4f}",
                "trials": result.all_trained,
                "trial": winner.slot if winner else "-",
                "parameters": parameters_text(result.parameters) if winner else "no trial succeeded",
                "leads": winner is not None and plan.dataset_name not in seen,
            }
        )
        seen.add(plan.dataset_name)
    return rows


def parameters_text(params: dict[str, Any]) -> str:
    """`learning_rate 0.00123, num_layers 2`: short enough for a table."""
    return ", ".join(f"{for_terminal(name)} {short(value)}" for name, value in params.items())
