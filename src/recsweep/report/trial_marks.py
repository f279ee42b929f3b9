"""Trials as marks of a chart: their places, colours and words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta

from recsweep.common.escape import short
from recsweep.report.chart import BLUE, GREY, PINK, Number, Points
from recsweep.report.results import StudyResult
from recsweep.report.text import reason
from recsweep.study import State, Trial

COLOURS = {State.COMPLETE: BLUE, State.PRUNED: GREY, State.FAILED: PINK}
MOST_LINES = 300
"""More lines than this hide each other; the best are drawn."""


def dots(
    result: StudyResult,
    trials: Sequence[Trial],
    x: Sequence[Number],
    y: Sequence[Number],
    state: State,
    *,
    named: bool,
) -> Points:
    """A mark for each trial, in the colour of their state; `named`: in the legend."""
    return Points(
        tuple(x),
        tuple(y),
        tuple(about(result, trial) for trial in trials),
        name=state if named else "",
        colour=COLOURS[state],
        mark="circle" if state == State.COMPLETE else "cross",
    )


def span(trial: Trial) -> tuple[datetime, datetime] | None:
    """When a trial that has ended ran here; as long as its process says where the clock was set back."""
    if trial.started is None or trial.finished is None or trial.inherited:
        return None
    if trial.finished >= trial.started:
        return trial.started, trial.finished
    return trial.started, trial.started + timedelta(seconds=trial.result.seconds or 0.0)


def about(result: StudyResult, trial: Trial, *, params: bool = True) -> str:
    """The words of a page on a trial that is pointed at."""
    lines = [f"trial {trial.slot}, {trial.state}"]
    if trial.inherited:
        lines.append(f"taken over from {trial.inherited.phase}, trial {trial.inherited.slot}")
    if trial.score is not None:
        values = trial.values or (trial.score,)
        names = [objective.name for objective in result.record.objectives]
        lines += [f"{name} {short(value)}" for name, value in zip(names, values, strict=False)]
    if why := reason(trial):
        lines.append(why if len(why) <= 120 else f"{why[:117]}…")
    if params:
        lines += [f"{name} {short(value)}" for name, value in trial.params.items()]
    return "\n".join(lines)


def best_of(result: StudyResult, trials: Sequence[Trial]) -> list[Trial]:
    """The trials to draw a line for, by slot."""
    sign = -1 if result.record.maximize else 1
    ordered = sorted(trials, key=lambda t: (not has_score(t), sign * (finite(t.score) or 0.0), t.slot))
    return sorted(ordered[:MOST_LINES], key=lambda t: t.slot)


def shown(chosen: Sequence[Trial], trials: Sequence[Trial]) -> str:
    """The words of a caption on lines that were left out."""
    if len(chosen) == len(trials):
        return ""
    return f"The best {len(chosen)} of {len(trials)} trials are drawn."


def of_state(result: StudyResult, state: State) -> list[Trial]:
    """The trials of a study in one state."""
    return [trial for trial in result.trials if trial.state == state]


def finite(value: float | None) -> float | None:
    """A number, or None where a value is none that can be drawn."""
    return value if value is not None and math.isfinite(value) else None


def has_score(trial: Trial) -> bool:
    """True where a trial has a score that can be drawn."""
    return finite(trial.score) is not None


def value_of(trial: Trial, position: int) -> float | None:
    """A trial's value of an objective; a pruned one knows the first alone."""
    if trial.state == State.PRUNED:
        return finite(trial.score) if position == 0 else None
    values = trial.values or ((trial.score,) if trial.score is not None else ())
    return finite(values[position]) if position < len(values) else None


def are(count: int) -> str:
    """`there …`: how many."""
    return {0: "is none", 1: "is one"}.get(count, f"are {count}")
