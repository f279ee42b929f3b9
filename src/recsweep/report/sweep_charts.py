"""The pictures that compare the models of a sweep on a data set. Validation scores only."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from recsweep.common.escape import short
from recsweep.report.chart import Axis, Bars, Chart, Number, Panel, Points, Table, counting
from recsweep.report.comparison import Entry, drawn, steps
from recsweep.report.score_charts import unit_of
from recsweep.report.study_tables import limited
from recsweep.study import State

_MOST_MARKS = 300
"""More marks of a model than this hide each other."""
_LOG_FROM = 8
"""So many times the time of another model need a scale on which both can be read."""
_STATES = (State.COMPLETE, State.PRUNED, State.FAILED)
_EVERYTHING = "trials.csv of each study"
_NOTHING = "No trial has come to a score yet."


@dataclass(frozen=True)
class Comparison:
    """One of the pictures that every data set has."""

    name: str
    title: str
    caption: str
    draw: Callable[[Sequence[Entry]], Chart]


def over_trials(entries: Sequence[Entry]) -> Chart:
    """The best score so far over the trials that were spent."""
    chosen, remark = drawn(entries)
    if not chosen:
        return Chart("trials", missing=_NOTHING)
    marks: list[Points | Bars] = []
    for entry in chosen:
        marks += _stairs(entry, [step.trials for step in steps(entry)], len(entry.trials))
    x = counting("trials", (1, *(len(entry.trials) for entry in chosen)))
    rows = [(entry.model, str(step.trials), short(step.score)) for entry in chosen for step in steps(entry)]
    table = limited(("model", "trials", f"best {entries[0].metric}"), rows, _EVERYTHING)
    panel = Panel(x, Axis(entries[0].metric), tuple(marks))
    return Chart("trials", (panel,), remark=remark, part=True, table=table)


def over_seconds(entries: Sequence[Entry]) -> Chart:
    """The best score so far over the training time that was spent."""
    chosen, remark = drawn(entries)
    whole = {entry.model: entry.result.all_seconds for entry in chosen}
    if not any(whole.values()):
        return Chart("seconds", missing="No trial has told its training time." if chosen else _NOTHING)
    unit, size = unit_of(max(whole.values()))
    marks: list[Points | Bars] = []
    for entry in chosen:
        marks += _stairs(entry, [step.seconds / size for step in steps(entry)], whole[entry.model] / size)
    rows = [
        (entry.model, f"{step.seconds:.1f}", short(step.score)) for entry in chosen for step in steps(entry)
    ]
    table = limited(("model", "seconds", f"best {entries[0].metric}"), rows, _EVERYTHING)
    x = _time_axis(f"{unit} of training", [value / size for value in whole.values()], marks)
    panel = Panel(x, Axis(entries[0].metric), tuple(marks))
    return Chart("seconds", (panel,), remark=remark, part=True, table=table)


def _stairs(entry: Entry, positions: Sequence[Number], end: Number) -> Iterator[Points]:
    """A line that rises where a trial was better, and a mark at its end."""
    x: list[Number] = []
    y: list[Number] = []
    hover: list[str] = []
    for position, step in zip(positions, steps(entry), strict=True):
        said = f"{entry.model}\ntrial {step.trial.slot}: {entry.metric} {short(step.score)}"
        if y:
            x, y, hover = [*x, position], [*y, y[-1]], [*hover, hover[-1]]
        x, y, hover = [*x, position], [*y, step.score], [*hover, said]
    x, y, hover = [*x, max(end, x[-1])], [*y, y[-1]], [*hover, hover[-1]]
    line = Points(
        tuple(x),
        tuple(y),
        tuple(hover),
        entry.model,
        entry.look.colour,
        line=entry.look.line,
        width=2.5,
        group=entry.model,
    )
    yield line
    yield replace(line, x=(x[-1],), y=(y[-1],), hover=(hover[-1],), name="", line="", mark="circle", size=8)


def _time_axis(label: str, times: Sequence[float], marks: Sequence[Points | Bars]) -> Axis:
    """An axis on which the fast and the slow can be read: where they are far apart, in powers of ten."""
    positions = [x for mark in marks if isinstance(mark, Points) for x in mark.x if x is not None]
    if min(positions) <= 0 or max(times) <= _LOG_FROM * min(times):
        return Axis(label)
    return _log_axis(label, min(positions), max(positions))


def _log_axis(label: str, low: float, high: float) -> Axis:
    low, high = low / 1.2, high * 1.25
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    digits = (1, 2, 5) if high / low < 1000 else (1,)
    round_values = [digit * 10.0**power for power in decades for digit in digits]
    ticks = tuple((value, f"{value:g}") for value in round_values if low <= value <= high)
    return Axis(label, log=True, ticks=ticks, limits=(low, high))


def distributions(entries: Sequence[Entry]) -> Chart:
    """The scores of each model's complete trials: a mark each, with a box from quarter to quarter."""
    chosen, remark = drawn(entries)
    if not chosen:
        return Chart("scores", missing=_NOTHING)
    marks: list[Points | Bars] = []
    for row, entry in enumerate(reversed(chosen)):
        marks += _box(entry, row)
    names = tuple(entry.model for entry in reversed(chosen))
    y = Axis(ticks=tuple(enumerate(names)), limits=(-0.6, len(names) - 0.4))
    panel = Panel(Axis(entries[0].metric), y, tuple(marks))
    return Chart("scores", (panel,), remark=remark, part=True, table=_quarters_table(entries))


def _box(entry: Entry, row: int) -> Iterator[Points | Bars]:
    scores = [score for _, score in entry.scores]
    low, first, middle, third, high = _quarters(scores)
    told = f"{entry.model}\nmedian {short(middle)}, half of them from {short(first)} to {short(third)}"
    plain = Points((), (), colour=entry.look.colour, group=entry.model)
    if len(scores) > 1:
        box = Bars((row,), (first,), (third - first,), (told,), opacity=0.3, colour=plain.colour)
        yield replace(box, group=entry.model)
        yield replace(plain, x=(low, first, None, third, high), y=(row,) * 5, line="solid")
        yield replace(plain, x=(middle, middle), y=(row - 0.35, row + 0.35), line="solid", width=3)
    shown = sorted(entry.scores, key=lambda pair: pair[1])
    shown = shown[:: -(-len(shown) // _MOST_MARKS)]
    yield replace(
        plain,
        x=tuple(score for _, score in shown),
        # A little apart, where equal scores would hide each other; the same at each drawing.
        y=tuple(row + ((trial.slot * 0.618) % 1.0 - 0.5) * 0.4 for trial, _ in shown),
        hover=tuple(f"{entry.model}\ntrial {t.slot}: {entry.metric} {short(score)}" for t, score in shown),
        mark="circle",
        size=6,
        opacity=0.75,
    )


def _quarters(scores: Sequence[float]) -> tuple[float, float, float, float, float]:
    """The lowest, the three that part them into quarters, the highest."""
    if len(scores) == 1:
        return (scores[0],) * 5
    first, middle, third = statistics.quantiles(scores, n=4, method="inclusive")
    return min(scores), first, middle, third, max(scores)


def _quarters_table(entries: Sequence[Entry]) -> Table:
    rows = []
    for entry in entries:
        scores = [score for _, score in entry.scores]
        quarters = [short(float(value)) for value in _quarters(scores)] if scores else ["-"] * 5
        states = [trial.state for trial in entry.trials]
        rows.append([entry.model, *(str(states.count(s)) for s in _STATES), *quarters])
    names = ("lowest", "quarter", "median", "three quarters", "highest")
    return limited(("model", *_STATES, *names), rows)


COMPARISONS = (
    Comparison(
        "trials",
        "Best so far, by trials",
        "The best score on validation after so many trials, in the order of their numbers.",
        over_trials,
    ),
    Comparison(
        "seconds",
        "Best so far, by training time",
        "The same over the time that the trials took to train, added up.",
        over_seconds,
    ),
    Comparison(
        "scores",
        "Scores of all trials",
        "Each mark is a complete trial. The box holds the middle half, its line is the median.",
        distributions,
    ),
)
