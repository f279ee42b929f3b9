"""Words of a report in TeX, with the signs that they hold."""

from __future__ import annotations

import re
from collections.abc import Iterable

from recsweep.common.escape import for_latex

_SIGNS = {
    "±": r"$\pm$",
    "≈": r"$\approx$",
    "τ": r"$\tau$",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "×": r"$\times$",
    "−": "-",
}


def tex(words: object) -> str:
    """Text in a TeX document: nothing in it is a command, and every sign is one that plain fonts have."""
    text = for_latex(words)
    for sign, command in _SIGNS.items():
        text = text.replace(sign, command)
    return text


def typed(command: str) -> str:
    """A command as it is typed: its hyphens stay two."""
    return tex(command).replace("--", "-{}-")


def table(caption: str, label: str, columns: str, lines: list[str], floats: str = "") -> list[str]:
    """A `table` of booktabs.

    Args:
        caption: as TeX.
        columns: their places, `llr`.
        lines: its rows and rules.
    """
    return [
        rf"\begin{{table}}{floats}",
        r"\centering\footnotesize\setlength{\tabcolsep}{4pt}" if floats else r"\centering",
        rf"\caption{{{caption}}}",
        rf"\label{{{label_of(label)}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        *lines,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]


def label_of(words: str) -> str:
    """A label: names of models and data sets without what TeX reads in them."""
    return re.sub(r"[^A-Za-z0-9:.-]", "-", words)


def row(cells: Iterable[str]) -> str:
    """A row, of cells that are TeX already."""
    return rf"{' & '.join(cells)} \\"
