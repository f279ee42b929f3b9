"""The parts that pages are made of: the page itself, links, tables, charts with their numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from string import Template

from recsweep.common.escape import for_html as text
from recsweep.report.chart import Table
from recsweep.report.page_style import SCRIPT, STYLE

_NUMBER = re.compile(r"-|[-+]?[\d.,]+(e[-+]?\d+)?%?( \(\d+\)\*?|†| on \d+)?")
_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>$title</title>
<style>$style</style>
</head>
<body>
$body
</body>
</html>
""")


@dataclass(frozen=True)
class Drawn:
    """A chart as a page shows it."""

    id: str
    figure: str
    """As JSON that is safe in a script element."""
    alt: str
    image: str
    """Link to the same picture as a PNG, for a browser that runs no scripts."""


def page(title: str, body: Iterable[str], script: str | None = None) -> str:
    """A whole page.

    Args:
        script: link to plotly's script, where the page has charts.
    """
    end = [f'<script src="{text(script)}"></script>', f"<script>{SCRIPT}</script>"] if script else []
    return _PAGE.substitute(title=text(title), style=STYLE, body="\n".join([*body, *end]))


def links(label: str, targets: Iterable[tuple[str, str | None]]) -> str:
    """A row of links, by their texts; None as a target: the page that is open."""
    items = "".join(
        f'<li><a href="{text(target)}">{text(words)}</a></li>'
        if target
        else f'<li aria-current="page">{text(words)}</li>'
        for words, target in targets
    )
    return f'<nav aria-label="{text(label)}"><ul>{items}</ul></nav>'


def chart(drawn: Drawn) -> str:
    """A place for a chart, with what it draws."""
    return (
        f'<div class="scroller"><div id="{text(drawn.id)}" class="chart" role="img" '
        f'aria-label="{text(drawn.alt)}"></div></div>'
        f'<noscript><img class="whole" src="{text(drawn.image)}" alt="{text(drawn.alt)}"></noscript>'
        f'<script type="application/json" id="{text(drawn.id)}-data">{drawn.figure}</script>'
    )


def numbers(shown: Table, label: str) -> str:
    """The table behind a picture, closed until somebody opens it; nothing where there is none."""
    if not shown.rows:
        return ""
    remark = f"<p>{text(shown.remark)}</p>" if shown.remark else ""
    inner = table(shown, f"The numbers of {label}")
    return f"<details><summary>the numbers</summary>{remark}{inner}</details>"


def table(
    shown: Table,
    label: str,
    leads: Iterable[tuple[int, int]] = (),
    targets: Mapping[str, str] | None = None,
) -> str:
    """A table that scrolls by itself where the page is too narrow for it.

    Args:
        leads: the cells, by row and column, that are marked as best.
        targets: where the words of the first column lead.
    """
    best, right = set(leads), _numeric(shown)

    def classes(row: int, column: int) -> str:
        return _class(number=column in right, leads=(row, column) in best)

    def words(column: int, cell: str) -> str:
        target = (targets or {}).get(cell) if column == 0 else None
        return f'<a href="{text(target)}">{text(cell)}</a>' if target else text(cell)

    head = "".join(
        f'<th scope="col"{classes(-1, i)}>{text(name)}</th>' for i, name in enumerate(shown.columns)
    )
    lines = []
    for number, row in enumerate(shown.rows):
        cells = [f'<th scope="row"{classes(number, 0)}>{words(0, row[0])}</th>']
        cells += [f"<td{classes(number, i)}>{words(i, cell)}</td>" for i, cell in enumerate(row[1:], 1)]
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return scrolling(f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>", label)


def scrolling(inner: str, label: str) -> str:
    """Something wide that scrolls, with the keyboard too."""
    return f'<div class="wide" role="region" tabindex="0" aria-label="{text(label)}">{inner}</div>'


def notes(lines: Sequence[str]) -> str:
    """Remarks as a list; nothing where there are none."""
    items = "".join(f"<li>{text(line)}</li>" for line in lines)
    return f'<ul class="notes">{items}</ul>' if items else ""


def _numeric(shown: Table) -> set[int]:
    """The columns that have numbers alone, which stand below each other by their last digit."""
    return {
        position
        for position in range(len(shown.columns))
        if all(_NUMBER.fullmatch(row[position]) for row in shown.rows)
    }


def _class(**held: bool) -> str:
    found = " ".join(name for name, has in held.items() if has)
    return f' class="{found}"' if found else ""
