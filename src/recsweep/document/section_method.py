"""The report's sections on what was asked and how: question, data, protocol, budgets and spaces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from recsweep.common.escape import for_html as text
from recsweep.document.elements import Html, Section, definitions, grid, items, paragraphs, waiting
from recsweep.document.facts import Facts, missing
from recsweep.document.spaces import Searched, Space, fixed_of, spaces_of
from recsweep.document.svg_marks import number
from recsweep.document.words import data_sentence, listed, protocol, question
from recsweep.report.chart import BLUE, ORANGE
from recsweep.report.comparison import Entry
from recsweep.report.summary_notes import budgets, data_of, endings

_COUNTS = ("users", "items", "interactions", "train", "valid", "test")
_NAMES = {
    "train_samples": "training samples",
    "valid_samples": "validation samples",
    "test_samples": "test samples",
    "repeats": "repeated interactions",
    "leak": "test older than others' training",
    "future": "of others' training, younger than a test",
}
_SPACE_COLUMNS = ("parameter", "drawn", "range", "default")


def method_sections(facts: Facts) -> Iterator[Section]:
    """Question, data, protocol, spaces."""
    asked, fair = question(facts.by_dataset)
    words = (f'<p class="lead">{text(asked)}</p>', paragraphs([fair]))
    yield Section("question", "The question", words)
    yield Section("data", "Data", tuple(_data(facts)))
    told = items(protocol([one.result.record for one in facts.entries]))
    yield Section("protocol", "Protocol", (told,))
    yield Section("spaces", "Budgets and search spaces", tuple(_spaces(facts)))


def _data(facts: Facts) -> Iterator[str]:
    for name, entries in facts.by_dataset.items():
        record = entries[0].result.record
        yield f"<h3>{text(name)}</h3>"
        counts = list(_counts(entries))
        yield definitions(counts) if counts else waiting(missing("Users and items", "tune", facts))
        yield paragraphs([data_sentence(record)])


def _counts(entries: Sequence[Entry]) -> Iterator[tuple[str, str]]:
    """Users, items and what else is kept of the data with a split; density follows from them."""
    held = next((found for entry in entries if (found := data_of(entry.result))), {})
    named = [name for name in _COUNTS if name in held] + [name for name in held if name not in _COUNTS]
    for name in named:
        if held[name] is not None:
            yield _NAMES.get(name, name), _amount(held[name])
    users, things, rows = (held.get(name) for name in ("users", "items", "interactions"))
    if users and things and rows:
        yield "density", f"{rows / users / things:.3%}"


def _amount(value: Any) -> str:
    """A count in thousands, a share in per cent."""
    if isinstance(value, float) and 0 <= value <= 1:
        return f"{value:.1%}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _spaces(facts: Facts) -> Iterator[str]:
    results = facts.results
    yield items([*budgets(results), *endings(results)])
    yield paragraphs(
        [
            Html(
                "Below stands what was searched for each model, the published defaults of trial number one, "
                "and the value that was chosen. The mark shows where it lies in its range, in the scale in "
                'which it was searched; at the <span class="edge">edge</span> better ones may lie beyond it.'
            )
        ]
    )
    for space in spaces_of(facts.entries):
        yield f'<div class="block"><h3>{text(space.model)}{_where(space, facts)}</h3>'
        columns = (*_SPACE_COLUMNS, *_chosen_on(space, facts))
        yield grid(columns, map(_row, space.rows), f"Search space of {space.model}")
        fixed = fixed_of(space.entries[0].result)
        lines = [*map(_tuned, space.entries), *([f"Fixed: {fixed}."] if fixed else [])]
        yield f'<p class="after">{"<br>".join(map(text, lines))}</p></div>'


def _where(space: Space, facts: Facts) -> str:
    """The data sets of a space, where there are others on which the model was searched otherwise."""
    if len(space.entries) == sum(entry.model == space.model for entry in facts.entries):
        return ""
    return text(f" on {listed([entry.dataset for entry in space.entries])}")


def _chosen_on(space: Space, facts: Facts) -> list[str]:
    if len(facts.by_dataset) == 1:
        return ["chosen"]
    return [f"chosen on {entry.dataset}" for entry in space.entries]


def _tuned(entry: Entry) -> str:
    result, winner = entry.result, entry.result.winner
    told = f"{entry.dataset}: {result.all_trained} of {result.all_budget} trials"
    if winner is None:
        return f"{told}."
    return f"{told}; chosen is trial {winner.slot}, {entry.metric} {entry.score or 0:.4f} on validation."


def _row(found: Sequence[Searched]) -> tuple[str, ...]:
    one = found[0]
    when = f"; where {one.when}" if one.when else ""
    name = Html(f"<code>{text(one.name)}</code>")
    return name, one.kind, one.values + when, one.default, *map(_chosen, found)


def _chosen(one: Searched) -> Html:
    edge = '<span class="edge">edge</span>' if one.edge else ""
    return Html(f"<b>{text(one.chosen)}</b> {edge}{range_mark(one)}")


def range_mark(one: Searched) -> str:
    """A rail with the chosen value on it; nothing where the values have no order, or none was chosen."""
    if one.share is None:
        return ""
    colour, at = (ORANGE if one.edge else BLUE), number(6 + 124 * one.share)
    ticks = "".join(f"M{number(6 + 124 * tick)} 5v6" for tick in one.ticks)
    said = f"{one.chosen} in {one.values}{', at the edge' if one.edge else ''}"
    return (
        f'<svg class="range" viewBox="0 0 136 16" role="img" aria-label="{text(said)}">'
        f'<path class="rail" d="M6 8H130M6 4v8M130 4v8{ticks}"/>'
        f'<circle cx="{at}" cy="8" r="5" fill="{colour}"/></svg>'
    )
