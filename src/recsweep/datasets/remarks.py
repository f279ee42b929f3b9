"""Findings in the data that are no mistake, but may not be meant: said in a line, and taken as it is."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np

from recsweep.datasets.table import Table

_BAR_SHARE, _SHARE = 0.1, 0.5
"""Shares of cells with such a character from which on it is likely to part values."""
_MARKS = {"|": _BAR_SHARE, ",": _SHARE, ";": _SHARE}


def about_ids(table: Table, names: Collection[str]) -> Iterator[str]:
    """Ids with a space at an end or a character that cannot be seen: they are others than those without."""
    for name in names:
        values = table.texts[name].values
        odd = [code for code, text in enumerate(values) if text != text.strip() or not text.isprintable()]
        if not odd:
            continue
        ids = set(values)
        twins = sum(_visible(values[code]) in ids for code in odd)
        number = "1 id" if len(odd) == 1 else f"{len(odd)} ids"
        yield (
            f"{number} of `{name}` in {table.path.name} with spaces at an end or invisible characters, such "
            f"as {values[odd[0]]!a} in line {table.first_line(name, odd[0])}; they are other ids than those "
            f"without" + (f", of which {twins} {'is' if twins == 1 else 'are'} there too" if twins else "")
        )


def _visible(text: str) -> str:
    return "".join(character for character in text if character.isprintable()).strip()


def about_quotes(table: Table, names: Collection[str]) -> Iterator[str]:
    """Ids in quotes that are there without quotes, too: two ids, for a quote is a character."""
    for name in names:
        values = table.texts[name].values
        ids = set(values)
        quoted = [code for code, text in enumerate(values) if '"' in text]
        odd = [code for code in quoted if values[code] != (bare := values[code].strip('"')) and bare in ids]
        if odd:
            yield (
                f"`{name}` in {table.path.name} holds {values[odd[0]]!r} in line "
                f"{table.first_line(name, odd[0])}, and the same without quotes; "
                f"a quote is part of an id, so these are two ({len(odd)} in all)"
            )


def about_numbers(table: Table, kept_by: Collection[str]) -> Iterator[str]:
    """Numbers that are missing: RecBole puts the mean of the others there.

    Args:
        kept_by: columns whose interval decides which rows stay; an empty cell lies in none.
    """
    for name, numbers in table.numbers.items():
        empty = np.flatnonzero(np.isnan(numbers))
        if not len(empty):
            continue
        does = "`keep` drops these rows" if name in kept_by else "RecBole fills in the mean of the others"
        yield (
            f"`{name}` in {table.path.name} is empty in {len(empty)} of {table.rows} rows, the first is line "
            f"{table.line(int(empty[0]))}; {does}"
        )


def about_sequences(table: Table, separator: str) -> Iterator[str]:
    """Lists whose values seem to be parted by something else than the separator."""
    for name, texts in table.texts.items():
        if table.types[name] != "token_seq":
            continue
        values = [text for text in texts.values if text]
        for mark, share in _MARKS.items():
            found = [text for text in values if mark in text]
            if mark in separator or not found or len(found) < share * len(values):
                continue
            line = table.first_line(name, texts.values.index(found[0]))
            yield (
                f"`{name}` in {table.path.name} is parted at {separator!r}, but {len(found)} of its "
                f"{len(values)} different cells hold {mark!r}, such as {found[0]!r} in line {line}; "
                f"if that parts its values, set `sequence_separator` in the data set's file"
            )
