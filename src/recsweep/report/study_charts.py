"""The pictures of a study, made from its trials alone. Validation scores only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from recsweep.report.chart import Chart
from recsweep.report.parameter_charts import importance, parallel, slices
from recsweep.report.results import StudyResult
from recsweep.report.score_charts import history, learning_curves, pareto, timeline


@dataclass(frozen=True)
class Kind:
    """One of the pictures that every study has."""

    name: str
    title: str
    caption: str
    draw: Callable[[StudyResult], Chart]


KINDS = (
    Kind("history", "History", "The score of every trial in the order of their numbers.", history),
    Kind(
        "importance",
        "Parameter importance",
        "How much each parameter decides whether a trial is among the best (PED-ANOVA). "
        "With fewer than some thirty trials take it as a hint.",
        importance,
    ),
    Kind(
        "parallel",
        "Parallel coordinates",
        "Each line is a complete trial, from its score through its parameters. The best is bold.",
        parallel,
    ),
    Kind(
        "slices",
        "Slices",
        "The score over each parameter. Equal choices stand a little apart.",
        slices,
    ),
    Kind(
        "curves",
        "Learning curves",
        "The validation score after each epoch. A cross ends the curve of a pruned or failed trial.",
        learning_curves,
    ),
    Kind(
        "pareto",
        "Pareto front",
        "The trials that no other one betters in every objective.",
        pareto,
    ),
    Kind(
        "timeline",
        "Timeline",
        "A row for each worker, a bar for each trial that it ran. Times are those of its machine's clock.",
        timeline,
    ),
)


def charts(result: StudyResult) -> list[tuple[Kind, Chart]]:
    """Every picture of a study; the Pareto front where there is more than one objective."""
    several = len(result.plan.objectives) > 1
    return [(kind, kind.draw(result)) for kind in KINDS if several or kind.name != "pareto"]
