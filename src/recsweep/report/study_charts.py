"""The pictures of a study, made from its trials alone. Validation scores only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from recsweep.report.chart import Chart, Table
from recsweep.report.parameter_charts import importance, parallel, slices
from recsweep.report.results import StudyResult
from recsweep.report.score_charts import history, learning_curves, pareto, timeline
from recsweep.report.study_tables import (
    curve_table,
    front_table,
    importance_table,
    parameter_table,
    time_table,
    trial_table,
)


@dataclass(frozen=True)
class Kind:
    """One of the pictures that every study has."""

    name: str
    title: str
    caption: str
    draw: Callable[[StudyResult], Chart]
    numbers: Callable[[StudyResult, Chart], Table]
    """The table behind it, of the same trials."""


KINDS = (
    Kind(
        "history", "History", "The score of every trial in the order of their numbers.", history, trial_table
    ),
    Kind(
        "importance",
        "Parameter importance",
        "How much each parameter decides whether a trial is among the best (PED-ANOVA). "
        "With fewer than some thirty trials take it as a hint.",
        importance,
        importance_table,
    ),
    Kind(
        "parallel",
        "Parallel coordinates",
        "Each line is a complete trial, from its score through its parameters. The best is bold.",
        parallel,
        parameter_table,
    ),
    Kind(
        "slices",
        "Slices",
        "The score over each parameter. Equal choices stand a little apart.",
        slices,
        parameter_table,
    ),
    Kind(
        "curves",
        "Learning curves",
        "The validation score after each epoch. A cross ends the curve of a pruned or failed trial.",
        learning_curves,
        curve_table,
    ),
    Kind(
        "pareto",
        "Pareto front",
        "The trials that no other one betters in every objective.",
        pareto,
        front_table,
    ),
    Kind(
        "timeline",
        "Timeline",
        "A row for each worker, a bar for each trial that it ran. Times are those of its machine's clock.",
        timeline,
        time_table,
    ),
)


def charts(result: StudyResult) -> list[tuple[Kind, Chart]]:
    """Every picture of a study; the Pareto front where there is more than one objective."""
    several = len(result.record.objectives) > 1
    return [(kind, _drawn(kind, result)) for kind in KINDS if several or kind.name != "pareto"]


def _drawn(kind: Kind, result: StudyResult) -> Chart:
    chart = kind.draw(result)
    return chart if chart.missing else replace(chart, table=kind.numbers(result, chart))
