"""The results as tables for a paper, in LaTeX and Markdown: best in bold, second underlined, marks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from recsweep.common.escape import for_markdown
from recsweep.document.citations import cite_model
from recsweep.document.facts import Facts
from recsweep.document.outcomes import BEATS, TIES, Block, Cell, Line, meaning
from recsweep.document.tex import row, table, tex
from recsweep.report.summary_notes import budgets, data_lines
from recsweep.study import StudyRecord

_TEX_MARKS = {BEATS: r"$^{*}$", TIES: r"$^{\approx}$", "": ""}


def tables_markdown(facts: Facts) -> str:
    """A table a data set, and what to know to read them."""
    lines: list[str] = []
    for block in facts.blocks:
        lines += [f"## {for_markdown(block.dataset)}", "", *_markdown(block), ""]
        told = [f"- {for_markdown(line)}" for line in facts.compared.sentences.get(block.dataset, ())]
        lines += [*told, ""] if told else []
    notes = [
        meaning(facts.blocks, underlined="underlined"),
        *budgets(facts.results),
        *data_lines(facts.results),
    ]
    return "\n".join([*lines, *(f"{for_markdown(note)}\n" for note in notes)]) if facts.entries else ""


def _markdown(block: Block) -> Iterator[str]:
    columns = block.columns
    yield f"| {' | '.join(columns)} |"
    yield f"|---|{'---:|' * (len(columns) - 1)}"
    for line in block.lines:
        cells = [for_markdown(line.model), line.validation, *map(_markdown_cell, line.cells)]
        yield f"| {' | '.join(cells)} |"


def _markdown_cell(cell: Cell) -> str:
    shown = f"**{cell.text}**" if cell.best else cell.text
    shown = f"<u>{shown}</u>" if cell.second else shown
    half = cell.value.half if cell.value else None
    mark = rf"\{cell.mark}" if cell.mark == BEATS else cell.mark
    return f"{shown}{mark}{f' ± {half:.4f}' if half is not None else ''}"


def tables_latex(facts: Facts) -> str:
    r"""One `table` over all data sets; it needs booktabs, and the citations `references.bib`."""
    return "\n".join(_latex(facts)) + "\n"


def _latex(facts: Facts) -> Iterator[str]:
    blocks = facts.blocks
    names = list(dict.fromkeys(name for block in blocks for name in block.metrics))
    records = {(one.dataset_name, one.model_name): one for one in facts.records}
    yield r"% needs \usepackage{booktabs}; citations: references.bib"
    lines = [row(["data set", "model", *map(tex, names)])]
    for block in blocks:
        lines.append(r"\midrule")
        lines += [_row(line, block, names, records) for line in block.lines]
    yield from table(tex(_caption(facts)), f"tab:{facts.sweep}-results", f"ll{'r' * len(names)}", lines)


def _row(line: Line, block: Block, names: Sequence[str], records: dict[tuple[str, str], StudyRecord]) -> str:
    dataset = tex(block.dataset) if line is block.lines[0] else ""
    held = dict(zip(block.metrics, line.cells, strict=True))
    cells = [_latex_cell(held[name]) if name in held else "-" for name in names]
    return row([dataset, cite_model(records[block.dataset, line.model]), *cells])


def _latex_cell(cell: Cell) -> str:
    shown = rf"\textbf{{{cell.text}}}" if cell.best else cell.text
    shown = rf"\underline{{{shown}}}" if cell.second else shown
    half = cell.value.half if cell.value else None
    spread = rf" {{\scriptsize$\pm${half:.4f}}}" if half is not None else ""
    return f"{shown}{_TEX_MARKS[cell.mark]}{spread}"


def _caption(facts: Facts) -> str:
    """All that a reader must know who sees the table alone."""
    blocks = facts.blocks
    repeated = [block for block in blocks if block.repeated]
    over = f"means of {repeated[0].seeds} trainings" if repeated else "one training of each"
    what = f"Test metrics of the configurations chosen on validation in {facts.sweep}, {over}."
    told = [
        what,
        meaning(blocks, underlined="underlined"),
        *budgets(facts.results),
        *data_lines(facts.results),
    ]
    return " ".join(told)
