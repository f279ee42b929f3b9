"""Parquet files: columns written in parts or at once, whole or not at all, and read again.

pyarrow is imported when a file is written or read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recsweep.common.errors import InputError
from recsweep.common.files import atomic_path

if TYPE_CHECKING:
    import numpy as np

Kind = str
"""The type of a column: `text`, `words` (text of few different values), or a number's: `int32`, `float64`."""


@dataclass(frozen=True)
class Words:
    """The different values of a column of `words`, turned into Arrow's form once."""

    texts: Sequence[str]

    @cached_property
    def array(self) -> Any:
        """As Arrow has them."""
        import pyarrow

        return pyarrow.array(self.texts, pyarrow.string())


@dataclass(frozen=True)
class Coded:
    """A column of `words`: for each row the place of its value among them."""

    codes: np.ndarray
    words: Words


Column = Sequence[str] | Coded | Any
"""The values of a column: texts, `Coded`, or a NumPy array of numbers."""
Write = Callable[[Mapping[str, Column]], None]
"""Appends rows: a value for each column, all of one length."""


@contextmanager
def parquet_rows(
    path: Path, columns: Mapping[str, Kind], notes: Mapping[str, str] | None = None
) -> Iterator[Write]:
    """Write a file part by part; it appears when the block ends without an error.

    Args:
        columns: the type of each column, by name, in order.
        notes: texts that the file holds beside its rows.

    Yields:
        Appends rows. What it is given at once can be read at once, so it should be some thousands at least.
    """
    from pyarrow import parquet

    schema = _schema(columns, notes or {})
    # Of texts least and most cost more than all else; a dictionary of floats, no two alike, is for nothing.
    costs = {
        "use_dictionary": [name for name, kind in columns.items() if not kind.startswith("float")],
        "write_statistics": [name for name, kind in columns.items() if kind not in ("text", "words")],
    }
    with atomic_path(path) as temporary, parquet.ParquetWriter(temporary, schema, **costs) as writer:
        yield lambda rows: writer.write_table(_table(rows, schema))


def write_parquet(
    path: Path,
    columns: Mapping[str, Kind],
    rows: Mapping[str, Column],
    notes: Mapping[str, str] | None = None,
) -> None:
    """Write a file at once, whole or not at all."""
    with parquet_rows(path, columns, notes) as write:
        write(rows)


def read_parquet(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The columns of a file as NumPy arrays (texts as objects), and its notes.

    Raises:
        InputError: there is no such file, or it is none of Parquet.
    """
    import pyarrow
    from pyarrow import parquet

    try:
        table = parquet.read_table(path)
    except (OSError, pyarrow.ArrowInvalid) as error:
        problem = "there is no such file" if not path.exists() else f"cannot be read as Parquet ({error})"
        raise InputError(path, problem, "name another one") from None
    notes = table.schema.metadata or {}
    return (
        {name: table[name].to_numpy() for name in table.column_names},
        {key.decode(): value.decode() for key, value in notes.items() if key != b"ARROW:schema"},
    )


def _schema(columns: Mapping[str, Kind], notes: Mapping[str, str]) -> Any:
    import pyarrow

    types = {"text": pyarrow.string(), "words": pyarrow.dictionary(pyarrow.int32(), pyarrow.string())}
    fields = [(name, types.get(kind) or getattr(pyarrow, kind)()) for name, kind in columns.items()]
    return pyarrow.schema(fields, metadata=dict(notes) or None)


def _table(rows: Mapping[str, Column], schema: Any) -> Any:
    import pyarrow

    arrays = [_array(rows[field.name], field.type) for field in schema]
    return pyarrow.Table.from_arrays(arrays, schema=schema)


def _array(column: Column, kind: Any) -> Any:
    import pyarrow

    if isinstance(column, Coded):
        codes = pyarrow.array(column.codes, pyarrow.int32())
        return pyarrow.DictionaryArray.from_arrays(codes, column.words.array)
    return pyarrow.array(column, kind)
