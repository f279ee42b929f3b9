"""Lines of separated text as columns, by pyarrow's reader: quick, for lines that are as they should be.

It takes a block as it stands, or says nothing of it; what is wrong, and where, is for a reader that looks at
each cell. Nothing here is a quote, an escape, or a word for what is missing but the empty cell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_Array = np.ndarray[Any, Any]
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class WordCells:
    """Cells of text: each text once, in the order in which they are met, and its number for each row."""

    texts: Sequence[str]
    codes: _Array


@dataclass(frozen=True)
class NumberCells:
    """Cells that are numbers, and finite."""

    values: _Array
    """NaN where a cell is empty."""
    widest: int = 0
    """Characters of the longest cell; of `written` columns alone."""
    whole: _Array | None = None
    """The same as whole numbers, which a float64 may round, where they are; of `written` columns alone."""


Cells = WordCells | NumberCells


def read_block(
    block: bytes,
    fields: Sequence[str],
    numbers: Mapping[str, bool],
    separator: str = "\t",
    written: str | None = None,
) -> tuple[int, dict[str, Cells]] | None:
    """Columns of whole lines; None where a cell, a line or a character is not as it should be.

    Args:
        block: UTF-8 without an end of line at its end.
        fields: the names of all columns, in their order.
        numbers: the columns that are wanted; True for numbers, False for texts.
        written: the column of numbers of which it is asked how they are written.

    Returns:
        The number of rows and the cells of each column. An empty cell of text is a text.
    """
    if not block or block.startswith((b"\n", _BOM)) or b"\n\n" in block or block.endswith(b"\n"):
        return None
    if b"\r" in block or b"\0" in block:
        return None
    import pyarrow

    try:
        table = _read(block, fields, numbers, separator, written)
        if table.num_rows != block.count(b"\n") + 1:
            return None
        found = {name: _cells(table[name], number, name == written) for name, number in numbers.items()}
    except pyarrow.ArrowInvalid:
        return None
    whole = {name: cells for name, cells in found.items() if cells is not None}
    return (table.num_rows, whole) if len(whole) == len(found) else None


def _read(
    block: bytes, fields: Sequence[str], numbers: Mapping[str, bool], separator: str, written: str | None
) -> Any:
    import pyarrow
    from pyarrow import csv

    words = pyarrow.dictionary(pyarrow.int32(), pyarrow.string())
    types = {name: pyarrow.float64() if of_numbers else words for name, of_numbers in numbers.items()}
    if written is not None and numbers.get(written):
        types[written] = pyarrow.string()
    plain = csv.ParseOptions(
        delimiter=separator,
        quote_char=False,
        double_quote=False,
        escape_char=False,
        ignore_empty_lines=False,
    )
    cells = csv.ConvertOptions(
        column_types=types, include_columns=list(numbers), null_values=[""], strings_can_be_null=False
    )
    at_once = csv.ReadOptions(use_threads=False, column_names=list(fields), block_size=len(block) + 1)
    return csv.read_csv(pyarrow.BufferReader(block), at_once, plain, cells)


def _cells(column: Any, of_numbers: bool, is_written: bool) -> Cells | None:
    """Cells of a column; None where a number is not finite.

    Raises:
        ArrowInvalid: a cell is no number.
    """
    array = column.combine_chunks()
    if not of_numbers:
        return WordCells(array.dictionary.to_pylist(), array.indices.to_numpy())
    if is_written:
        return _written(array)
    values = array.to_numpy(zero_copy_only=False)
    return NumberCells(values) if np.isfinite(values).sum() == len(values) - array.null_count else None


def _written(texts: Any) -> NumberCells | None:
    import pyarrow
    from pyarrow import compute

    values = texts.cast(pyarrow.float64()).to_numpy(zero_copy_only=False)
    if not np.isfinite(values).all():
        return None
    try:
        whole = texts.cast(pyarrow.int64()).to_numpy()
    except pyarrow.ArrowInvalid:
        whole = None
    return NumberCells(values, int(compute.max(compute.binary_length(texts)).as_py()), whole)
