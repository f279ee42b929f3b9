"""Files that are already split as one table, whose rows know the file and the line that they come from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recsweep.common.errors import InputError
from recsweep.datasets.columns import one_column
from recsweep.datasets.table import Table, Texts

_Array = np.ndarray[Any, Any]


def joined(path: Path, tables: Sequence[Table]) -> Table:
    """The rows of several files of one form, one after the other.

    Args:
        path: what the file would be called if there were one.

    Raises:
        InputError: a column is of another type in another file.
    """
    first = tables[0]
    for table in tables[1:]:
        for name, kind in first.types.items():
            if table.types.get(name) != kind:
                found = f"is a {table.types[name]}" if name in table.types else "is not there"
                raise InputError(
                    table.path,
                    f"`{name}` {found}, but a {kind} in {first.path}",
                    f"write `{name}:{kind}`",
                    1,
                    1,
                )
    return Table(
        path,
        dict(first.types),
        {name: _texts([table.texts[name] for table in tables]) for name in first.texts},
        {name: np.concatenate([table.numbers[name] for table in tables]) for name in first.numbers},
        _exact(tables),
        sum(table.rows for table in tables),
        "+".join(table.digest for table in tables),
        sources=tuple(tables),
    )


def _texts(columns: Sequence[Texts]) -> Texts:
    """Each text once, in the order in which they are met."""
    numbers: dict[str, int] = {}
    codes = []
    for column in columns:
        own = [numbers.setdefault(value, len(numbers)) for value in column.values]
        codes.append(np.array(own, dtype=column.codes.dtype)[column.codes])
    return Texts(list(numbers), np.concatenate(codes))


def _exact(tables: Sequence[Table]) -> dict[str, _Array]:
    """Columns that float64 would round somewhere: whole numbers where all are, else decimals."""
    names = {name for table in tables for name in table.exact}
    return {
        name: one_column([table.exact.get(name, table.numbers[name]) for table in tables]) for name in names
    }
