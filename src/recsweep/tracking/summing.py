"""A study summed up for trackers: history, best, importance, final table, parallel coordinates."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from recsweep.common.files import content_hash, to_plain
from recsweep.report.results import StudyResult, read_result
from recsweep.study import State, Store, StudyRecord, Trial
from recsweep.tracking.events import StudyName, Summary


def mark_of(record: StudyRecord, trials: list[Trial]) -> str:
    """A word for all that is summed up: another one with each trial that ends, and when the study does."""
    counted = [(trial.slot, trial.attempt) for trial in trials if trial.state.closed and trial.counted]
    return content_hash([sorted(counted), record.budget, record.ended_by])[:12]


def summed_up(store: Store, record: StudyRecord, study: StudyName, root: Path, mark: str) -> Summary:
    """The summary of a study.

    Args:
        root: the folder of all outputs.
        mark: of what is summed up.
    """
    result = read_result(record, root, store)
    trials = result.trials
    counts = {str(state): sum(trial.state == state for trial in trials) for state in State if state.closed}
    return Summary(
        study,
        mark,
        result.state,
        record.ended_by,
        record.budget,
        counts,
        _best(result),
        _history(result),
        _importance(result),
        [_row(result, trial) for trial in trials],
        _parallel(result),
        time.time(),
    )


def _best(result: StudyResult) -> dict[str, Any]:
    winner = result.winner
    if winner is None:
        return {}
    found = {"trial": winner.slot, "score": winner.score, "params": result.parameters}
    plain: dict[str, Any] = to_plain({**found, "metrics": winner.result.metrics, "test": result.test or {}})
    return plain


def _history(result: StudyResult) -> list[list[float | int | None]]:
    better = max if result.record.maximize else min
    best: float | None = None
    rows: list[list[float | int | None]] = []
    for trial in result.trials:
        if trial.score is not None and trial.state == State.COMPLETE:
            best = trial.score if best is None else better(best, trial.score)
        rows.append([trial.slot, trial.score, best])
    return rows


def _importance(result: StudyResult) -> dict[str, dict[str, float]]:
    from recsweep.report.parameter_charts import importances, nothing_to_weigh

    if nothing_to_weigh(result):
        return {}
    names = enumerate(result.record.objectives)
    return {objective.name: importances(result, position) for position, objective in names}


def _row(result: StudyResult, trial: Trial) -> dict[str, Any]:
    about = {"trial": trial.slot, "state": str(trial.state), "score": trial.score}
    ended = {
        "epochs": trial.result.epochs,
        "seconds": trial.result.seconds,
        "reason": str(trial.reason or ""),
    }
    row: dict[str, Any] = to_plain({**about, **result.record.complete(trial.params), **ended})
    return row


def _parallel(result: StudyResult) -> str:
    """Parallel coordinates as a PNG in letters; empty where there is too little to draw."""
    from recsweep.report.parameter_charts import parallel

    chart = parallel(result)
    if chart.missing:
        return ""
    from recsweep.report.pictures import write_picture

    with TemporaryDirectory(prefix="recsweep-") as folder:
        file = Path(folder) / "parallel.png"
        write_picture(chart, f"{result.record.label}: parallel coordinates", file)
        return base64.b64encode(file.read_bytes()).decode("ascii")
