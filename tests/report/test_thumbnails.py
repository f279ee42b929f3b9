"""Thumbnails: less in them, so that what is there can be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.found import result_of, some_trials, workspace
from recsweep.report.chart import Axis, Bars, Chart, Panel
from recsweep.report.parameter_charts import parallel, slices
from recsweep.report.thumbnails import MOST_PANELS, MOST_ROWS, MOST_TICKS, small


def test_of_many_bars_the_longest_are_kept() -> None:
    names = tuple((i, f"a_long_parameter_{i}") for i in range(20))
    bars = Bars(tuple(range(20)), (0.0,) * 20, tuple(float(i) for i in range(20)))
    shown = small(Chart("importance", (Panel(Axis(), Axis(ticks=names, limits=(-0.6, 19.6)), (bars,)),)))
    (mark,) = shown.panels[0].marks
    assert isinstance(mark, Bars)
    assert mark.rows == tuple(range(20 - MOST_ROWS, 20))
    assert {len(word) for _, word in shown.panels[0].y.ticks} == {11}


def test_few_panels_and_words_are_left(tmp_path: Path) -> None:
    result = result_of(workspace(tmp_path).plan(), some_trials())
    assert len(small(slices(result)).panels) == MOST_PANELS
    (panel,) = small(parallel(result)).panels
    assert len(panel.x.ticks) <= MOST_TICKS
    assert panel.notes == ()


@pytest.mark.parametrize("draw", [slices, parallel])
def test_a_thumbnail_is_a_small_file(tmp_path: Path, draw: object) -> None:
    assert callable(draw)
    from recsweep.report.pictures import write_thumbnail  # with matplotlib

    write_thumbnail(draw(result_of(workspace(tmp_path).plan(), some_trials())), tmp_path / "small.png")
    assert (tmp_path / "small.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "small.png").stat().st_size < 80_000
