"""A picture that can be read where it is as small as a stamp: fewer panels, bars, ticks and words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from recsweep.report.chart import Axis, Bars, Chart, Number, Panel, Points

MOST_PANELS, MOST_ROWS, MOST_TICKS = 2, 6, 3
_LETTERS = 11


def small(chart: Chart) -> Chart:
    """The same picture for a thumbnail. Its page has all of it."""
    panels = tuple(_panel(panel) for panel in chart.panels[:MOST_PANELS])
    return replace(chart, panels=panels, columns=min(chart.columns, len(panels)))


def _panel(panel: Panel) -> Panel:
    panel = _top(panel) if len(panel.y.ticks) > MOST_ROWS else panel
    return replace(panel, x=_short(panel.x), y=_short(panel.y, most=MOST_ROWS), notes=())


def _top(panel: Panel) -> Panel:
    """The highest rows alone: the longest bars, the best models."""
    least = len(panel.y.ticks) - MOST_ROWS - 0.5
    marks = tuple(_cut(mark, least) for mark in panel.marks)
    ticks = tuple((position, word) for position, word in panel.y.ticks if position > least)
    high = panel.y.limits[1] if panel.y.limits else len(panel.y.ticks)
    return replace(panel, marks=marks, y=replace(panel.y, ticks=ticks, limits=(least, high)))


def _cut(mark: Points | Bars, least: float) -> Points | Bars:
    if isinstance(mark, Points):
        return replace(mark, y=tuple(None if y is None or y < least else y for y in mark.y))
    kept = [i for i, row in enumerate(mark.rows) if row > least]

    def held(values: tuple[Number, ...]) -> tuple[Number, ...]:
        return tuple(values[i] for i in kept)

    texts = tuple(mark.texts[i] for i in kept) if mark.texts else ()
    return replace(
        mark, rows=held(mark.rows), starts=held(mark.starts), lengths=held(mark.lengths), texts=texts
    )


def _short(axis: Axis, most: int = MOST_TICKS) -> Axis:
    words = _every(axis.ticks, most)
    ticks = tuple(
        (position, word if len(word) <= _LETTERS else f"{word[: _LETTERS - 1]}…") for position, word in words
    )
    return replace(axis, label=axis.label[:24], ticks=ticks)


def _every(ticks: Iterable[tuple[Number, str]], most: int) -> list[tuple[Number, str]]:
    all_ticks = list(ticks)
    return all_ticks[:: -(-len(all_ticks) // most)] if all_ticks else all_ticks
