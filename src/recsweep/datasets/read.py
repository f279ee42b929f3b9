"""The one reader of atomic files: what is checked here is what RecBole is handed.

One header of `name:type` fields separated by tabs, then one row a line. A cell is the text between two
tabs: there are no quotes, no escapes, and no words for a missing value but the empty cell. The text is UTF-8,
with or without a byte-order mark. Columns are read in blocks: a large file is never in memory as text.
"""

from __future__ import annotations

import hashlib
import math
import re
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from recsweep.documents import nearest
from recsweep.errors import InputError

TYPES = ("token", "token_seq", "float", "float_seq")
SEPARATOR = "\t"
_BOM = b"\xef\xbb\xbf"
_BLOCK = 1 << 18
_EXACT_DIGITS = 15
"""A decimal of so many characters is told from every other one by a float64."""
_STRANGERS = {",": "commas", ";": "semicolons", " ": "spaces", "|": "bars"}
_JOINED = re.compile(r"[^:]*:(?:token_seq|token|float_seq|float)([,;| ])")


class Texts(NamedTuple):
    """A column of texts: each one once, and its number for each row."""

    values: list[str]
    codes: np.ndarray[Any, Any]

    def cells(self) -> np.ndarray[Any, Any]:
        """The text of each row; NaN, as RecBole marks what is missing, where it is empty."""
        values = np.empty(len(self.values), dtype=object)
        values[:] = [value or math.nan for value in self.values]
        cells: np.ndarray[Any, Any] = values[self.codes]
        return cells

    def take(self, rows: np.ndarray[Any, Any]) -> Texts:
        return Texts(self.values, self.codes[rows])


@dataclass(frozen=True)
class Table:
    """Columns of one atomic file."""

    path: Path
    types: Mapping[str, str]
    """Of the columns that were read, in the file's order."""
    texts: Mapping[str, Texts]
    """The columns that are not `float`."""
    numbers: Mapping[str, np.ndarray[Any, Any]]
    """The `float` columns; NaN where a cell is empty."""
    exact: Mapping[str, np.ndarray[Any, Any]]
    """Whole numbers or decimals in place of those `float` columns that float64 would round."""
    rows: int
    digest: str
    """SHA-256 of the file's bytes."""
    blanks: Sequence[int] = field(default=(), repr=False)
    """How many rows stand above each empty line."""

    def line(self, row: int) -> int:
        """The line of a row in the file."""
        return row + 2 + bisect_right(self.blanks, row)

    def first_line(self, name: str, code: int) -> int:
        """The line in which a text of a column stands first."""
        return self.line(int(np.argmax(self.texts[name].codes == code)))

    def take(self, rows: np.ndarray[Any, Any]) -> Table:
        """The table of some rows, by a mask. Its `line` no longer holds."""
        return Table(
            self.path,
            self.types,
            {name: texts.take(rows) for name, texts in self.texts.items()},
            {name: numbers[rows] for name, numbers in self.numbers.items()},
            {name: numbers[rows] for name, numbers in self.exact.items()},
            int(np.count_nonzero(rows)),
            self.digest,
        )

    def cells(self, name: str) -> np.ndarray[Any, Any]:
        """A column as RecBole takes it."""
        if name in self.texts:
            return self.texts[name].cells()
        return self.exact.get(name, self.numbers[name])


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


def read_header(path: Path) -> dict[str, str]:
    """Type of each column by name, in the file's order.

    Raises:
        InputError: an empty file, or a field without a known type.
    """
    with path.open("rb") as file:
        raw = file.readline().removeprefix(_BOM)
    try:
        line = raw.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise _not_utf8(path) from None
    if not line.strip():
        raise InputError(path, "the file is empty", "write a header such as user_id:token", 1, 1)
    if place := _no_text(line):
        raise InputError(path, place[1], place[2], 1, place[0])
    header: dict[str, str] = {}
    column = 1
    for cell in line.split(SEPARATOR):
        name, kind = _field(path, cell, column)
        if name in header:
            raise InputError(path, f"the column `{name}` stands twice", "rename one", 1, column)
        header[name] = kind
        column += len(cell) + 1
    return header


def _field(path: Path, cell: str, column: int) -> tuple[str, str]:
    """Name and type of a field of the header."""
    name, colon, kind = cell.partition(":")
    if joined := _JOINED.match(cell):
        raise InputError(
            path,
            f"{_STRANGERS[joined[1]]} stand between the columns, where tabs are wanted",
            "separate the fields by tabs, here and in every row",
            1,
            column + joined.start(1),
        )
    if not colon:
        raise InputError(
            path,
            f"the field `{cell}` has no type",
            f"write `{cell or 'name'}:token` or `:float`, fields separated by tabs",
            1,
            column,
        )
    if kind not in TYPES:
        raise InputError(path, f"unknown type `{kind}` of `{name}`", nearest(kind, TYPES), 1, column)
    return name, kind


def _no_text(line: str) -> tuple[int, str, str] | None:
    """Column, problem and fix of a character that no line may hold."""
    for character, name in (("\0", "a NUL character"), ("\r", "a carriage return inside the line")):
        if (index := line.find(character)) >= 0:
            return index + 1, f"there is {name}", "remove it; lines end by a line feed"
    return None


def _not_utf8(path: Path) -> InputError:
    """Points at the first byte that is no text."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                return InputError(
                    path,
                    f"is not UTF-8 text ({error.reason})",
                    "convert it to UTF-8",
                    number,
                    error.start + 1,
                )
    return InputError(path, "is not UTF-8 text", "convert it to UTF-8", 1, 1)


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
        raise _not_utf8(path) from None
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
                place = partial(self._error, cells, index)
                self._add_column(name, cells[index::width], place, odd)
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
            if place := _no_text(line):
                raise InputError(self.path, place[1], place[2], number, place[0])

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
        place, first = self.rows + row, row * len(self.fields)
        line = place + 2 + bisect_right(self.blanks, place)
        column = sum(len(cell) + 1 for cell in cells[first : first + index]) + 1
        return InputError(self.path, problem, fix, line, column)

    def table(self, digest: str) -> Table:
        """All that was added."""
        exact = _one(self.exact) if self.exact else np.empty(0)
        return Table(
            self.path,
            self.types,
            {
                name: Texts(list(known), _joined(self.codes[name], np.int64))
                for name, known in self.texts.items()
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
    """What Python takes for a number and nobody else does: `1_000`, digits of other scripts."""
    return "_" in cell or not cell.isascii()


def _number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) and not _is_odd(cell) else None
