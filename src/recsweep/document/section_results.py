"""The report's sections on what came of it: findings, results over seeds, the comparison of models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from recsweep.common.escape import for_html as text
from recsweep.document.elements import Html, Section, figure, grid, items, waiting
from recsweep.document.facts import Facts, leaders, missing
from recsweep.document.outcomes import Block, Cell, Value, meaning, values_of
from recsweep.report.chart import GREY, Axis, Chart, Panel, Points
from recsweep.report.comparison import Entry
from recsweep.report.ensembles import ensemble_words
from recsweep.report.evidence import PARTS, EvidenceResult
from recsweep.report.results import StudyResult
from recsweep.report.summary_evidence import COLUMNS, evidence_notes, evidence_pairs, measure_cells, model_of
from recsweep.report.sweep_page import overview
from recsweep.report.tables import four_digits


def findings(facts: Facts) -> str:
    """The result in a few cards: who leads, and whether that is more than luck."""
    cards = []
    for dataset, model, words in leaders(facts):
        told = "".join(f"<p>{text(line)}</p>" for line in list(facts.compared.sentences.get(dataset, ()))[:1])
        cards.append(
            f'<div class="card"><p class="soft">best on {text(dataset)}</p><p class="big">{text(model)}</p>'
            f"<p>{text(words)}</p>{told}</div>"
        )
    return f'<div class="cards">{"".join(cards)}</div>' if cards else ""


def summary_line(facts: Facts) -> str:
    """How much was run, in a line."""
    return f'<p class="facts">{text(overview(facts.entries))}</p>'


def result_sections(facts: Facts) -> Iterator[Section]:
    """The results."""
    yield Section("results", "Results", tuple(_results(facts)))


def _results(facts: Facts) -> Iterator[str]:
    blocks = facts.blocks
    yield f"<p>{text(meaning(blocks))} Configurations were chosen by the score on validation.</p>"
    if not any(block.repeated for block in blocks):
        yield waiting(missing("Means and intervals over several trainings", "evidence", facts))
    for block, entries in zip(blocks, facts.by_dataset.values(), strict=True):
        seeds = f"; on test, mean of {block.seeds} trainings" if block.repeated else ""
        yield f'<div class="block"><h3>{text(block.dataset)}{text(seeds)}</h3>'
        yield result_table(block)
        if (pop := facts.baselines.get(block.dataset)) is not None:
            yield f'<p class="after">{text(_popular(pop, block.metrics[0]))}</p>'
        if not block.tested:
            yield waiting(missing("Test metrics of the winners", "evaluate", facts))
        if words := ensemble_words(entries[0].result.outputs.ensemble(block.dataset)):
            yield f"<p>{text(words)}</p>"
        yield "</div>"
        if sum(entry.score is not None for entry in entries) > 1:
            yield f'<div class="figures large">{_picture(block, entries, facts)}</div>'
    yield from _optimism(facts)


def _optimism(facts: Facts) -> Iterator[str]:
    """The search's own scores beside the means over seeds; nothing where nothing was trained again."""
    pairs = evidence_pairs(facts.results)
    if not pairs:
        return
    yield "<h3>The search's own scores, and those over seeds</h3>"
    several = len({result.record.dataset_name for result, _ in pairs}) > 1
    names = ("model", *(["data set"] if several else []), "on")
    rows = [
        (model_of(result, one), *([result.record.dataset_name] if several else []), *row)
        for result, one in pairs
        for row in _rows(one)
    ]
    metric = pairs[0][0].record.evaluation.metric
    columns = (*names, "trainings", f"{metric} {COLUMNS[0]}", *COLUMNS[1:])
    yield grid(columns, rows, "Optimism of the search", range(len(names), len(columns)))
    yield items(evidence_notes(facts.results))


def _rows(one: EvidenceResult) -> Iterator[tuple[str, ...]]:
    """A row for validation and one for test: what stands side by side is wider than paper."""
    for part in PARTS:
        yield part, str(len(one.done)), *measure_cells(one.measure(part, one.metric))


def _popular(pop: StudyResult, metric: str) -> str:
    """The baseline's scores, by which all others are to be read."""
    score = pop.winner.score if pop.winner else None
    test = (pop.test or {}).get(metric.lower())
    told = f"{metric} {four_digits(score)} on validation"
    tested = f", {four_digits(test)} on test" if test is not None else ""
    return f"To recommend the most popular items to everybody (Pop) comes to {told}{tested}."


def result_table(block: Block) -> str:
    """The table of a data set: the score on validation, and every metric on test."""
    columns = block.columns
    rows = [(line.model, line.validation, *map(_cell, line.cells)) for line in block.lines]
    return grid(columns, rows, f"Results on {block.dataset}", range(1, len(columns)))


def _cell(cell: Cell) -> Html:
    shown = text(cell.text)
    shown = f'<b class="best">{shown}</b>' if cell.best else shown
    shown = f'<u class="second">{shown}</u>' if cell.second else shown
    half = cell.value.half if cell.value else None
    spread = f" <small>± {half:.4f}</small>" if half is not None else ""
    return Html(f"{shown}{f'<sup>{cell.mark}</sup>' if cell.mark else ''}{spread}")


def _picture(block: Block, entries: Sequence[Entry], facts: Facts) -> str:
    chart = spread_chart(entries, facts)
    name = block.metrics[0]
    said = ", ".join(f"{line.model} {line.cells[0].text}" for line in block.lines)
    return figure(
        chart,
        f"{name} on {block.dataset}",
        f"{name} on test, by model: {said}.",
        "On test, with 95 % intervals where there are several trainings; grey: the score on validation "
        "by which the search chose.",
    )


def spread_chart(entries: Sequence[Entry], facts: Facts) -> Chart:
    """A row for each model: its test value with the interval, and the score on validation."""
    shown = [entry for entry in entries if entry.score is not None]
    marks: list[Points] = []
    for row, entry in enumerate(reversed(shown)):
        value = values_of(entry, facts.measured).get(entry.metric.lower())
        search = Points((entry.score,), (row,), (f"{entry.model}, validation {entry.score:.4f}",), "", GREY)
        marks.append(_marked(search, 6))
        if value is not None:
            marks += _spread(value, row, entry)
    ticks = tuple(enumerate(entry.model for entry in reversed(shown)))
    panel = Panel(Axis(shown[0].metric), Axis(ticks=ticks, limits=(-0.6, len(ticks) - 0.4)), tuple(marks))
    return Chart("spread", (panel,), part=True)


def _marked(points: Points, size: float) -> Points:
    return Points(points.x, points.y, points.hover, points.name, points.colour, mark="circle", size=size)


def _spread(value: Value, row: int, entry: Entry) -> Iterator[Points]:
    colour, said = entry.look.colour, f"{entry.model}, test {value.mean:.4f}"
    if value.low is not None and value.high is not None:
        said = f"{said}, {value.low:.4f} to {value.high:.4f}"
        yield Points((value.low, value.high), (row, row), (), "", colour, line="solid", width=3)
    yield _marked(Points((value.mean,), (row,), (said,), "", colour), 10)
