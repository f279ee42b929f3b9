"""The report's section on the comparison of models: statements, differences with intervals, mean ranks."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from recsweep.common.escape import for_html as text
from recsweep.document.elements import Section, figure, figures, items, waiting
from recsweep.document.facts import Facts, missing
from recsweep.report.comparison_charts import differences, mean_ranks
from recsweep.report.model_comparison import Compared
from recsweep.statistics.comparison import TESTS, Comparison, metric_name

_FEW = 6
"""So many statements of a data set stand open; of more, those of its best model."""


def comparison_section(facts: Facts) -> Section:
    """All pairs of models, data set by data set; mean ranks over data sets."""
    return Section("comparison", "Comparison of the models", tuple(_comparison(facts)))


def _comparison(facts: Facts) -> Iterator[str]:
    told = facts.compared
    if len({entry.model for entry in facts.entries}) < 2:
        yield "<p>One model: there is nothing to compare.</p>"
        return
    if not told.comparisons:
        yield waiting(missing("Differences with intervals and tests", "evaluate", facts))
    else:
        yield f"<p>{text(_procedure(told.comparisons[0]))}</p>"
    for (dataset, metric), found in itertools.groupby(
        told.comparisons, lambda one: (one.dataset, one.metric)
    ):
        own = list(found)
        yield f'<div class="block"><h3>{text(dataset)}, {text(metric)}</h3>{_statements(own)}</div>'
        yield figures([_differences(own)], "large")
    yield from _ranks(told)
    yield items(told.remarks)


def _procedure(one: Comparison) -> str:
    """How the statements were come to."""
    how = one.procedure
    return (
        f"In brackets: the {how.confidence} interval of the difference, by a bootstrap over {one.resampled}. "
        f"P-values are of a {TESTS[how.test]}; those of a data set and metric were corrected together. "
        "A difference counts where the corrected p-value is small and the interval does not hold 0."
    )


def _statements(own: Sequence[Comparison]) -> str:
    """The sentences; those that the best model has no part in are closed where there are many."""
    lead = own[0].a
    first = own if len(own) <= _FEW else [one for one in own if lead in (one.a, one.b)]
    rest = [one for one in own if one not in first]
    shown = items(f"{one.sentence()}." for one in first)
    if not rest:
        return shown
    more = items(f"{one.sentence()}." for one in rest)
    return f"{shown}<details><summary>the other {len(rest)} pairs</summary>{more}</details>"


def _differences(own: Sequence[Comparison]) -> str:
    chart = differences(own)
    first = own[0]
    title = f"Differences in {first.metric} on {first.dataset}"
    return figure(chart, title, f"{title}: {'; '.join(one.sentence() for one in own[:3])}.", _COLOURS)


_COLOURS = "Blue: the data can tell the two apart; grey: they cannot."


def _ranks(told: Compared) -> Iterator[str]:
    """Mean ranks over data sets, with the critical difference from five data sets up."""
    for ranking in told.rankings:
        title = f"Mean ranks in {metric_name(ranking.metric)} over {len(ranking.datasets)} data sets"
        places = zip(ranking.models, ranking.ranks, strict=True)
        alt = f"{title}: {', '.join(f'{model} {rank:.2f}' for model, rank in places)}."
        yield figures(
            [figure(mean_ranks(ranking), title, alt, "1 is the best; with bootstrap intervals.")], "large"
        )
