"""One file of rows made one atomic file: read in blocks, checked, written as it is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from recsweep.common.files import atomic_path
from recsweep.importing.blocks import Block, Table
from recsweep.importing.cells import Reader, Texts, as_floats
from recsweep.importing.columns import ITEM, RATING, TIME, TIME_MS, USER, Column
from recsweep.importing.times import Times, later

LISTS = "|"
"""Between the values of a list, where nothing else is given."""


@dataclass(frozen=True)
class Wishes:
    """All that is asked of an import beside its files and their columns."""

    time_unit: str = "auto"
    separator: str | None = None
    """Between the values in one cell; None where no cell has several."""
    only: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass
class Read:
    """The files of one kind as far as they are read, and all that is told of them."""

    columns: list[Column] = field(default_factory=list)
    rows: int = 0
    kept: int = 0
    ids: dict[str, Any] = field(default_factory=dict)
    """The different users and items, by role."""
    least: float = np.inf
    most: float = -np.inf
    """Of the ratings."""
    times: Times | None = None
    changed: dict[str, int] = field(default_factory=dict)
    repeated: int = 0
    """Rows left out of a file of features, for one of the same id stands before."""

    def count(self, role: str) -> int:
        """How many different ones there are."""
        return len(self.ids.get(role, ()))

    def see(self, role: str, texts: Texts) -> Any:
        """Remember the ids of more rows."""
        import pyarrow
        import pyarrow.compute as pc

        new = pc.unique(texts)
        seen = self.ids.get(role)
        self.ids[role] = new if seen is None else pc.unique(pyarrow.concat_arrays([seen, new]))


def write_rows(
    tables: Sequence[tuple[Table, list[Column]]], wishes: Wishes, target: Path | None, once: str = ""
) -> Read:
    """Read tables of the same columns one after the other, and write their rows as one atomic file.

    Args:
        target: the atomic file; None to read alone.
        once: the role whose ids stand once each; of a repeated one the first row is kept.

    Raises:
        InputError: a cell that cannot be taken, with its place.
    """
    read = Read()
    with ExitStack() as stack:
        file: BinaryIO | None = None
        if target is not None:
            file = stack.enter_context(stack.enter_context(atomic_path(target)).open("wb"))
        for table, columns in tables:
            _Writing(table, columns, wishes, read, once).run(file)
    return read


class _Writing:
    """One table while it is read."""

    def __init__(self, table: Table, columns: list[Column], wishes: Wishes, read: Read, once: str) -> None:
        self.table, self.columns, self.wishes, self.read, self.once = table, columns, wishes, read, once
        self.readers: list[Reader] = []
        self.row = 0

    def run(self, file: BinaryIO | None) -> None:
        """Read it all."""
        wanted = [*(column.source for column in self.columns), *self.wishes.only]
        for block in self.table.blocks(wanted):
            if not self.readers:
                self._begin(block)
                if file is not None and not file.tell():
                    named = (f"{one.name}:{one.kind}" for one in self.read.columns)
                    file.write(("\t".join(named) + "\n").encode())
            if block.num_rows:
                self._add(block, file)
        for reader in self.readers:
            for how, cells in reader.changed.items():
                self.read.changed[how] = self.read.changed.get(how, 0) + cells

    def _begin(self, block: Block) -> None:
        separator = self.wishes.separator
        typed = [
            one if one.kind else replace(one, kind=kind_of(block.column(one.source), separator))
            for one in self.columns
        ]
        self.readers = [Reader(self.table, column, separator or LISTS) for column in typed]
        self.read.columns = self.read.columns or [one for one in typed if one.role != TIME_MS]
        time = next((reader for reader in self.readers if reader.column.role == TIME), None)
        if time is not None:
            before = self.read.times
            self.read.times = before or Times(time, self.wishes.time_unit)
            self.read.times.reader = time

    def _add(self, block: Block, file: BinaryIO | None) -> None:
        import pyarrow.compute as pc

        made = {reader.column.name: self._texts(reader, block) for reader in self.readers}
        self.row += block.num_rows
        self.read.rows += block.num_rows
        self._delay(made)
        keep = self._kept(block, made)
        if keep is not None:
            made = {name: pc.filter(texts, keep) for name, texts in made.items()}
        columns = self.read.columns
        texts = [made[column.name] for column in columns]
        self.read.kept += len(texts[0])
        for column, cells in zip(columns, texts, strict=True):
            self._see(column, cells)
        if file is not None and len(texts[0]):
            file.write(_lines(texts))

    def _texts(self, reader: Reader, block: Block) -> Texts:
        values = block.column(reader.column.source)
        if reader.column.role == TIME and self.read.times is not None:
            return self.read.times.texts(values, self.row)
        return reader.texts(values, self.row)

    def _delay(self, made: dict[str, Texts]) -> None:
        """Add what `time_ms` says to the times."""
        delays = next((reader for reader in self.readers if reader.column.role == TIME_MS), None)
        time = next((reader for reader in self.readers if reader.column.role == TIME), None)
        if delays is not None:
            milliseconds = as_floats(made.pop(delays.column.name))
            if time is not None:
                made[time.column.name] = later(made[time.column.name], milliseconds)

    def _kept(self, block: Block, made: dict[str, Texts]) -> Any:
        """A mask of the rows that stay; None where all do."""
        import pyarrow
        import pyarrow.compute as pc

        keep = None
        for source, words in self.wishes.only.items():
            texts = pc.cast(block.column(source), pyarrow.string())
            among = pc.fill_null(pc.is_in(texts, pyarrow.array(words)), False)
            keep = among if keep is None else pc.and_(keep, among)
        if self.once:
            name = next(column.name for column in self.read.columns if column.role == self.once)
            first = self._first_ones(made[name])
            self.read.repeated += len(first) - int(first.sum())
            mask = pyarrow.array(first)
            keep = mask if keep is None else pc.and_(keep, mask)
        return keep

    def _first_ones(self, ids: Texts) -> np.ndarray[Any, Any]:
        """A mask of the rows whose id stands nowhere before."""
        import pyarrow
        import pyarrow.compute as pc

        codes = ids.dictionary_encode()
        first = np.zeros(len(ids), dtype=bool)
        first[np.unique(codes.indices.to_numpy(), return_index=True)[1]] = True
        seen = self.read.ids.get(self.once)
        if seen is not None:
            first &= ~pc.is_in(ids, pyarrow.array(seen)).to_numpy(zero_copy_only=False)
        return first

    def _see(self, column: Column, texts: Texts) -> None:
        if column.role in (USER, ITEM):
            self.read.see(column.role, texts)
        elif column.role == RATING and len(texts):
            numbers = as_floats(texts)
            self.read.least = min(self.read.least, float(numbers.min()))
            self.read.most = max(self.read.most, float(numbers.max()))


def kind_of(values: Any, separator: str | None) -> str:
    """The type of a column in an atomic file, by its first values."""
    import pyarrow
    import pyarrow.compute as pc
    from pyarrow import types

    kind = values.type
    if types.is_list(kind) or types.is_large_list(kind):
        return "token_seq" if types.is_string(kind.value_type) else "float_seq"
    if types.is_dictionary(kind) or types.is_boolean(kind) or types.is_temporal(kind):
        return "token"
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        return "float"
    if types.is_nested(kind) or types.is_binary(kind):
        return "token"
    texts = pc.fill_null(pc.cast(values, pyarrow.string()), "")
    if separator and pc.any(pc.match_substring(texts, separator)).as_py():
        return "token_seq"
    try:
        as_floats(texts)
    except ValueError:
        return "token"
    return "float" if pc.any(pc.not_equal(texts, "")).as_py() else "token"


def _lines(texts: list[Texts]) -> memoryview:
    """The bytes of rows, each with its line end."""
    import pyarrow.compute as pc

    rows = pc.binary_join_element_wise(*texts, "\t") if len(texts) > 1 else texts[0]
    lines = pc.binary_join_element_wise(rows, "", "\n")
    ends = np.frombuffer(lines.buffers()[1], np.int32)[lines.offset : lines.offset + len(lines) + 1]
    return memoryview(lines.buffers()[2])[int(ends[0]) : int(ends[-1])]
