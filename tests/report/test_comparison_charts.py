"""Pictures of compared models: a row a pair, and Demsar's diagram."""

from __future__ import annotations

import numpy as np
import pytest

from recsweep.report.chart import BLUE, GREY, ORANGE
from recsweep.report.comparison_charts import comparison_chart, differences, mean_ranks
from recsweep.report.model_comparison import Compared
from recsweep.statistics.comparison import Procedure, compared
from recsweep.statistics.ranks import ranked
from recsweep.statistics.resampling import Resampling
from recsweep.statistics.sample import Sample

QUICK = Procedure(resampling=Resampling(300))
SHIFTS = {"good": 0.3, "as good": 0.3, "bad": 0.0}


@pytest.fixture(scope="module")
def samples():
    draw = np.random.default_rng(3)
    return {
        f"d{n}": [Sample(model, draw.normal(shift, 0.2, (1, 200))) for model, shift in SHIFTS.items()]
        for n in range(6)
    }


def test_a_pair_is_a_row_blue_where_the_data_can_tell(samples):
    chart = differences(compared("d0", "hit@5", samples["d0"], QUICK))
    (panel,) = chart.panels
    names = {label: row for row, label in panel.y.ticks}
    colours = {mark.y[0]: mark.colour for mark in panel.marks if mark.mark}
    assert {colours[row] for name, row in names.items() if name.endswith("bad")} == {BLUE}
    assert {colours[row] for name, row in names.items() if not name.endswith("bad")} == {GREY}
    assert max(panel.y.ticks)[1] == chart.table.rows[0][0]  # the first pair is at the top
    assert panel.x.label == "difference in Hit@5, d0"


def test_models_within_the_critical_difference_are_joined(samples):
    ranking = ranked("hit@5", samples, QUICK)
    (panel,) = mean_ranks(ranking).panels
    bars = [mark for mark in panel.marks if mark.colour == ORANGE]
    assert [bar.hover[0] for bar in bars] == [f"not told apart: {', '.join(g)}" for g in ranking.groups]
    assert panel.notes[0].text == f"critical difference {ranking.critical:.2f}"
    few = ranked("hit@5", dict(list(samples.items())[:3]), QUICK)
    assert mean_ranks(few).panels[0].notes == ()


def test_one_picture_has_all_of_it(samples):
    pairs = [one for name in ("d0", "d1") for one in compared(name, "hit@5", samples[name], QUICK)]
    chart = comparison_chart(Compared(tuple(pairs), (ranked("hit@5", samples, QUICK),)))
    assert len(chart.panels) == 3
    assert comparison_chart(Compared()).missing == "No two models were tested, with scores for each user."
