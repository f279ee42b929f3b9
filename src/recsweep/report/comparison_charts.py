"""Pictures of compared models: differences with their intervals; mean ranks, and the critical difference."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from recsweep.report.chart import BLUE, GREY, ORANGE, Axis, Bars, Chart, Note, Panel, Points, Table
from recsweep.report.model_comparison import Compared
from recsweep.statistics.comparison import Comparison, metric_name
from recsweep.statistics.ranks import Ranking

_NOTHING = "No two models were tested, with scores for each user."
_MOST_PAIRS = 30
"""More rows than this cannot be read in one picture; the table has them all."""
_COLUMNS = ("pair", "difference", "low", "high", "effect size", "p", "p corrected")


def comparison_chart(compared: Compared) -> Chart:
    """All of it in one picture: a panel for each data set and metric, then one for each ranking."""
    charts = [differences(list(own)) for _, own in itertools.groupby(compared.comparisons, _family)]
    charts += [mean_ranks(one) for one in compared.rankings]
    panels = tuple(panel for chart in charts for panel in chart.panels)
    if not panels:
        return Chart("comparison", missing=_NOTHING)
    columns = min(2, len(panels))
    return Chart("comparison", panels, columns, remark="; ".join(filter(None, (c.remark for c in charts))))


def _family(one: Comparison) -> tuple[str, str]:
    return one.dataset, one.metric


def differences(comparisons: Sequence[Comparison]) -> Chart:
    """The differences of a data set in a metric: a row a pair, blue where the data can tell the two apart."""
    if not comparisons:
        return Chart("differences", missing=_NOTHING)
    shown = comparisons[:_MOST_PAIRS]
    first = comparisons[0]
    rows = list(reversed(list(enumerate(reversed(shown)))))
    limits = (-0.6, len(shown) - 0.4)
    marks: list[Points | Bars] = [Points((0, 0), limits, colour=GREY, line="dash", width=1)]
    for row, one in rows:
        marks += _interval(row, one.low, one.difference, one.high, one.sentence(), found=one.found)
    ticks = tuple((row, f"{one.a} − {one.b}") for row, one in rows)
    x = Axis(f"difference in {first.metric}, {first.dataset}")
    left = len(comparisons) - len(shown)
    remark = f"{left} more pairs on {first.dataset} are in the table" if left else ""
    table = Table(_COLUMNS, tuple(_row(one) for one in comparisons))
    panel = Panel(x, Axis(ticks=ticks, limits=limits), tuple(marks))
    return Chart("differences", (panel,), remark=remark, table=table)


def mean_ranks(ranking: Ranking) -> Chart:
    """Mean ranks over data sets; above them Demsar's critical difference, and who lies within it."""
    count = len(ranking.models)
    rows = [(count - 1 - nth, nth) for nth in range(count)]
    marks: list[Points | Bars] = []
    for row, nth in rows:
        said = f"{ranking.models[nth]}, mean rank {ranking.ranks[nth]:.2f}"
        low, high = ranking.low[nth], ranking.high[nth]
        marks += _interval(row, low, ranking.ranks[nth], high, said, found=False)
    above, notes, top = _critical(ranking, count)
    ticks = tuple((row, ranking.models[nth]) for row, nth in rows)
    label = f"mean rank in {metric_name(ranking.metric)} over {len(ranking.datasets)} data sets"
    x = Axis(label, step=1, limits=(0.8, count + 0.2))
    panel = Panel(x, Axis(ticks=ticks, limits=(-0.6, top)), (*marks, *above), notes)
    numbers = zip(ranking.models, ranking.ranks, ranking.low, ranking.high, strict=True)
    table = tuple((model, *(f"{value:.2f}" for value in own)) for model, *own in numbers)
    return Chart("ranks", (panel,), table=Table(("model", "mean rank", "low", "high"), table))


def _critical(ranking: Ranking, count: int) -> tuple[list[Points], tuple[Note, ...], float]:
    """The ruler, and a bar for each group of models that the data sets cannot tell apart."""
    if ranking.critical is None:
        return [], (), count - 0.4
    places = dict(zip(ranking.models, ranking.ranks, strict=True))
    bars = []
    for number, group in enumerate(ranking.groups):
        ends, height = (places[group[0]], places[group[-1]]), count - 0.3 + 0.3 * number
        said = f"not told apart: {', '.join(group)}"
        bars.append(Points(ends, (height, height), (said,), colour=ORANGE, line="solid", width=5))
    top = count - 0.3 + 0.3 * len(ranking.groups) + 0.3
    end = 1 + ranking.critical
    ruler = Points((1, end), (top, top), ("critical difference",), colour=GREY, line="solid", width=2)
    note = Note(min(end, count), top + 0.35, f"critical difference {ranking.critical:.2f}")
    return [*bars, ruler], (note,), top + 0.8


def _interval(
    row: int, low: float, middle: float, high: float, said: str, *, found: bool
) -> Iterator[Points]:
    colour = BLUE if found else GREY
    if math.isfinite(low) and math.isfinite(high):
        yield Points((low, high), (row, row), (), colour=colour, line="solid", width=3)
    yield replace(Points((middle,), (row,), (said,), colour=colour), mark="circle", size=9)


def _row(one: Comparison) -> tuple[str, ...]:
    numbers = one.digits(one.difference, one.low, one.high)
    chances = (f"{value:.2g}" for value in (one.effect, one.p, one.p_corrected))
    return (f"{one.a} − {one.b}", *numbers, *chances)
