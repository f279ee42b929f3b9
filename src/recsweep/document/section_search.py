"""The report's sections on the searches: convergence, importance, learning curves, cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from recsweep.common.escape import for_html as text
from recsweep.document.convergence import convergence
from recsweep.document.costs import COST_COLUMNS, Cost, cost_of, cost_over_seeds, hours, machines
from recsweep.document.elements import Section, figure, figures, grid, items
from recsweep.document.facts import Facts
from recsweep.document.svg import legend
from recsweep.report.chart import Axis, Bars, Chart, Panel
from recsweep.report.comparison import Entry
from recsweep.report.parameter_charts import importance
from recsweep.report.score_charts import learning_curves
from recsweep.report.summary_notes import energies

Draw = Callable[[Entry], Chart]


def search_sections(facts: Facts) -> Iterator[Section]:
    """Convergence, importance, curves, cost."""
    yield Section(
        "convergence",
        "Convergence of the searches",
        (
            "<p>The best so far against the trials that were spent. Dashed is the best that so many of the "
            "same trials would have on average in a random order (Dodge et al., 2019), which is what random "
            "search expects. Where the best so far still rises at the end, a larger budget may find "
            "more.</p>",
            *_grid(facts, convergence, "Convergence", shared=True),
        ),
    )
    yield Section(
        "importance",
        "Importance of the parameters",
        (
            "<p>How much each parameter decides whether a trial is among the best (PED-ANOVA, Watanabe et "
            "al., 2023). With fewer than some thirty trials take it as a hint.</p>",
            *_grid(facts, lambda entry: importance(entry.result), "Importance of the parameters"),
        ),
    )
    yield Section(
        "curves",
        "Learning curves",
        (
            "<p>The validation score after each epoch. Where the best curve still rises at its end, the "
            "epochs ended it, and not the early stop.</p>",
            *_grid(facts, _curves, "Learning curves", shared=True),
        ),
    )
    yield Section("cost", "Cost", tuple(_cost(facts)))


def _curves(entry: Entry) -> Chart:
    chart = learning_curves(entry.result)
    return replace(chart, kind="curves", part=True)


def _grid(facts: Facts, draw: Draw, what: str, *, shared: bool = False) -> Iterator[str]:
    """A figure a model, data set by data set; `shared`: with one legend for all."""
    for dataset, entries in facts.by_dataset.items():
        drawn = [(entry, draw(entry)) for entry in entries if entry.begun]
        if len(facts.by_dataset) > 1:
            yield f"<h3>{text(dataset)}</h3>"
        if shared:
            yield _legend([chart for _, chart in drawn])
        yield figures(
            figure(chart, entry.model, f"{what} of {entry.model} on {dataset}.", chart.remark)
            for entry, chart in drawn
        )


def _legend(charts: Sequence[Chart]) -> str:
    """One legend for several charts: every name once; whose trial is the best, each says itself."""
    panels = [panel for chart in charts for panel in chart.panels]
    return legend(Chart("legend", tuple(_general(panel) for panel in panels)))


def _general(panel: Panel) -> Panel:
    marks = tuple(
        replace(mark, name="best trial") if mark.name.startswith("best: ") else mark for mark in panel.marks
    )
    return replace(panel, marks=marks)


def _cost(facts: Facts) -> Iterator[str]:
    costs = [cost_of(entry) for entry in facts.entries]
    trials = [trial for entry in facts.entries for trial in entry.trials]
    yield "<p>Training time of all trials of the searches, added up; those side by side count each.</p>"
    rows = [cost.cells for cost in costs]
    if len(costs) > 1:
        rows.append(_total(costs))
    yield grid(COST_COLUMNS, rows, "Cost of each search", range(2, len(COST_COLUMNS)))
    yield items(
        [
            *cost_over_seeds(facts.results),
            *energies(facts.results),
            *(f"Trained on: {words}." for words in machines(trials)),
        ]
    )
    found = [
        figure(_hours(dataset, costs), f"Hours on {dataset}", f"Hours of training on {dataset}, by model.")
        for dataset, entries in facts.by_dataset.items()
        if len(entries) > 1 and any(cost.seconds for cost in costs if cost.dataset == dataset)
    ]
    if found:
        yield figures(found, "large")


def _total(costs: Sequence[Cost]) -> tuple[str, ...]:
    numbers = [
        str(sum(getattr(cost, name) for cost in costs)) for name in ("trials", "pruned", "failed", "epochs")
    ]
    seconds = sum(cost.seconds for cost in costs)
    measured = [cost.energy.kwh for cost in costs if cost.energy is not None]
    kwh = f"{sum(measured):.3g}" if measured else "-"
    return ("all", "", *numbers, hours(seconds), kwh)


def _hours(dataset: str, costs: Sequence[Cost]) -> Chart:
    """A bar for each model."""
    own = [cost for cost in costs if cost.dataset == dataset][::-1]
    bars = Bars(
        tuple(range(len(own))),
        (0.0,) * len(own),
        tuple(cost.seconds / 3600 for cost in own),
        tuple(f"{cost.model}: {cost.hours} h" for cost in own),
        tuple(cost.hours for cost in own),
    )
    longest = max(cost.seconds for cost in own) / 3600
    ticks = tuple(enumerate(cost.model for cost in own))
    y = Axis(ticks=ticks, limits=(-0.6, len(own) - 0.4))
    return Chart("hours", (Panel(Axis("hours of training", limits=(0.0, longest * 1.05)), y, (bars,)),))
