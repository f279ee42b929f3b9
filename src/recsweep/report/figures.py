"""A chart as a plotly figure, for a page. The only importer of plotly."""

from __future__ import annotations

import html
import math
from dataclasses import replace
from typing import Any

import plotly.graph_objects as go  # type: ignore[import-untyped]
from plotly.offline import get_plotlyjs  # type: ignore[import-untyped]
from plotly.subplots import make_subplots  # type: ignore[import-untyped]

from recsweep.common.escape import for_terminal
from recsweep.report.chart import Axis, Bars, Chart, Panel, Points, colours

_PANEL_HEIGHT, _GRID_HEIGHT, _PART_HEIGHT = 520, 330, 380
_TICK_WIDTH = 90  # of a word below an axis
_SYMBOLS = {"circle": "circle", "cross": "x-thin-open", "star": "star"}
_MOST_LABEL_LETTERS = 60


def script() -> str:
    """The one script that all pages share."""
    text: str = get_plotlyjs()
    return text


def figure_json(chart: Chart) -> str:
    """A chart as JSON that may stand in a page's script element."""
    text: str = figure(chart).to_json()
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def figure(chart: Chart) -> Any:
    """A chart as a plotly figure. Colours of text and grid are the page's, which may be dark."""
    result = make_subplots(
        rows=chart.rows,
        cols=chart.columns,
        horizontal_spacing=0.2 / chart.columns if chart.columns > 1 else 0.2,
        vertical_spacing=min(0.28 / chart.rows, 0.22),
    )
    for number, panel in enumerate(chart.panels):
        row_and_column = {"row": number // chart.columns + 1, "col": number % chart.columns + 1}
        for mark in panel.marks:
            result.add_traces(_traces(mark), rows=row_and_column["row"], cols=row_and_column["col"])
        result.update_xaxes(_axis(panel.x), **row_and_column)
        result.update_yaxes(_axis(panel.y), **row_and_column)
        for note in panel.notes:
            text, at = _text(note.text), {"x": note.x, "y": note.y, **row_and_column}
            result.add_annotation(text=text, showarrow=False, xanchor="right", xshift=-5, font_size=11, **at)
    _colour_scale(result, chart)
    result.update_layout(
        height=_height(chart),
        meta=_shape(chart),
        margin={"l": 70, "r": 30, "t": 20 if chart.part else 50, "b": 60},
        template="none",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        hovermode="closest",
        hoverlabel={"align": "left"},
        barmode="overlay",
        showlegend=not chart.part,
        legend={"orientation": "h", "x": 0, "y": 1, "yref": "container", "yanchor": "top"},
    )
    return result


def _shape(chart: Chart) -> dict[str, int]:
    """All that a page needs to put the panels of a chart where there is less room."""
    words = [len(panel.x.ticks) for panel in chart.panels] if chart.columns == 1 else []
    least = _TICK_WIDTH * max(words, default=0)
    return {"panels": len(chart.panels), "columns": chart.columns, "tall": _GRID_HEIGHT, "least": least}


def _height(chart: Chart) -> int:
    if chart.rows > 1:
        return 90 + _GRID_HEIGHT * chart.rows
    if chart.part:
        rows = max((len(panel.y.ticks) for panel in chart.panels), default=0)
        return 110 + 44 * rows if rows else _PART_HEIGHT
    longest = max((_row_count(panel) for panel in chart.panels), default=0)
    return max(_PANEL_HEIGHT, 130 + 26 * longest) if longest > 3 or not longest else 260 + 30 * longest


def _row_count(panel: Panel) -> int:
    return len({row for mark in panel.marks if isinstance(mark, Bars) for row in mark.rows})


def _traces(mark: Points | Bars) -> list[Any]:
    if isinstance(mark, Bars):
        return [_bars(mark)]
    if not (mark.shades and mark.name):
        return [_points(mark)]
    # The legend cannot show marks of many colours: a mark without a place stands for them.
    sample = replace(mark, x=(None,), y=(None,), shades=(), hover=())
    group = {"legendgroup": mark.name}
    return [_points(sample).update(group), _points(replace(mark, name="")).update(group)]


def _points(points: Points) -> Any:
    modes = [mode for mode, used in (("lines", points.line), ("markers", points.mark)) if used]
    trace: dict[str, Any] = {
        "x": points.x,
        "y": points.y,
        "mode": "+".join(modes),
        "opacity": points.opacity,
        "name": _text(points.name),
        "showlegend": bool(points.name),
        "connectgaps": False,
        "legendgroup": points.group or None,
    }
    if points.line:
        shape = {"shape": "hv"} if points.line == "steps" else {"dash": points.line}
        trace["line"] = {"color": points.colour, "width": points.width, **shape}
    if points.mark:
        trace["marker"] = _marker(points)
    return go.Scatter({**trace, **_hover(points.hover)})


def _marker(points: Points) -> dict[str, Any]:
    symbol, size = _SYMBOLS[points.mark], points.size
    if points.shades:
        return {"symbol": symbol, "size": size, "color": points.shades, "coloraxis": "coloraxis"}
    # A thin cross has no area: its line carries the colour.
    line = {"color": points.colour, "width": 2 if points.mark == "cross" else 0}
    return {"symbol": symbol, "size": size, "color": points.colour, "line": line}


def _bars(bars: Bars) -> Any:
    return go.Bar(
        {
            "orientation": "h",
            "y": bars.rows,
            "x": bars.lengths,
            "base": bars.starts,
            "marker": {"color": bars.colour, "line": {"color": "rgba(255,255,255,0.6)", "width": 1}},
            "width": 0.7,
            "opacity": bars.opacity,
            "legendgroup": bars.group or None,
            "name": _text(bars.name),
            "showlegend": bool(bars.name),
            "text": [_text(text) for text in bars.texts] or None,
            "textposition": "outside" if bars.texts else "none",
            "cliponaxis": False,
            **_hover(bars.hover),
        }
    )


def _hover(texts: tuple[str, ...]) -> dict[str, Any]:
    if not texts:
        return {"hoverinfo": "skip"}
    return {"customdata": [_text(text) for text in texts], "hovertemplate": "%{customdata}<extra></extra>"}


def _axis(axis: Axis) -> dict[str, Any]:
    layout: dict[str, Any] = {
        "title": {"text": _text(axis.label)},
        "visible": axis.drawn,
        "zeroline": False,
        "automargin": True,
    }
    if axis.log:
        layout["type"] = "log"
        if axis.limits:
            layout["range"] = [math.log10(limit) for limit in axis.limits]
    elif axis.limits:
        layout["range"] = list(axis.limits)
    if axis.step:
        layout["dtick"] = axis.step
    if axis.ticks:
        layout["tickvals"] = [position for position, _ in axis.ticks]
        layout["ticktext"] = [_text(label[:_MOST_LABEL_LETTERS]) for _, label in axis.ticks]
    return layout


def _colour_scale(result: Any, chart: Chart) -> None:
    scale = chart.scale
    if scale is None:
        return
    down = scale.end < scale.start
    low, high = sorted((scale.start, scale.end))
    axis = {"colorscale": colours(), "cmin": low, "cmax": high, "reversescale": down}
    bar = {"title": {"text": _text(scale.label)}, "thickness": 14, "outlinewidth": 0}
    result.update_layout(coloraxis={**axis, "colorbar": bar})
    # The bar is shown by marks alone; lines have their colours already.
    shown = {"mode": "markers", "marker": {"color": [low], "coloraxis": "coloraxis"}}
    result.add_trace(go.Scatter(x=[None], y=[None], hoverinfo="skip", showlegend=False, **shown))


def _text(text: str) -> str:
    """Plotly reads tags in its texts; a name or a message is to have none."""
    return "<br>".join(html.escape(for_terminal(line), quote=False) for line in text.split("\n"))
