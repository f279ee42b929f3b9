"""The parts of a report's page: sections, tables whose cells may hold marks, figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from recsweep.common.escape import for_html as text
from recsweep.document.svg import drawing
from recsweep.report.chart import Chart
from recsweep.report.page_parts import numbers, scrolling


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


@dataclass(frozen=True)
class Section:
    """A part of the page, with its place in the list of contents."""

    anchor: str
    title: str
    body: tuple[str, ...]


def html(words: str) -> str:
    """Text as HTML; what is HTML already as it is."""
    return words if isinstance(words, Html) else text(words)


def paragraphs(lines: Iterable[str]) -> str:
    """A paragraph for each line."""
    return "".join(f"<p>{html(line)}</p>" for line in lines)


def items(lines: Iterable[str], kind: str = "notes") -> str:
    """A list; nothing where there are no lines."""
    found = "".join(f"<li>{html(line)}</li>" for line in lines)
    return f'<ul class="{kind}">{found}</ul>' if found else ""


def waiting(words: str) -> str:
    """A place that somebody is to fill by a command; what stands between backticks is one."""
    parts = text(words).split("`")
    told = "".join(f"<code>{part}</code>" if n % 2 else part for n, part in enumerate(parts))
    return f'<p class="waiting">{told}</p>'


def grid(columns: Sequence[str], rows: Iterable[Sequence[str]], label: str, right: Iterable[int] = ()) -> str:
    """A table that scrolls by itself where the page is too narrow for it.

    Args:
        right: the columns of numbers.
    """
    numeric = set(right)

    def kind(column: int) -> str:
        return ' class="number"' if column in numeric else ""

    head = "".join(f'<th scope="col"{kind(i)}>{html(name)}</th>' for i, name in enumerate(columns))
    body = []
    for first, *rest in rows:
        cells = "".join(f"<td{kind(i)}>{html(cell)}</td>" for i, cell in enumerate(rest, 1))
        body.append(f'<tr><th scope="row">{html(first)}</th>{cells}</tr>')
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"
    return scrolling(table, label)


def figure(chart: Chart, title: str, alt: str, caption: str = "") -> str:
    """A chart with its title, and the numbers behind it."""
    words = f" {html(caption)}" if caption else ""
    head = f"<figcaption><strong>{html(title)}</strong>{words}</figcaption>"
    if chart.missing:
        return f'<figure>{head}<p class="waiting">{text(chart.missing)}</p></figure>'
    return f"<figure>{head}{drawing(chart, alt)}{numbers(chart.table, title)}</figure>"


def figures(found: Iterable[str], kind: str = "") -> str:
    """Figures side by side, as many as there is room for."""
    return f'<div class="{f"figures {kind}".strip()}">{"".join(found)}</div>'


def definitions(pairs: Iterable[tuple[str, str]]) -> str:
    """Names and what they stand for."""
    rows = "".join(f"<div><dt>{html(name)}</dt><dd>{html(value)}</dd></div>" for name, value in pairs)
    return f"<dl>{rows}</dl>"


def code(lines: Iterable[str]) -> str:
    """Commands as they are typed."""
    words = "\n".join(map(text, lines))
    return f'<pre tabindex="0"><code>{words}</code></pre>'
