"""The columns of a file while it is read: blocks of its lines are taken at once, or cell by cell."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from recsweep.common.errors import InputError
from recsweep.common.separated import Cells, WordCells, read_block
from recsweep.datasets.header import SEPARATOR, no_text
from recsweep.datasets.table import Table, Texts

_EXACT_DIGITS = 15
"""A decimal of so many characters is told from every other one by a float64."""
Block = tuple[int, dict[str, Cells]]
"""A number of rows and the cells of each column."""
_CellError = Callable[[int, str, str], InputError]
"""An error that points at a row of a column, with its problem and its fix."""


class _Numbers(dict[str, int]):
    """Numbers texts in the order in which they are met."""

    def __missing__(self, text: str) -> int:
        number = self[text] = len(self)
        return number


class Columns:
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

    def cells_of(self, block: bytes) -> Block | None:
        """The cells of whole lines; None where they have to be looked at. Threads may ask at once."""
        if not block.isascii() and not _is_text(block):
            return None
        numbers = {name: kind == "float" for name, kind in self.types.items()}
        return read_block(block, self.fields, numbers, SEPARATOR, self.ordered)

    def add_block(self, found: Block | None) -> bool:
        """Take the cells of more lines at once; False, and none, where they have to be looked at."""
        if found is None or not all(self._is_sound(name, cells) for name, cells in found[1].items()):
            return False
        self.rows, self.lines = self.rows + found[0], self.lines + found[0]
        for name, cells in found[1].items():
            self._take(name, cells)
        return True

    def _is_sound(self, name: str, cells: Cells) -> bool:
        """No cell is empty that must not be, and no time is lost in rounding."""
        if isinstance(cells, WordCells):
            return name not in self.required or "" not in cells.texts
        if name in self.required and np.isnan(cells.values).any():
            return False
        return name != self.ordered or cells.whole is not None or not self._is_exact(cells.widest)

    def _take(self, name: str, cells: Cells) -> None:
        if isinstance(cells, WordCells):
            numbers = map(self.texts[name].__getitem__, cells.texts)
            places = np.fromiter(numbers, dtype=np.int32, count=len(cells.texts))
            self.codes[name].append(places[cells.codes])
            return
        self.floats[name].append(cells.values)
        if cells.whole is not None and self._is_exact(cells.widest):
            self.exact = [*(self.exact or self.floats[name][:-1]), cells.whole]

    def _is_exact(self, widest: int) -> bool:
        """True from the first number on that float64 may round."""
        return bool(self.exact) or widest > _EXACT_DIGITS

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
        self.codes[name].append(np.fromiter(numbers, dtype=np.int32, count=len(cells)))

    def _add_floats(self, name: str, cells: list[str], error: _CellError, odd: bool) -> None:
        try:
            values = np.array(list(map(float, cells)), dtype=np.float64)
            sound = bool(np.isfinite(values).all()) and not (odd and any(map(_is_odd, cells)))
        except ValueError:
            sound = False
        if not sound:
            numbers = [number(cell) if cell else math.nan for cell in cells]
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
        if not self._is_exact(max(map(len, cells), default=0)):
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
        exact = one_column(self.exact) if self.exact else np.empty(0)
        return Table(
            self.path,
            self.types,
            {
                name: Texts(list(values), _joined(self.codes[name], np.int32))
                for name, values in self.texts.items()
            },
            {name: _joined(parts, np.float64) for name, parts in self.floats.items()},
            {self.ordered: exact} if self.ordered and self.rows and len(exact) == self.rows else {},
            self.rows,
            digest,
            self.blanks,
        )


def _is_text(block: bytes) -> bool:
    try:
        block.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _joined(parts: list[np.ndarray[Any, Any]], kind: Any) -> np.ndarray[Any, Any]:
    return np.concatenate(parts) if parts else np.empty(0, dtype=kind)


def one_column(parts: list[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
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


def number(cell: str) -> float | None:
    """The number that a cell holds; None where it is none."""
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) and not _is_odd(cell) else None
