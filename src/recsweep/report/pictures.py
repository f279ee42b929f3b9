"""A chart as a PNG. The only importer of matplotlib; it draws without a screen, a browser or global state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator, MultipleLocator

from recsweep.report.chart import Axis, Bars, Chart, Panel, Points, Scale, colours
from recsweep.report.thumbnails import MOST_TICKS, small

DPI = 150
_STYLE: Any = {
    "text.parse_math": False,  # a name may hold dollars
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#8a8f98",
    "axes.grid": True,
    "grid.color": "#e4e7eb",
    "axes.axisbelow": True,
}
# A gallery shows a thumbnail at half its size or less.
_SMALL_SIZE = 4.2, 2.8
_SMALL_STYLE: Any = {"font.size": 11, "legend.handlelength": 1.2, "legend.columnspacing": 1.0}
_LINES = {"solid": "solid", "steps": "solid", "dash": (0, (4, 2)), "dot": (0, (1, 1.5))}
_MARKS = {"": "", "circle": "o", "cross": "x", "star": "*"}
_MOST_LABEL_LETTERS = 30


def write_picture(chart: Chart, title: str, path: Path) -> None:
    """Draw a chart into a PNG file."""
    with mpl.rc_context(_STYLE):
        figure, all_axes = _figure(chart, _size(chart))
        if chart.scale:
            _colour_bar(figure, chart.scale, all_axes)
        _legend(figure, all_axes, most=5)
        figure.suptitle(title, fontsize=11, fontweight="bold", x=0.01, ha="left")
        figure.savefig(path, format="png", metadata={"Software": None})


def write_thumbnail(chart: Chart, path: Path) -> None:
    """Draw a chart into a small PNG file without a background, whose words can be read as small as it is."""
    shown = small(chart)
    with mpl.rc_context({**_STYLE, **_SMALL_STYLE}):
        figure, all_axes = _figure(shown, _SMALL_SIZE)
        for axes, panel in zip(all_axes, shown.panels, strict=False):
            for own, axis in ((axes.xaxis, panel.x), (axes.yaxis, panel.y)):
                if not axis.ticks:
                    own.set_major_locator(MaxNLocator(MOST_TICKS, integer=axis.step is not None))
        _legend(figure, all_axes, most=3)
        figure.savefig(path, format="png", metadata={"Software": None}, transparent=True)


def _figure(chart: Chart, size: tuple[float, float]) -> tuple[Figure, list[Any]]:
    """The panels of a chart, drawn; and their axes."""
    figure = Figure(figsize=size, dpi=DPI, layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.08))
    FigureCanvasAgg(figure)
    grid = figure.subplots(chart.rows, chart.columns, squeeze=False)
    all_axes = [axes for row in grid for axes in row]
    for axes, panel in zip(all_axes, chart.panels, strict=False):
        _draw(axes, panel, chart.scale)
    for axes in all_axes[len(chart.panels) :]:
        axes.set_visible(False)
    return figure, all_axes


def _size(chart: Chart) -> tuple[float, float]:
    if chart.rows > 1:
        return 9.0, 0.8 + 2.5 * chart.rows
    bars = [mark for panel in chart.panels for mark in panel.marks if isinstance(mark, Bars)]
    rows = len({row for mark in bars for row in mark.rows})
    return 9.0, max(2.2, 1.4 + 0.4 * rows) if rows else 4.8


def _draw(axes: Any, panel: Panel, scale: Scale | None) -> None:
    for mark in panel.marks:
        if isinstance(mark, Bars):
            _bars(axes, mark)
        else:
            _points(axes, mark, scale)
    _axis(axes, panel.x, "x")
    _axis(axes, panel.y, "y")
    for note in panel.notes:
        axes.annotate(
            note.text[:_MOST_LABEL_LETTERS],
            (note.x, note.y),
            xytext=(-4, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            fontsize=7.5,
            bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.75},
        )


def _points(axes: Any, points: Points, scale: Scale | None) -> None:
    x = [float("nan") if value is None else value for value in points.x]
    y = [float("nan") if value is None else value for value in points.y]
    size = points.size * 0.75
    if points.shades and scale:
        colour = {"c": points.shades, "cmap": _colour_map(scale), "norm": _norm(scale)}
        axes.scatter(x, y, s=size**2, label=points.name or None, **colour)
        return
    axes.plot(
        x,
        y,
        label=points.name or None,
        color=points.colour,
        linestyle=_LINES[points.line] if points.line else "none",
        drawstyle="steps-post" if points.line == "steps" else "default",
        marker=_MARKS[points.mark],
        markersize=size,
        linewidth=points.width * 0.75,
        alpha=points.opacity,
        zorder=3 if points.mark == "star" else 2,
    )


def _bars(axes: Any, bars: Bars) -> None:
    drawn = axes.barh(
        bars.rows,
        bars.lengths,
        left=bars.starts,
        height=0.7,
        color=bars.colour,
        edgecolor="white",
        linewidth=0.5,
        alpha=bars.opacity,
        label=bars.name or None,
    )
    if bars.texts:
        axes.bar_label(drawn, bars.texts, padding=3, fontsize=8)


def _axis(axes: Any, axis: Axis, side: str) -> None:
    own = axes.xaxis if side == "x" else axes.yaxis
    if axis.log:
        getattr(axes, f"set_{side}scale")("log")
    if axis.limits:
        getattr(axes, f"set_{side}lim")(*axis.limits)
    if axis.step:
        own.set_major_locator(MultipleLocator(axis.step))
    if axis.ticks:
        labels = [label[:_MOST_LABEL_LETTERS] for _, label in axis.ticks]
        own.set_ticks([position for position, _ in axis.ticks], labels)
        own.set_ticks([], minor=True)
        if side == "x" and sum(map(len, labels)) * axes.get_gridspec().ncols > 60:
            axes.tick_params(axis="x", rotation=25)
            for label in axes.get_xticklabels():
                label.set_horizontalalignment("right")
                label.set_rotation_mode("anchor")
    getattr(axes, f"set_{side}label")(axis.label)
    if not axis.drawn:
        own.set_visible(False)
        axes.grid(visible=False)
        for spine in axes.spines.values():
            spine.set_visible(False)


def _legend(figure: Figure, all_axes: list[Any], most: int) -> None:
    found: dict[str, Any] = {}
    for axes in all_axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    if found:
        figure.legend(
            list(found.values()),
            list(found),
            loc="outside lower center",
            ncols=min(len(found), most),
            frameon=False,
        )


def _colour_bar(figure: Figure, scale: Scale, all_axes: list[Any]) -> None:
    whole = isinstance(scale.start, int) and isinstance(scale.end, int)
    ticks, colour = MaxNLocator(6, integer=whole), ScalarMappable(_norm(scale), _colour_map(scale))
    bar = figure.colorbar(colour, ax=all_axes, ticks=ticks, fraction=0.03, pad=0.015)
    bar.set_label(scale.label)
    bar.outline.set_visible(False)


def _norm(scale: Scale) -> Normalize:
    return Normalize(min(scale.start, scale.end), max(scale.start, scale.end))


def _colour_map(scale: Scale) -> Colormap:
    map_ = LinearSegmentedColormap.from_list("recsweep", colours())
    return map_.reversed() if scale.end < scale.start else map_
