"""Several objectives: the trials that no other one betters in all of them."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence

from recsweep.common.escape import for_markdown, short
from recsweep.report.text import cell
from recsweep.study import State, StudyRecord, Trial
from recsweep.study.description import Objective


def pareto_front(trials: Sequence[Trial], objectives: Sequence[Objective]) -> list[Trial]:
    """The trials that no other betters: at least as good in every objective, better in one.

    The best in the first objective comes first; of equal ones all stay, the lower slot first.
    """
    found: dict[int, tuple[float, ...]] = {}
    costs = {trial.slot: _costs(trial, objectives) for trial in measured(trials, objectives)}
    # In this order whatever betters a trial comes before it, and the front alone betters all others.
    for slot, cost in sorted(costs.items(), key=lambda item: (item[1], item[0])):
        if not any(_betters(better, cost) for better in found.values()):
            found[slot] = cost
    by_slot = {trial.slot: trial for trial in trials}
    return [by_slot[slot] for slot in found]


def measured(trials: Sequence[Trial], objectives: Sequence[Objective]) -> list[Trial]:
    """The complete trials that have a number for every objective."""
    return [
        trial
        for trial in trials
        if trial.state == State.COMPLETE
        and len(trial.values) == len(objectives)
        and all(math.isfinite(value) for value in trial.values)
    ]


def _costs(trial: Trial, objectives: Sequence[Objective]) -> tuple[float, ...]:
    return tuple(
        -value if objective.maximize else value
        for value, objective in zip(trial.values, objectives, strict=True)
    )


def _betters(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


def pareto_csv(record: StudyRecord, trials: Sequence[Trial]) -> str:
    """One row a trial of the front: objectives, parameters, seed, epochs, seconds."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    names = [objective.name for objective in record.objectives]
    writer.writerow(["trial", *names, *record.space, "seed", "best_epoch", "seconds"])
    for trial in pareto_front(trials, record.objectives):
        params = [cell(trial.params.get(name)) for name in record.space]
        ends = [trial.seed, trial.result.best_epoch, trial.result.seconds]
        writer.writerow([trial.slot, *trial.values, *params, *(cell(value) for value in ends)])
    return buffer.getvalue()


def pareto_markdown(record: StudyRecord, trials: Sequence[Trial], so_far: str = "") -> str:
    """The front for a person, the best in the first objective on top.

    Args:
        so_far: how much of its budget the study has spent, where it is not finished.
    """
    front = pareto_front(trials, record.objectives)
    names = [
        f"{objective.name} ({'more' if objective.maximize else 'less'} is better)"
        for objective in record.objectives
    ]
    lines = [
        f"| {' | '.join(['trial', *names, *map(for_markdown, record.space)])} |",
        f"|{'---:|' * (1 + len(names) + len(record.space))}",
    ]
    for trial in front:
        params = [for_markdown(short(trial.params.get(name, ""))) for name in record.space]
        values = [f"{value:.4g}" for value in trial.values]
        lines.append(f"| {' | '.join([str(trial.slot), *values, *params])} |")
    all_ = len(measured(trials, record.objectives))
    of_all = f"{len(front)} of {all_} complete trials of {record.label}{so_far}"
    return "\n".join([*lines, "", f"{of_all}: no other one betters them in every objective."]) + "\n"
