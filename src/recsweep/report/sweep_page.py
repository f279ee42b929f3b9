"""The page of a sweep: its models compared on each data set and over all, and the pictures of its studies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from recsweep.common.escape import for_html as _text
from recsweep.common.escape import short
from recsweep.common.files import counted
from recsweep.report import page_parts as parts
from recsweep.report.alarms import raised
from recsweep.report.chart import Chart, Table
from recsweep.report.comparison import Entry, drawn, matrix, ranks
from recsweep.report.pages import Section, gallery
from recsweep.report.results import FINISHED, NOT_BEGUN, NOT_FINISHED, StudyResult
from recsweep.report.summary_markdown import BEST_ON_TEST
from recsweep.report.summary_notes import budgets, data_lines, endings, energies, legend
from recsweep.report.sweep_charts import Comparison
from recsweep.report.tables import four_digits, metrics_of, parameters_text, rows, trials_text
from recsweep.running.watch import duration

_ALL = "all-data-sets"
_NOTHING = "<p>No study of the sweep is in the store yet.</p>"
_DASHES = {"solid": "", "dash": "6 4", "dot": "2 3"}


@dataclass(frozen=True)
class Shown:
    """A picture that compares the models of a data set."""

    comparison: Comparison
    chart: Chart
    drawn: parts.Drawn | None
    """None where there is nothing to draw: the chart says why."""


def sweep_page(
    title: str,
    by_dataset: Mapping[str, Sequence[Entry]],
    pictures: Mapping[str, Sequence[Shown]],
    sections: Sequence[Section],
    script: str,
) -> str:
    """The page of a sweep.

    Args:
        by_dataset: all models of each data set (`comparison.compared`).
        pictures: of each data set that has some.
        sections: the pictures of studies.
        script: link to plotly's script.
    """
    entries = [entry for own in by_dataset.values() for entry in own]
    if not any(entry.begun for entry in entries) and not sections:
        return parts.page(title, [f"<main><h1>{_text(title)}</h1>", _NOTHING, "</main>"])
    body = [
        f"<header><h1>{_text(title)}</h1><p>{_text(overview(entries))}</p>",
        *_links(by_dataset, sections),
        "</header><main>",
        _matrix(by_dataset) if len(by_dataset) > 1 else "",
    ]
    anchors = {section.anchor for section in sections}
    for name, own in by_dataset.items():
        body += _dataset(name, own, pictures.get(name, ()), anchors)
    body += [gallery(sections), "</main>"]
    draws = any(shown.drawn for own in pictures.values() for shown in own)
    return parts.page(title, body, script if draws else None)


def _links(by_dataset: Mapping[str, Sequence[Entry]], sections: Sequence[Section]) -> Iterator[str]:
    targets = [(name, f"#{_anchor(name)}") for name in by_dataset]
    if len(by_dataset) > 1:
        targets.insert(0, ("All data sets", f"#{_ALL}"))
    if sum(map(len, by_dataset.values())) > 1:
        yield parts.links("Comparisons", targets)
    if len(sections) > 1:
        yield parts.links("Studies", ((one.title, f"#{one.anchor}") for one in sections))


def overview(entries: Sequence[Entry]) -> str:
    """`12 studies: 9 finished, 2 not finished, 1 not begun. 187 trials, 3 h 12 min of training.`"""
    results = [entry.result for entry in entries]
    states = [result.all_state for result in results]
    told = [f"{states.count(s)} {s}" for s in (FINISHED, NOT_FINISHED, NOT_BEGUN) if s in states]
    trials = counted(sum(result.all_trained for result in results), "trial")
    spent = duration(sum(result.all_seconds for result in results))
    count = "1 study" if len(results) == 1 else f"{len(results)} studies"
    return f"{count}: {', '.join(told)}. {trials}, {spent} of training."


def _matrix(by_dataset: Mapping[str, Sequence[Entry]]) -> str:
    shown, leads = matrix(by_dataset)
    metrics = list(dict.fromkeys(entry.metric for own in by_dataset.values() for entry in own))
    words = (
        f"The best {' or '.join(metrics)} on validation, and the place among the models of the data set. "
        "Marked: the best. *: not finished."
    )
    table = parts.table(shown, "Best scores of all models on all data sets", leads)
    return f'<section><h2 id="{_ALL}">All data sets</h2><p>{_text(words)}</p>{table}</section>'


def _dataset(
    name: str, entries: Sequence[Entry], pictures: Sequence[Shown], sections: set[str]
) -> Iterator[str]:
    """The section of one data set."""
    results = [_until_closed(entry) for entry in entries]
    yield f'<section><h2 id="{_text(_anchor(name))}">{_text(name)}: {_models(entries)}</h2>'
    yield "".join(f"<p>{_text(line)}</p>" for line in data_lines(results))
    if not any(result.trials or result.runs for result in results):
        yield "<p>No study on this data set is in the store yet.</p></section>"
        return
    shown = main_table(entries)
    targets = {
        entry.model: f"#{label}" for entry in entries if (label := f"{name}/{entry.model}") in sections
    }
    leads = [(0, column) for column in range(len(shown.columns))] if entries[0].score is not None else []
    yield parts.table(shown, f"The models on {name}", leads, targets)
    yield parts.notes([legend(BEST_ON_TEST), *budgets(results), *endings(results), *energies(results)])
    if found := raised(results):
        yield "<p><strong>Alarms: what makes these results doubtful, and what to do about it.</strong></p>"
        yield parts.notes([alarm.line for alarm in found])
    yield _closed_table("all metrics", metric_table(entries), f"All metrics on {name}")
    yield _closed_table("the winners' parameters", _parameters(entries), f"Parameters on {name}")
    if pictures:
        yield _legend(entries)
        yield '<div class="charts">'
        yield from map(_figure, pictures)
        yield "</div>"
    yield "</section>"


def _models(entries: Sequence[Entry]) -> str:
    return _text(f"{counted(len(entries), 'model')}{' compared' if len(entries) > 1 else ''}")


def _until_closed(entry: Entry) -> StudyResult:
    """A study without its score on test as long as it is not closed: whoever looks is not to choose by it."""
    return entry.result if entry.closed else replace(entry.result, test=None)


def main_table(entries: Sequence[Entry]) -> Table:
    """The models of a data set: scores on validation and test, and what they cost."""
    results, places = [_until_closed(entry) for entry in entries], ranks(entries)
    metric = entries[0].metric
    found = []
    for entry, row in zip(entries, rows(results), strict=True):
        result = entry.result
        test = row.tests.get(metric, "-")
        costs = (result.all_failed, result.all_pruned) if entry.begun else ("-", "-")
        found.append(
            (
                *(entry.model, str(places.get(entry.model, "-")), row.validation),
                test + (BEST_ON_TEST if metric in row.best_tests else ""),
                *(trials_text(result), *map(str, costs)),
                *(duration(result.all_seconds) if entry.begun else "-", row.trial),
            )
        )
    costs_of = ("trials", "failed", "pruned", "training", "best trial")
    return Table(("model", "place", f"validation {metric}", f"test {metric}", *costs_of), tuple(found))


def metric_table(entries: Sequence[Entry]) -> Table:
    """Every metric of the winners, on validation and on test."""
    names = metrics_of(entries[0].result.record)
    columns = ("model", *(f"{part} {name}" for name in names for part in ("validation", "test")))
    found = []
    for entry in entries:
        result = _until_closed(entry)
        validation = result.winner.result.metrics if result.winner else {}
        cells = [
            four_digits(metrics.get(name.lower()))
            for name in names
            for metrics in (validation, result.test or {})
        ]
        found.append((entry.model, *cells))
    return Table(columns, tuple(found))


def _parameters(entries: Sequence[Entry]) -> Table:
    found = [
        (entry.model, parameters_text(entry.result.parameters)) for entry in entries if entry.result.winner
    ]
    return Table(("model", "parameters of the best trial"), tuple(found))


def _closed_table(summary: str, table: Table, label: str) -> str:
    if not table.rows:
        return ""
    return f"<details><summary>{_text(summary)}</summary>{parts.table(table, label)}</details>"


def _legend(entries: Sequence[Entry]) -> str:
    """The legend: a name and how it is drawn; each one can be hidden in all pictures of its data set."""
    items = []
    for entry in drawn(entries)[0]:
        dashes, colour = _DASHES[entry.look.line], _text(entry.look.colour)
        line = f'<line x1="1" y1="6" x2="27" y2="6" stroke="{colour}" stroke-width="3"'
        swatch = f'<svg width="28" height="12" aria-hidden="true">{line} stroke-dasharray="{dashes}"/></svg>'
        name = _text(entry.model)
        items.append(f'<li><button aria-pressed="true" value="{name}">{swatch}{name}</button></li>')
    return f'<ul class="legend" aria-label="Models; a press hides one or shows it">{"".join(items)}</ul>'


def _figure(shown: Shown) -> str:
    words = f"{shown.comparison.caption} {shown.chart.remark}".strip()
    caption = f"<figcaption><strong>{_text(shown.comparison.title)}</strong> {_text(words)}</figcaption>"
    if shown.drawn is None:
        return f'<figure>{caption}<p class="none"><strong>{_text(shown.chart.missing)}</strong></p></figure>'
    numbers = parts.numbers(shown.chart.table, shown.comparison.title)
    return f"<figure>{caption}{parts.chart(shown.drawn)}{numbers}</figure>"


def described(shown: Comparison, dataset: str, entries: Sequence[Entry]) -> str:
    """A comparison in words, for those who do not see it."""
    found = [
        f"{entry.model} {short(float(entry.score))}" for entry in drawn(entries)[0] if entry.score is not None
    ]
    return f"{shown.title}, on {dataset}. Best {entries[0].metric}: {', '.join(found)}."


def _anchor(dataset: str) -> str:
    return f"dataset-{dataset}"
