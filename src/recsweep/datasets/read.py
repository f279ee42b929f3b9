"""The one reader of atomic files: what is checked here is what RecBole is handed.

One header of `name:type` fields separated by tabs, then one row a line. A cell is the text between two
tabs: there are no quotes, no escapes, and no words for a missing value but the empty cell. The text is UTF-8,
with or without a byte-order mark. Columns are read in blocks: a large file is never in memory as text.
"""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Mapping
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from recsweep.common.errors import InputError
from recsweep.datasets.header import SEPARATOR, no_text, not_utf8, read_header
from recsweep.datasets.table import Table, Texts

_BLOCK = 1 << 18
_EXACT_DIGITS = 15
"""A decimal of so many characters is told from every other one by a float64."""


def read_table(
    path: Path,
    names: Collection[str] | None = None,
    *,
    required: Collection[str] = (),
    ordered: str | None = None,
    separator: str = " ",
) -> Table:
    """Columns of an atomic file, checked cell by cell.

    Args:
        names: the columns to read; None for all.
        required: those in which no cell may be empty.
        ordered: the column of times: what float64 would round there is kept exactly, too.
        separator: of the values in a cell of a `token_seq` or `float_seq`.

    Raises:
        InputError: a header without types, a row of another width, a cell that is empty or no number where it
            has to be, or what is no text; with its place.
    """
    header = read_header(path)
    reading = _Reading(path, header, names, required, ordered)
    digest = hashlib.sha256()
    for text in _blocks(path, digest):
        reading.add(text)
    table = reading.table(digest.hexdigest())
    for name, kind in table.types.items():
        if kind == "float_seq":
            _check_numbers(table, name, separator)
    return table


def _blocks(path: Path, digest: Any) -> Iterator[str]:
    """The rows of a file as texts of whole lines; feeds every byte to the digest."""
    with path.open("rb") as file:
        header = file.readline()
        digest.update(header)
        rest = b""
        while block := file.read(_BLOCK):
            digest.update(block)
            whole, end, rest = (rest + block).rpartition(b"\n")
            if end:
                yield _text(path, whole)
        if rest:
            yield _text(path, rest)


def _text(path: Path, block: bytes) -> str:
    try:
        text = block.decode("utf-8")
    except UnicodeDecodeError:
        raise not_utf8(path) from None
    return text.replace("\r\n", "\n").removesuffix("\r") if "\r" in text else text


_CellError = Callable[[int, str, str], InputError]
"""An error that points at a row of a column, with its problem and its fix."""


class _Numbers(dict[str, int]):
    """Numbers texts in the order in which they are met."""

    def __missing__(self, text: str) -> int:
        number = self[text] = len(self)
        return number


class _Reading:
    """The columns of a file while it is read."""

    def __init__(
        self,
        path: Path,
        header: Mapping[str, str],
        names: Collection[str] | None,
        required: Collection[str],
        ordered: str | None,
    ) -> None:
        self.path, self.fields = path, list(header)
        self.types = {name: kind for name, kind in header.items() if names is None or name in names}
        self.required = [name for name in self.types if name in required]
        self.texts = {name: _Numbers() for name, kind in self.types.items() if kind != "float"}
        self.codes: dict[str, list[np.ndarray[Any, Any]]] = {name: [] for name in self.texts}
        self.floats: dict[str, list[np.ndarray[Any, Any]]] = {
            name: [] for name, kind in self.types.items() if kind == "float"
        }
        self.ordered = ordered
        self.exact: list[np.ndarray[Any, Any]] = []
        self.rows = 0
        self.lines = 1
        self.blanks: list[int] = []

    def add(self, text: str) -> None:
        """Take the cells of more lines."""
        lines = text.split("\n")
        if "\0" in text or "\r" in text:
            self._refuse_characters(lines)
        rows = self._without_blanks(lines) if "" in lines else lines
        width = len(self.fields)
        if not {row.count(SEPARATOR) for row in rows} <= {width - 1}:
            self._refuse_width(lines)
        # One list of all cells is three times as fast as a list for each row.
        cells = SEPARATOR.join(rows).split(SEPARATOR) if rows else []
        odd = "_" in text or not text.isascii()
        for index, name in enumerate(self.fields):
            if name in self.types:
                refuse = partial(self._error, cells, index)
                self._add_column(name, cells[index::width], refuse, odd)
        self.rows += len(rows)
        self.lines += len(lines)

    def _add_column(self, name: str, cells: list[str], error: _CellError, odd: bool) -> None:
        if name in self.required and "" in cells:
            raise error(cells.index(""), f"`{name}` is empty", "fill it in, or drop the row")
        if name in self.floats:
            self._add_floats(name, cells, error, odd)
        else:
            self._add_texts(name, cells)

    def _add_texts(self, name: str, cells: list[str]) -> None:
        numbers = map(self.texts[name].__getitem__, cells)
        self.codes[name].append(np.fromiter(numbers, dtype=np.int64, count=len(cells)))

    def _add_floats(self, name: str, cells: list[str], error: _CellError, odd: bool) -> None:
        try:
            values = np.array(list(map(float, cells)), dtype=np.float64)
            sound = bool(np.isfinite(values).all()) and not (odd and any(map(_is_odd, cells)))
        except ValueError:
            sound = False
        if not sound:
            numbers = [_number(cell) if cell else math.nan for cell in cells]
            if None in numbers:
                wrong = numbers.index(None)
                problem = f"`{name}` must be a number, but got {cells[wrong]!r}"
                raise error(wrong, problem, "correct it, or drop the row")
            values = np.array(numbers, dtype=np.float64)
        self.floats[name].append(values)
        if name == self.ordered and "" not in cells:
            self._add_exact(name, cells)

    def _add_exact(self, name: str, cells: list[str]) -> None:
        """From the first number that float64 may round on, numbers are kept as they are written, too."""
        if not self.exact and max(map(len, cells), default=0) <= _EXACT_DIGITS:
            return
        if not self.exact:
            self.exact.extend(self.floats[name][:-1])
        try:
            self.exact.append(np.array(list(map(int, cells)), dtype=np.int64))
        except (ValueError, OverflowError):
            written = np.empty(len(cells), dtype=object)
            written[:] = list(map(Decimal, cells))
            self.exact.append(written)

    def _without_blanks(self, lines: list[str]) -> list[str]:
        rows: list[str] = []
        for line in lines:
            if line:
                rows.append(line)
            else:
                self.blanks.append(self.rows + len(rows))
        return rows

    def _refuse_characters(self, lines: list[str]) -> None:
        for number, line in enumerate(lines, start=self.lines + 1):
            if found := no_text(line):
                raise InputError(self.path, found[1], found[2], number, found[0])

    def _refuse_width(self, lines: list[str]) -> None:
        for number, line in enumerate(lines, start=self.lines + 1):
            width = line.count(SEPARATOR) + 1
            if line and width != len(self.fields):
                raise InputError(
                    self.path,
                    f"the row has {width} fields, the header {len(self.fields)}",
                    "separate the fields by tabs",
                    number,
                    1,
                )

    def _error(self, cells: list[str], index: int, row: int, problem: str, fix: str) -> InputError:
        """An error that points at a cell of the rows that are being added."""
        number, first = self.rows + row, row * len(self.fields)
        line = number + 2 + bisect_right(self.blanks, number)
        column = sum(len(cell) + 1 for cell in cells[first : first + index]) + 1
        return InputError(self.path, problem, fix, line, column)

    def table(self, digest: str) -> Table:
        """All that was added."""
        exact = _one(self.exact) if self.exact else np.empty(0)
        return Table(
            self.path,
            self.types,
            {
                name: Texts(list(values), _joined(self.codes[name], np.int64))
                for name, values in self.texts.items()
            },
            {name: _joined(parts, np.float64) for name, parts in self.floats.items()},
            {self.ordered: exact} if self.ordered and self.rows and len(exact) == self.rows else {},
            self.rows,
            digest,
            self.blanks,
        )


def _check_numbers(table: Table, name: str, separator: str) -> None:
    for code, text in enumerate(table.texts[name].values):
        for part in filter(None, text.split(separator)):
            if _number(part) is None:
                raise InputError(
                    table.path,
                    f"`{name}` must hold numbers parted by {separator!r}, but got {part!r} in {text!r}",
                    "correct it, set `sequence_separator` of the data set, or do not load the column",
                    table.first_line(name, code),
                    1,
                )


def _joined(parts: list[np.ndarray[Any, Any]], kind: Any) -> np.ndarray[Any, Any]:
    return np.concatenate(parts) if parts else np.empty(0, dtype=kind)


def _one(parts: list[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    """Whole numbers where all are; else decimals, in which every number is what was written."""
    whole = [part.astype(np.int64) if _is_whole(part) else part for part in parts]
    if all(part.dtype == np.int64 for part in whole):
        return np.concatenate(whole)
    values = np.empty(sum(map(len, parts)), dtype=object)
    values[:] = [Decimal(str(number)) for part in whole for number in part.tolist()]
    return values


def _is_whole(part: np.ndarray[Any, Any]) -> bool:
    return part.dtype == np.float64 and bool((part == np.floor(part)).all() and (abs(part) < 2**53).all())


def _is_odd(cell: str) -> bool:
    """True where Python alone takes a text for a number: `1_000`, digits of other scripts."""
    return "_" in cell or not cell.isascii()


def _number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) and not _is_odd(cell) else None
