"""The quick reader: a file's columns in blocks, by Arrow, every cell as text or as its type in the file."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recsweep.common.errors import InputError
from recsweep.importing import scan
from recsweep.importing.formats import Bytes, Format, delimiter

_BLOCK = 8 << 20
"""Bytes that are in memory at once, some times over."""
_ROWS = 1 << 18
_OBJECTS = 20_000
Block = Any
"""A record batch of Arrow."""


@dataclass(frozen=True)
class Table:
    """A file of rows, not read yet."""

    form: Format
    names: tuple[str, ...]
    """All of its columns."""

    def blocks(self, wanted: Sequence[str]) -> Iterator[Block]:
        """Some of its columns, block by block.

        Raises:
            InputError: a row that is none, with its place.
        """
        read = _READERS.get(self.form.kind, _rows)
        return read(self, list(dict.fromkeys(wanted)))

    def error(self, row: int, name: str, problem: str, fix: str) -> InputError:
        """An error that points at a cell, by the number of its row from 0."""
        if self.form.kind == "parquet":
            return InputError(self.form.path, problem, fix, row + 1, self.names.index(name) + 1)
        line, column, _ = scan.cell_at(self.form, row, self.names.index(name), name)
        return InputError(self.form.path, problem, fix, line, column)


def table_of(form: Format) -> Table:
    """The table that a file holds.

    Raises:
        InputError: its columns cannot be told.
    """
    if form.kind == "parquet":
        with _parquet(form.path) as file:
            return Table(form, tuple(file.schema_arrow.names))
    return Table(form, tuple(scan.names_of(form)))


def _parquet(path: Path) -> Any:
    import pyarrow
    from pyarrow import parquet

    try:
        return parquet.ParquetFile(path)
    except (OSError, pyarrow.ArrowInvalid) as error:
        raise InputError(path, f"cannot be read as Parquet ({error})", "name another file", 1, 1) from None


def _parquet_blocks(table: Table, wanted: list[str]) -> Iterator[Block]:
    import pyarrow

    with _parquet(table.form.path) as file:
        try:
            yield from file.iter_batches(_ROWS, columns=wanted)
        except (OSError, pyarrow.ArrowException) as error:
            raise InputError(table.form.path, f"is damaged ({error})", "fetch it again", 1, 1) from None


def _rows(table: Table, wanted: list[str]) -> Iterator[Block]:
    """Rows of text: every cell as text, an empty one as an empty text."""
    import pyarrow
    from pyarrow import csv

    form, raw = table.form, Bytes(table.form)
    quotes = '"' if form.quoted else False
    try:
        reader = csv.open_csv(
            raw,
            csv.ReadOptions(
                column_names=table.names,
                skip_rows=int(form.header is None),
                block_size=_BLOCK,
                encoding=form.encoding,
            ),
            csv.ParseOptions(delimiter=delimiter(form), quote_char=quotes, newlines_in_values=form.quoted),
            csv.ConvertOptions(
                column_types=dict.fromkeys(wanted, pyarrow.string()),
                include_columns=wanted,
                strings_can_be_null=False,
            ),
        )
        yield from reader
    except (pyarrow.ArrowException, UnicodeDecodeError) as error:
        scan.refuse_first_fault(form, table.names, str(error))
    if raw.quotes % 2:
        scan.refuse_first_fault(form, table.names, "a quote is opened and never closed")


def _objects(table: Table, wanted: list[str]) -> Iterator[Block]:
    """JSON: of each object the values that are wanted, null where it has none."""
    import pyarrow
    from pyarrow import json as arrow_json

    schema = pyarrow.schema([(name, _kind(table, name)) for name in wanted])
    options = arrow_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    try:
        reader = arrow_json.open_json(Bytes(table.form), arrow_json.ReadOptions(block_size=_BLOCK), options)
        yield from reader
    except pyarrow.ArrowException as error:
        scan.refuse_first_fault(table.form, wanted, str(error))


def _kind(table: Table, name: str) -> Any:
    """Arrow's type of a value: that of the first thousand objects that have it."""
    import pyarrow

    kinds = {
        bool: pyarrow.bool_(),
        int: pyarrow.int64(),
        float: pyarrow.float64(),
        str: pyarrow.string(),
    }
    lines = itertools.islice(scan.records(table.form), 1000)
    values = [value for line in lines if (value := scan.parsed(table.form, *line).get(name)) is not None]
    if any(isinstance(value, list) for value in values):
        texts = all(isinstance(one, str) for value in values if isinstance(value, list) for one in value)
        return pyarrow.list_(pyarrow.string() if texts else pyarrow.float64())
    found = {type(value) for value in values}
    only = float if found == {int, float} else found.pop() if len(found) == 1 else str
    if only not in kinds:
        raise table.error(0, name, f"`{name}` holds objects, which no column can", "name another column")
    return kinds[only]


def _literals(table: Table, wanted: list[str]) -> Iterator[Block]:
    """Objects as Python writes them: read one by one, nothing evaluated."""
    import pyarrow

    lines = scan.records(table.form)
    while some := list(itertools.islice(lines, _OBJECTS)):
        objects = [scan.parsed(table.form, *line) for line in some]
        yield pyarrow.RecordBatch.from_pydict(
            {
                name: pyarrow.array([_plain(one.get(name)) for one in objects], pyarrow.string())
                for name in wanted
            }
        )


def _plain(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)


_READERS: dict[str, Callable[[Table, list[str]], Iterator[Block]]] = {
    "parquet": _parquet_blocks,
    "json": _objects,
    "python": _literals,
}
