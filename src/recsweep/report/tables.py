"""The rows of the summary: the best configuration of every model on every data set."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from recsweep.alarms.alarm import Alarm
from recsweep.common.escape import for_terminal, short
from recsweep.recbole_api import catalog
from recsweep.report import energy
from recsweep.report.alarms import of_row
from recsweep.report.evidence_files import summary_cells, summary_columns
from recsweep.report.results import FINISHED, NOT_BEGUN, StudyResult
from recsweep.report.summary_notes import data_of, filters_of
from recsweep.report.text import cell
from recsweep.study import StudyRecord


@dataclass(frozen=True)
class Row:
    """One model on one data set, as the tables show it."""

    dataset: str
    model: str
    validation: str
    """The score that the search went by."""
    tests: Mapping[str, str]
    """Test metrics in four digits by name; `-` where there is none yet."""
    best_tests: frozenset[str]
    """The metrics in which no other model on this data set is better on test."""
    trials: str
    """`18`, or `13 of 18, not finished`."""
    trial: str
    parameters: str
    leads: bool
    """True where it is the best of its data set on validation."""


def summed(results: list[StudyResult]) -> list[StudyResult]:
    """The last phase of each model, with the trials and the time of those before it."""
    last = [result for result in results if result.record.is_last]

    def before(one: StudyResult) -> tuple[StudyResult, ...]:
        own = one.record.folder_names[:2]
        return tuple(other for other in results if other.record.folder_names[:2] == own and other is not one)

    return [replace(one, before=before(one)) for one in last]


def ranked(results: list[StudyResult]) -> list[StudyResult]:
    """Data set by data set in the sweep's order, the best validation score first."""
    datasets = list(dict.fromkeys(result.record.dataset_name for result in results))

    def rank(result: StudyResult) -> tuple[int, bool, float, str]:
        score = result.winner.score if result.winner and result.winner.score is not None else None
        signed = 0.0 if score is None else (-score if result.record.maximize else score)
        return datasets.index(result.record.dataset_name), score is None, signed, result.record.model_name

    return sorted(results, key=rank)


def metrics_of(record: StudyRecord) -> list[str]:
    """Every metric that a sweep reports, the one that it searches for first."""
    return list(record.evaluation.reported)


def rows(results: Sequence[StudyResult]) -> list[Row]:
    """The rows of a table, in the order of the results."""
    best, seen, found = best_tests(results), set[str](), []
    for result in results:
        record, winner = result.record, result.winner
        test = result.test or {}
        tests = {name: four_digits(test.get(name.lower())) for name in metrics_of(record)}
        parameters = "no trial succeeded" if result.trials else "-"
        found.append(
            Row(
                record.dataset_name,
                record.model_name,
                four_digits(winner.score if winner else None),
                tests,
                frozenset(name for name in tests if best.get((record.dataset_name, name)) == tests[name]),
                trials_text(result),
                str(winner.slot) if winner else "-",
                parameters_text(result.parameters) if winner else parameters,
                leads=winner is not None and record.dataset_name not in seen,
            )
        )
        if winner is not None:
            seen.add(record.dataset_name)
    return found


def best_tests(results: Iterable[StudyResult]) -> dict[tuple[str, str], str]:
    """The best value of each metric on the test split by data set, as it is shown: ties are equal.

    Where one model alone was tested, there is no best.
    """
    values: dict[tuple[str, str], list[float]] = {}
    for result in results:
        for name in metrics_of(result.record):
            value = (result.test or {}).get(name.lower())
            if value is not None:
                values.setdefault((result.record.dataset_name, name), []).append(value)
    more = catalog.directions()
    better = {key: max if more[key[1].split("@")[0].lower()] else min for key in values}
    best = {key: better[key](own) for key, own in values.items() if len(own) > 1}
    return {key: four_digits(value) for key, value in best.items()}


def trials_text(result: StudyResult) -> str:
    """How much of its budget a model has spent: `18`, `13 of 18, not finished`, `not begun`."""
    done, budget, state = result.all_trained, result.all_budget, result.all_state
    if state == NOT_BEGUN:
        return NOT_BEGUN
    text = str(done) if done == budget else f"{done} of {budget}"
    return text if state == FINISHED else f"{text}, {state}"


def four_digits(value: float | None) -> str:
    """A score in a table; `-` where there is none."""
    return "-" if value is None else f"{value:.4f}"


def parameters_text(params: dict[str, Any]) -> str:
    """`learning_rate 0.00123, num_layers 2`: short enough for a table."""
    return ", ".join(f"{for_terminal(name)} {short(value)}" for name, value in params.items())


def summary_csv(results: list[StudyResult], alarms: Sequence[Alarm] = ()) -> str:
    """One row a study, every number in full; test columns stay empty until its winner was evaluated.

    Args:
        alarms: of the sweep; a row has the names of those that concern it.
    """
    validations = [result.winner.result.metrics if result.winner else {} for result in results]
    named = {
        "validation": sorted({name for metrics in validations for name in metrics}),
        "test": sorted({name for result in results for name in (result.test or {})}),
    }
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    columns = [f"{part}_{name}" for part, names in named.items() for name in names]
    took = energy.columns([result.all_energy for result in results])
    seeds = summary_columns(results)
    writer.writerow(
        ["dataset", "model", "state", "trials", "budget", "failed", "pruned", "metric", "validation"]
        + columns
        + [f"seeds_{name}" for name in seeds]
        + ["best_trial", "parameters", "seed", "study_hash", "commit", "repository", "seconds"]
        + ["users", "items", "split", "filters", *took, "alarms"]
    )
    for result, validation in zip(results, validations, strict=True):
        test, record = result.test or {}, result.record
        writer.writerow(
            _searched_cells(result)
            + [validation.get(name, "") for name in named["validation"]]
            + [test.get(name, "") for name in named["test"]]
            + summary_cells(result, seeds)
            + _winner_cells(result)
            + [*(cell(data_of(result).get(name)) for name in ("users", "items"))]
            + [record.dataset.split.text, filters_of(record), *energy.cells(result.all_energy, took)]
            + ["; ".join(dict.fromkeys(alarm.name for alarm in of_row(result, alarms)))]
        )
    return buffer.getvalue()


def _searched_cells(result: StudyResult) -> list[Any]:
    """From the data set to the score that the search went by."""
    record, score = result.record, result.winner.score if result.winner else ""
    names = [record.dataset_name, record.model_name, result.all_state]
    counts = [result.all_trained, result.all_budget, result.all_failed, result.all_pruned]
    return [*names, *counts, record.evaluation.metric, score]


def _winner_cells(result: StudyResult) -> list[Any]:
    """From the best trial to the seconds of all of them."""
    winner, record = result.winner, result.record
    environment = winner.environment if winner else {}
    return [
        winner.slot if winner else "",
        json.dumps(result.parameters) if winner else "",
        winner.seed if winner else "",
        record.content_hash[:16],
        environment.get("commit") or "",
        cell(environment.get("repository")),
        result.all_seconds,
    ]
