"""Charts as SVG: places inside the picture, ticks that can be read, names that stay text."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from helpers.found import NASTY, result_of, some_trials, workspace
from recsweep.document.svg import WIDTH, drawing, legend, panel_svg
from recsweep.document.svg_scale import Span, span, ticks
from recsweep.report.chart import Axis, Bars, Chart, Panel, Points
from recsweep.report.study_charts import charts


def test_every_chart_of_a_study_is_sound_inside_its_picture(tmp_path):
    result = result_of(workspace(tmp_path).plan(), some_trials())
    for kind, chart in charts(result):
        for panel in chart.panels:
            root = ET.fromstring(panel_svg(panel, kind.title, chart.scale))
            height = float(root.attrib["viewBox"].split()[3])
            for circle in root.iter("circle"):
                assert 0 <= float(circle.attrib["cx"]) <= WIDTH, kind.name
                assert 0 <= float(circle.attrib["cy"]) <= height, kind.name


def test_names_and_messages_stay_text():
    panel = Panel(Axis(NASTY), Axis(ticks=((0, NASTY),), limits=(-1, 1)), (Bars((0,), (0,), (1,), (NASTY,)),))
    text = drawing(Chart("nasty", (panel,)), NASTY)
    assert "<img" not in text
    ET.fromstring(f"<div>{text}</div>")


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.0, 1.0, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (0.101, 0.119, ["0.105", "0.110", "0.115"]),
        (1, 20, ["5", "10", "15", "20"]),
        (-0.4, 0.4, ["-0.4", "-0.2", "0.0", "0.2", "0.4"]),
    ],
)
def test_ticks_are_round_numbers(low, high, words):
    assert [word for _, word in ticks(Axis(), Span(low, high, 0, 100), 5)] == words


def test_a_logarithmic_axis_has_powers_of_ten():
    axis = Axis(log=True, limits=(0.0001, 0.01))
    own = span(axis, [], 0, 100)
    assert [word for _, word in ticks(axis, own, 5)] == ["0.0001", "0.001", "0.01"]
    assert own.at(0.001) == pytest.approx(50)


def test_one_value_alone_has_a_place():
    assert 0 <= span(Axis(), [0.2], 0, 100).at(0.2) <= 100


def test_a_line_breaks_where_a_value_is_missing_and_is_thinned():
    x = (*range(1000), None, *range(5))
    line = Points(x, tuple(None if v is None else v / 10 for v in x), line="solid", name="a line")
    text = panel_svg(Panel(Axis(), Axis(), (line,)), "a line")
    (path,) = re.findall(r'<path d="([^"]*)" fill="none" stroke="#', text)
    assert path.count("M") == 2
    assert 100 < path.count("L") < 200


def test_a_legend_names_each_kind_of_mark_once():
    mark = Points((1,), (1,), mark="circle", name="complete")
    chart = Chart("two", (Panel(Axis(), Axis(), (mark,)), Panel(Axis(), Axis(), (mark,))))
    assert legend(chart).count("complete") == 1
