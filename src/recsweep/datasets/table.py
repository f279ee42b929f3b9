"""Columns of one atomic file in memory, and where their cells stand in it."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from recsweep.common.errors import InputError
from recsweep.datasets.header import BOM, SEPARATOR


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
    origin: np.ndarray[Any, Any] | None = field(default=None, repr=False)
    """The row of the file that each row was; None where all of them are here."""
    sources: Sequence[Table] | None = field(default=None, repr=False)
    """The files whose rows stand here one after the other; None for those of one file."""

    def where(self, row: int) -> tuple[Path, int]:
        """The file and the line of a row."""
        row = row if self.origin is None else int(self.origin[row])
        for source in self.sources or ():
            if row < source.rows:
                return source.where(row)
            row -= source.rows
        return self.path, row + 2 + bisect_right(self.blanks, row)

    def line(self, row: int) -> int:
        """The line of a row in its file."""
        return self.where(row)[1]

    def source_of(self, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The file of each of some rows, from 0."""
        whole = rows if self.origin is None else self.origin[rows]
        ends = np.cumsum([source.rows for source in self.sources or ()])
        return np.searchsorted(ends, whole, side="right")

    def first_line(self, name: str, code: int) -> int:
        """The line in which a text of a column stands first."""
        return self.line(self._first_row(name, code))

    def error(self, name: str, row: int, problem: str, fix: str) -> InputError:
        """An error that points at a cell."""
        path, line = self.where(row)
        return InputError(path, problem, fix, line, _column(path, name, line))

    def error_at(self, name: str, code: int, problem: str, fix: str) -> InputError:
        """An error that points at the first cell with a text of a column."""
        return self.error(name, self._first_row(name, code), problem, fix)

    def _first_row(self, name: str, code: int) -> int:
        return int(np.argmax(self.texts[name].codes == code))

    def precise(self, name: str) -> np.ndarray[Any, Any] | None:
        """A column of numbers, as they are written where float64 would round; None where there is none."""
        return self.exact.get(name, self.numbers.get(name))

    def pairs(self, one: str, other: str) -> np.ndarray[Any, Any]:
        """A number for each row that is the same for the same texts in two columns."""
        codes = self.texts[one].codes.astype(np.int64)
        found: np.ndarray[Any, Any] = codes * max(len(self.texts[other].values), 1) + self.texts[other].codes
        return found

    def take(self, rows: np.ndarray[Any, Any]) -> Table:
        """The table of some rows, by a mask."""
        numbered = np.flatnonzero(rows).astype(np.int32) if self.origin is None else self.origin[rows]
        return Table(
            self.path,
            self.types,
            {name: texts.take(rows) for name, texts in self.texts.items()},
            {name: numbers[rows] for name, numbers in self.numbers.items()},
            {name: numbers[rows] for name, numbers in self.exact.items()},
            int(np.count_nonzero(rows)),
            self.digest,
            self.blanks,
            numbered,
            self.sources,
        )

    def coded(self, name: str) -> tuple[Sequence[str], np.ndarray[Any, Any]]:
        """The different texts of a column, and the place of each row's among them."""
        return self.texts[name]

    def with_numbers(self, name: str, numbers: np.ndarray[Any, Any]) -> Table:
        """The table with one more column of numbers."""
        types, columns = {**self.types, name: "float"}, {**self.numbers, name: numbers}
        return replace(self, types=types, numbers=columns)

    def cells(self, name: str) -> np.ndarray[Any, Any]:
        """A column as RecBole takes it."""
        if name in self.texts:
            return self.texts[name].cells()
        return self.exact.get(name, self.numbers[name])


def _column(path: Path, name: str, line: int) -> int:
    """Where a column begins in a line, which is read again: it is for an error alone."""
    with path.open("rb") as file:
        header = file.readline().removeprefix(BOM).decode("utf-8").rstrip("\r\n").split(SEPARATOR)
        cells = next(islice(file, line - 2, None), b"").decode("utf-8", "replace").split(SEPARATOR)
    index = [cell.partition(":")[0] for cell in header].index(name)
    return sum(len(cell) + 1 for cell in cells[:index]) + 1
