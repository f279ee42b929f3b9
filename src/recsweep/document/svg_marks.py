"""Marks of a chart as SVG: lines, points, bars, and a sample of each for a legend."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from recsweep.common.escape import for_html
from recsweep.document.svg_scale import Span
from recsweep.report.chart import Bars, Number, Points, Scale, shade

_DASHES = {"dash": "6 4", "dot": "2 3"}
_MOST_STEPS = 160
"""Points of a line; more than these are not seen at the size of a picture."""
_STAR = "M0-7L1.8-2.2 6.7-2.2 2.7.9 4.1 5.7 0 2.8-4.1 5.7-2.7.9-6.7-2.2-1.8-2.2Z"


def reach(marks: Sequence[Points | Bars]) -> tuple[list[float], list[float]]:
    """All values of some marks, along x and along y."""
    xs: list[float] = []
    ys: list[float] = []
    for mark in marks:
        if isinstance(mark, Bars):
            xs += map(float, mark.starts)
            xs += [float(start + length) for start, length in zip(mark.starts, mark.lengths, strict=True)]
            ys += map(float, mark.rows)
        else:
            pairs = [(x, y) for x, y in zip(mark.x, mark.y, strict=True) if x is not None and y is not None]
            xs += [float(x) for x, _ in pairs]
            ys += [float(y) for _, y in pairs]
    return xs, ys


def points(mark: Points, x: Span, y: Span, scale: Scale | None) -> Iterator[str]:
    """A line, marks, or both."""
    if mark.line:
        yield _line(mark, x, y)
    if not mark.mark:
        return
    yield f'<g fill="{mark.colour}" stroke="{mark.colour}"{_opacity(mark.opacity)}>'
    for position, (value, height) in enumerate(zip(mark.x, mark.y, strict=True)):
        if value is None or height is None:
            continue
        told = mark.hover[position] if position < len(mark.hover) else ""
        colour = shade(scale.at(mark.shades[position])) if mark.shades and scale else ""
        yield _mark(mark, (x.at(value), y.at(height)), colour, told)
    yield "</g>"


def _mark(mark: Points, at: tuple[float, float], colour: str, told: str) -> str:
    left, top, half = number(at[0]), number(at[1]), number(mark.size / 2)
    title = f"<title>{for_html(told.splitlines()[0])}{_rest(told)}</title>" if told else ""
    filled = f' fill="{colour}"' if colour else ""
    if mark.mark == "circle":
        return f'<circle cx="{left}" cy="{top}" r="{half}" stroke="none"{filled}>{title}</circle>'
    moved = f'transform="translate({left} {top})"'
    if mark.mark == "star":
        return f'<path d="{_STAR}" {moved} stroke="none">{title}</path>'
    cross = f"M-{half}-{half}L{half} {half}M{half}-{half}L-{half} {half}"
    return f'<path d="{cross}" {moved} fill="none" stroke-width="1.5">{title}</path>'


def _rest(told: str) -> str:
    return "".join(f"\n{for_html(line)}" for line in told.splitlines()[1:])


def _line(mark: Points, x: Span, y: Span) -> str:
    steps: list[str] = []
    for run in _runs(mark):
        places = [(number(x.at(value)), number(y.at(height))) for value, height in run]
        steps.append(f"M{places[0][0]} {places[0][1]}")
        if mark.line == "steps":
            steps += [f"H{left}V{top}" for left, top in places[1:]]
        else:
            steps += [f"L{left} {top}" for left, top in places[1:]]
    title = f"<title>{for_html(mark.name or mark.group)}</title>" if mark.name or mark.group else ""
    dashes = f' stroke-dasharray="{_DASHES[mark.line]}"' if mark.line in _DASHES else ""
    return (
        f'<path d="{"".join(steps)}" fill="none" stroke="{mark.colour}" stroke-width="{mark.width:g}" '
        f'stroke-linejoin="round"{dashes}{_opacity(mark.opacity)}>{title}</path>'
    )


def _runs(mark: Points) -> Iterator[list[tuple[Number, Number]]]:
    """The line in parts, at whose ends it breaks; of a long one every second, third, … point."""
    run: list[tuple[Number, Number]] = []
    for x, y in [*zip(mark.x, mark.y, strict=True), (None, None)]:
        if x is not None and y is not None:
            run.append((x, y))
        elif run:
            every = 1 if mark.line == "steps" else -(-len(run) // _MOST_STEPS)
            yield run if every == 1 else [*run[:-1][::every], run[-1]]
            run = []


def bars(mark: Bars, x: Span, y: Span) -> Iterator[str]:
    """Horizontal bars, with the words beside them."""
    thick = abs(y.at(0) - y.at(0.66))
    yield f'<g fill="{mark.colour}"{_opacity(mark.opacity)}>'
    for position, (row, start, length) in enumerate(zip(mark.rows, mark.starts, mark.lengths, strict=True)):
        left, right = x.at(start), x.at(start + length)
        told = mark.hover[position] if position < len(mark.hover) else ""
        title = f"<title>{for_html(told)}</title>" if told else ""
        yield (
            f'<rect x="{number(left)}" y="{number(y.at(row) - thick / 2)}" rx="2" '
            f'width="{number(max(right - left, 1.0))}" height="{number(thick)}">{title}</rect>'
        )
    yield "</g>"
    for row, start, length, words in zip(mark.rows, mark.starts, mark.lengths, mark.texts, strict=False):
        beside, foot = number(x.at(start + length) + 5), number(y.at(row) + 4)
        yield f'<text x="{beside}" y="{foot}">{for_html(words)}</text>'


def sample(mark: Points | Bars) -> str:
    """A mark as a legend shows it."""
    x, y = Span(0, 1, 3, 25), Span(0, 1, 10, 2)
    if isinstance(mark, Bars):
        drawn = f'<rect x="4" y="2" width="20" height="8" fill="{mark.colour}"{_opacity(mark.opacity)}/>'
    else:
        line = replace(mark, x=(0, 1), y=(0.5, 0.5), hover=(), name="", group="", mark="", shades=())
        mark_ = replace(mark, x=(0.5,), y=(0.5,), hover=(), line="", shades=())
        drawn = "".join([*points(line, x, y, None), *points(mark_, x, y, None)])
    return f'<svg width="28" height="12" viewBox="0 0 28 12" aria-hidden="true">{drawn}</svg>'


def _opacity(value: float) -> str:
    return "" if value == 1.0 else f' opacity="{value:.2g}"'


def number(value: float) -> str:
    """A place to a tenth, in as few letters as can be."""
    text = f"{value:.1f}"
    return text[:-2] if text.endswith(".0") else text
