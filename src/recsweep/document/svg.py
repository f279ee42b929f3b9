"""A chart as SVG in a page: no script, no network; its words and lines take the page's colours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from recsweep.common.escape import for_html
from recsweep.document import svg_marks as marks
from recsweep.document.svg_scale import Span, span, ticks, widest, width
from recsweep.report.chart import Axis, Bars, Chart, Panel, Points, Scale

WIDTH, HEIGHT, ROW = 360.0, 225.0, 25.0
"""Of a picture that a phone shows at nearly its own size; of a row of bars."""
_LINE = 15.0
_MOST_LETTERS = 22
"""Of a word beside a row."""


@dataclass(frozen=True)
class Frame:
    """The place of a panel's marks in its picture."""

    x: Span
    y: Span
    height: float


def drawing(chart: Chart, label: str) -> str:
    """A chart: an SVG for each of its panels, and what their marks mean.

    Args:
        label: the picture in words, for those who do not see it.
    """
    pictures = "".join(panel_svg(panel, label, chart.scale) for panel in chart.panels)
    return f'<div class="panels">{pictures}</div>{legend(chart)}'


def legend(chart: Chart) -> str:
    """The meaning of a chart's marks, as a list; nothing where none has a name, or a page says it once."""
    found: dict[str, Points | Bars] = {}
    for mark in (mark for panel in chart.panels for mark in panel.marks if mark.name):
        found.setdefault(mark.name, mark)
    if not found or chart.part:
        return ""
    items = (f"<li>{marks.sample(mark)}{for_html(name)}</li>" for name, mark in found.items())
    return f'<ul class="legend">{"".join(items)}</ul>'


def panel_svg(panel: Panel, label: str, scale: Scale | None = None, height: float = HEIGHT) -> str:
    """One pair of axes as an SVG of its own."""
    panel = replace(panel, y=_cut(panel.y))
    frame = _frame(panel, height)
    parts = [
        f'<svg class="plot" role="img" aria-label="{for_html(label)}" '
        f'viewBox="0 0 {WIDTH:g} {frame.height:g}">',
        *_x_axis(panel.x, frame),
        *_y_axis(panel.y, frame),
    ]
    for mark in panel.marks:
        bars = isinstance(mark, Bars)
        draw = marks.bars(mark, frame.x, frame.y) if bars else marks.points(mark, frame.x, frame.y, scale)  # type: ignore[arg-type]
        parts += draw
    parts += [_text(frame.x.at(note.x) - 4, frame.y.at(note.y) + 4, note.text, "end") for note in panel.notes]
    return "".join([*parts, "</svg>"])


def _cut(axis: Axis) -> Axis:
    def short(word: str) -> str:
        return word if len(word) <= _MOST_LETTERS else f"{word[: _MOST_LETTERS - 1]}…"

    return replace(axis, ticks=tuple((value, short(word)) for value, word in axis.ticks))


def _frame(panel: Panel, height: float) -> Frame:
    """Room for the words beside and below, then the spans of what is left."""
    xs, ys = marks.reach(panel.marks)
    if panel.y.ticks and panel.y.limits:  # rows: each has its height
        height = ROW * (float(panel.y.limits[1]) - float(panel.y.limits[0])) + 52
    top, bottom = (24.0 if panel.y.label else 10.0), height - (38.0 if panel.x.label else 22.0)
    y = span(panel.y, ys, bottom, top)
    words = [word for _, word in ticks(panel.y, y, _most_rows(panel.y))] if panel.y.drawn else []
    texts = [text for mark in panel.marks if isinstance(mark, Bars) for text in mark.texts]
    left, right = max(14.0, widest(words) + 10), WIDTH - max(14.0, widest(texts) + 6 if texts else 0)
    return Frame(span(panel.x, xs, left, right), y, height)


def _most_rows(axis: Axis) -> int:
    return len(axis.ticks) or 6


def _x_axis(axis: Axis, frame: Frame) -> Iterator[str]:
    """Lines and words below; the first and the last stay inside the picture."""
    if not axis.drawn:
        return
    x, top, bottom = frame.x, frame.y.end, frame.y.start
    longest = widest([word for _, word in axis.ticks]) if axis.ticks else 34.0
    most = max(2, int((x.end - x.start) / (longest + 12)))
    shown = ticks(axis, x, min(most, 8))
    lines = "".join(f"M{_number(x.at(value))} {_number(top)}V{_number(bottom)}" for value, _ in shown)
    yield f'<path class="grid" d="{lines}"/>'
    for value, word in shown:
        at, half = x.at(value), width(word) / 2
        anchor = "end" if at + half > WIDTH else ("start" if at - half < 0 else "middle")
        yield _text(at, bottom + _LINE, word, anchor)
    if axis.label:
        yield _text((x.start + x.end) / 2, frame.height - 6, axis.label, "middle", "label")


def _y_axis(axis: Axis, frame: Frame) -> Iterator[str]:
    if not axis.drawn:
        return
    x, y = frame.x, frame.y
    shown = ticks(axis, y, _most_rows(axis))
    if not axis.ticks:
        lines = "".join(f"M{_number(x.start)} {_number(y.at(v))}H{_number(x.end)}" for v, _ in shown)
        yield f'<path class="grid" d="{lines}"/>'
    for value, word in shown:
        yield _text(x.start - 6, y.at(value) + 4, word, "end")
    if axis.label:
        yield _text(4, 13, axis.label, "start", "label")


def _text(x: float, y: float, words: str, anchor: str, kind: str = "") -> str:
    own = f' class="{kind}"' if kind else ""
    return f'<text{own} x="{_number(x)}" y="{_number(y)}" text-anchor="{anchor}">{for_html(words)}</text>'


def _number(value: float) -> str:
    return marks.number(value)
