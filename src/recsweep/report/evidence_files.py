"""The files of evidence: each training of a model, what they come to, and a table of all models."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from recsweep.common.files import to_plain, write_text, write_yaml
from recsweep.report.evidence import PARTS, EvidenceResult, Measure, metrics_of
from recsweep.report.results import StudyResult
from recsweep.report.text import cell, reason

_SUMMARY_NUMBERS = ("mean", "sd", "low", "high", "optimism")
_NUMBERS = ("mean", "sd", "low", "high", "n", "search", "optimism")


def write_evidence(result: StudyResult) -> None:
    """Write trials.csv and evidence.yaml into the study's folder of evidence."""
    folder = result.outputs.evidence(*result.record.folder_names[:2])
    write_text(folder / "trials.csv", trainings_csv(result.evidence))
    # Last: it is what the pipeline takes as the sign that the evidence is there.
    plain = [{**one.plain(), "parameters": one.configuration.params} for one in result.evidence]
    write_yaml(folder / "evidence.yaml", to_plain({"search": result.record.name, "configurations": plain}))


def trainings_csv(evidence: Sequence[EvidenceResult]) -> str:
    """One row a training: which configuration, its seeds, its metrics on validation and on test."""
    every = [trial for one in evidence for _, trial in one.done]
    named = {part: sorted({name for trial in every for name in metrics_of(trial, part)}) for part in PARTS}
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    columns = [f"{part}_{name}" for part, names in named.items() for name in names]
    first = ("rank", "search_trial", "training_seed", "split_seed", "state")
    writer.writerow([*first, *columns, "best_epoch", "epochs", "seconds", "reason"])
    for one in evidence:
        for point, trial in one.done:
            seeds = (one.rank, one.configuration.slot, point.training_seed, point.split_seed, trial.state)
            values = (metrics_of(trial, part).get(name) for part, names in named.items() for name in names)
            took = (trial.result.best_epoch, trial.result.epochs, trial.result.seconds)
            writer.writerow([*seeds, *map(cell, values), *map(cell, took), reason(trial)])
    return buffer.getvalue()


def evidence_csv(results: Sequence[StudyResult]) -> str:
    """One row a model, configuration, split part and metric, every number in full."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    columns = ("dataset", "model", "rank", "search_trial", "trainings", "wanted", "split", "metric")
    writer.writerow([*columns, *_NUMBERS])
    for result in results:
        for one in result.evidence:
            for measure in one.measures:
                writer.writerow(_row(result, one, measure))
    return buffer.getvalue()


def summary_columns(results: Sequence[StudyResult]) -> tuple[str, ...]:
    """The columns of evidence in `summary.csv`; none where no model has any."""
    if not any(result.best_evidence for result in results):
        return ()
    return ("trainings", *(f"{part}_{name}" for part in PARTS for name in _SUMMARY_NUMBERS))


def summary_cells(result: StudyResult, columns: Sequence[str]) -> list[Any]:
    """The cells of a row below them, of the metric that the search went by; empty where there is none."""
    one = result.best_evidence
    if one is None:
        return ["" for _ in columns]
    cells: list[Any] = [len(one.done)]
    for part in PARTS:
        measure = one.measure(part, one.metric)
        plain = measure.plain() if measure is not None else {}
        cells += [cell(plain.get(name)) for name in _SUMMARY_NUMBERS]
    return cells


def _row(result: StudyResult, one: EvidenceResult, measure: Measure) -> list[Any]:
    names = (result.record.dataset_name, result.record.model_name)
    counts = (one.rank, one.configuration.slot, len(one.done), one.planned)
    plain = measure.plain()
    numbers = (cell(plain[name]) for name in _NUMBERS)
    return [*names, *counts, measure.part, measure.metric, *numbers]
