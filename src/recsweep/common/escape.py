"""Text from files, options and libraries, made fit for where it lands: a terminal, Markdown, TeX, HTML."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

# A star or an underscore inside a word marks nothing in Markdown: `learning_rate` stays readable.
_MARKDOWN = re.compile(r"[\\`*\[\]<>|~&]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "_": r"\_",
    "%": r"\%",
    "&": r"\&",
    "#": r"\#",
    "$": r"\$",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    '"': "''",  # `\textquotedbl` needs another font encoding than LaTeX's own
}


def for_terminal(value: object) -> str:
    r"""One line without anything that a terminal obeys or that nobody sees.

    Control characters, line breaks, marks that turn the direction of reading, characters without width and
    halves of surrogate pairs are written as Python writes them: `\x1b`, `\n`, `\u202e`.
    """
    text = str(value)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def short(value: object) -> str:
    """A value in one line, in four digits where it is a number with more."""
    return f"{value:.4g}" if isinstance(value, float) else for_terminal(value)


def for_markdown(value: object) -> str:
    """Text in a cell of a Markdown table or in a line: nothing in it is a mark, a tag or another cell."""
    return _MARKDOWN.sub(lambda found: f"\\{found[0]}", for_terminal(value))


def cells_for_markdown(cells: Sequence[str]) -> list[str]:
    """Each cell as `for_markdown` gives it; a row in which nothing is to be escaped costs one look."""
    together = " ".join(cells)
    if together.isprintable() and _MARKDOWN.search(together) is None:
        return list(cells)
    return [for_markdown(cell) for cell in cells]


def for_latex(value: object) -> str:
    """Text in a TeX document: nothing in it is a command."""
    return "".join(_LATEX.get(character, character) for character in for_terminal(value))


def for_html(value: object) -> str:
    """Text in a page, or in a quoted attribute of one: nothing in it is a tag."""
    return html.escape(for_terminal(value))
