"""Charts of the scores of a study: by number, by epoch, by objective, by worker."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from recsweep.common.escape import short
from recsweep.report.chart import GREY, ORANGE, Axis, Bars, Chart, Line, Number, Panel, Points, counting
from recsweep.report.pareto import measured, pareto_front
from recsweep.report.results import StudyResult
from recsweep.report.text import worker
from recsweep.report.trial_marks import (
    COLOURS,
    about,
    best_of,
    dots,
    finite,
    has_score,
    of_state,
    shown,
    span,
    value_of,
)
from recsweep.study import State, Trial
from recsweep.study.description import Objective

# The last ones are drawn over the first.
_CURVES: dict[State, Line] = {State.COMPLETE: "solid", State.PRUNED: "dash", State.FAILED: "dot"}


def history(result: StudyResult) -> Chart:
    """The scores in the order of the slots, and the best so far."""
    if not any(has_score(trial) for trial in result.trials):
        return Chart("history", missing="No trial has come to a score yet.")
    panels = [_history_panel(result, position) for position in range(len(result.record.objectives))]
    return Chart("history", tuple(panel for panel in panels if panel.marks))


def _history_panel(result: StudyResult, position: int) -> Panel:
    objective, first = result.record.objectives[position], position == 0
    marks: list[Points | Bars] = []
    points = {
        state: [(t, value) for t in of_state(result, state) if (value := value_of(t, position)) is not None]
        for state in (State.COMPLETE, State.PRUNED)
    }
    everything = [value for found in points.values() for _, value in found]
    best_so_far = _best_so_far([value for _, value in points[State.COMPLETE]], objective.maximize)
    for state, found in points.items():
        if found:
            slots, values = [trial.slot for trial, _ in found], [value for _, value in found]
            marks.append(dots(result, [trial for trial, _ in found], slots, values, state, named=first))
    if best_so_far:
        slots = [trial.slot for trial, _ in points[State.COMPLETE]]
        name = "best so far" if first else ""
        marks.append(Points(tuple(slots), tuple(best_so_far), name=name, colour=ORANGE, line="steps"))
    failed = of_state(result, State.FAILED)
    if failed and everything:
        foot = min(everything) - 0.06 * ((max(everything) - min(everything)) or 0.1)
        slots, feet = [trial.slot for trial in failed], [foot] * len(failed)
        marks.append(dots(result, failed, slots, feet, State.FAILED, named=first))
    x = counting("trial", (trial.slot for trial in result.trials))
    return Panel(x, Axis(objective.name), tuple(marks))


def _best_so_far(values: Sequence[float], maximize: bool) -> list[float]:
    found: list[float] = []
    for value in values:
        found.append(value if not found else (max if maximize else min)(found[-1], value))
    return found


def learning_curves(result: StudyResult) -> Chart:
    """The validation score of each epoch, and where a trial was pruned or failed."""
    trials = [trial for trial in result.trials if trial.curve]
    if not trials:
        return Chart("curves", missing="No trial has told a validation score of an epoch.")
    chosen = best_of(result, trials)
    winner = result.winner if result.winner in chosen else None
    marks: list[Points | Bars] = []
    for state, line in _CURVES.items():
        group = [trial for trial in chosen if trial.state == state and trial is not winner]
        if group:
            curves = _curves(group, opacity=0.5 if state == State.COMPLETE else 0.9)
            marks.append(replace(curves, name=state, colour=COLOURS[state], line=line))
        if group and state != State.COMPLETE:
            ends = [list(trial.curve.items())[-1] for trial in group]
            epochs, scores = [epoch for epoch, _ in ends], [score for _, score in ends]
            marks.append(dots(result, group, epochs, scores, state, named=False))
    if winner:
        name = f"best: trial {winner.slot}"
        marks.append(replace(_curves([winner], opacity=1.0), name=name, colour=ORANGE, width=3.5))
    epochs_axis = counting("epoch", (epoch for trial in chosen for epoch in trial.curve))
    panel = Panel(epochs_axis, Axis(result.record.objectives[0].name), tuple(marks))
    return Chart("curves", (panel,), remark=shown(chosen, trials))


def _curves(trials: Iterable[Trial], opacity: float) -> Points:
    """Curves as one line with gaps: as fast to draw for hundreds of trials as for one."""
    epochs: list[Number | None] = []
    scores: list[Number | None] = []
    hover: list[str] = []
    for trial in trials:
        epochs += [*trial.curve, None]
        scores += [*(finite(score) for score in trial.curve.values()), None]
        hover += [f"trial {trial.slot}, epoch {e}: {short(score)}" for e, score in trial.curve.items()]
        hover.append("")
    return Points(tuple(epochs), tuple(scores), tuple(hover), line="solid", opacity=opacity)


def pareto(result: StudyResult) -> Chart:
    """The trials that no other one betters, among all: the first objective over each of the others."""
    objectives = result.record.objectives
    trials = measured(result.trials, objectives)
    if not trials:
        return Chart("pareto", missing="No trial has come to a value of every objective yet.")
    front = pareto_front(trials, objectives)
    on_front = {trial.slot for trial in front}
    rest = [trial for trial in trials if trial.slot not in on_front]
    panels = [
        Panel(
            Axis(_directed(other)),
            Axis(_directed(objectives[0])),
            tuple(_front_marks(result, front, rest, position)),
        )
        for position, other in enumerate(objectives)
        if position
    ]
    remark = f"{len(front)} of {len(trials)} complete trials are on the front."
    return Chart("pareto", tuple(panels), columns=min(2, len(panels)), remark=remark)


def _front_marks(
    result: StudyResult, front: Sequence[Trial], rest: Sequence[Trial], position: int
) -> Iterator[Points]:
    # With two objectives the front is a line; with more it is a surface.
    line: Line = "solid" if len(result.record.objectives) == 2 else ""
    looks = (
        (rest, Points((), (), name="bettered by another", colour=GREY, mark="circle")),
        (front, Points((), (), name="front", colour=ORANGE, mark="circle", size=10, line=line)),
    )
    for trials, look in looks:
        if trials:
            yield replace(
                look,
                x=tuple(trial.values[position] for trial in trials),
                y=tuple(trial.values[0] for trial in trials),
                hover=tuple(about(result, trial) for trial in trials),
                name=look.name if position == 1 else "",
            )


def _directed(objective: Objective) -> str:
    return f"{objective.name} ({'more' if objective.maximize else 'less'} is better)"


def timeline(result: StudyResult) -> Chart:
    """Which worker ran which trial, and when."""
    spans = [(trial, span(trial)) for trial in sorted(result.trials, key=_number)]
    ran = [(trial, *times) for trial, times in spans if times is not None]
    if not ran:
        return Chart("timeline", missing="No trial of this study has ended yet.")
    begin, end = min(start for _, start, _ in ran), max(stop for _, _, stop in ran)
    unit, seconds = unit_of((end - begin).total_seconds())
    workers = list(dict.fromkeys(worker(trial) or "unknown" for trial, *_ in ran))[::-1]
    marks: list[Points | Bars] = []
    for state, colour in COLOURS.items():
        group = [(t, start, stop) for t, start, stop in ran if t.state == state]
        if group:
            marks.append(
                Bars(
                    rows=tuple(workers.index(worker(t) or "unknown") for t, *_ in group),
                    starts=tuple((start - begin).total_seconds() / seconds for _, start, _ in group),
                    lengths=tuple((stop - start).total_seconds() / seconds for _, start, stop in group),
                    hover=tuple(_when(result, t, start, stop) for t, start, stop in group),
                    name=state,
                    colour=colour,
                )
            )
    x = Axis(f"{unit} since {begin:%Y-%m-%d %H:%M:%S}")
    y = Axis(ticks=tuple(enumerate(workers)), limits=(-0.6, len(workers) - 0.4))
    return Chart("timeline", (Panel(x, y, tuple(marks)),))


def _number(trial: Trial) -> int:
    """Trials were made in this order, and are begun in it, whatever a clock says."""
    return trial.number


def unit_of(seconds: float) -> tuple[str, float]:
    """The unit in which so long a time is read best, and its seconds."""
    for unit, size in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 3 * size:
            return unit, size
    return "seconds", 1.0


def _when(result: StudyResult, trial: Trial, start: datetime, stop: datetime) -> str:
    lasted = f"{start:%Y-%m-%d %H:%M:%S}, {(stop - start).total_seconds():.1f} s"
    return f"{about(result, trial, params=False)}\n{lasted}"
