"""Blocks of a column as texts fit for an atomic file: checked at once, a fault sought where there is one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

from recsweep.importing.blocks import Table
from recsweep.importing.columns import RATING, TIME, TIME_MS, Column

Texts = Any
"""A column of texts of Arrow, none of them missing."""


@dataclass
class Reader:
    """A column while it is read block by block."""

    table: Table
    column: Column
    separator: str
    """Between the values of lists, and of cells that hold several."""
    changed: dict[str, int] = field(default_factory=dict)
    """How many cells were changed, by how."""

    def texts(self, values: Any, row: int) -> Texts:
        """The texts of more cells.

        Args:
            values: as the file has them.
            row: number of the first of them, from 0.

        Raises:
            InputError: a cell that is empty, no number or no text where it has to be, with its place.
        """
        import pyarrow.compute as pc

        texts = pc.fill_null(self._as_texts(values, row), "")
        kind, role = self.column.kind, self.column.role
        if role or kind == "float":
            texts = self._number(texts, row) if kind == "float" else self._id(texts, row)
        return self._clean(texts, row) if kind != "float" else texts

    def refuse(self, row: int, problem: str, fix: str) -> NoReturn:
        """Raise an error that points at a cell.

        Raises:
            InputError: always.
        """
        raise self.table.error(row, self.column.source, f"`{self.column.source}` {problem}", fix)

    def _as_texts(self, values: Any, row: int) -> Any:
        import pyarrow
        import pyarrow.compute as pc
        from pyarrow import types

        kind = values.type
        if types.is_dictionary(kind):
            values = values.dictionary_decode()
            kind = values.type
        if types.is_list(kind) or types.is_large_list(kind):
            return self._joined(values, row)
        if types.is_floating(kind):
            whole = pc.all(pc.equal(pc.floor(values), values)).as_py()
            if whole and self.column.kind != "float" and not pc.any(pc.is_inf(values)).as_py():
                self._count("whole numbers written without `.0`", len(values))
                return pc.cast(pc.cast(values, pyarrow.int64()), pyarrow.string())
        if types.is_nested(kind) or types.is_binary(kind):
            self.refuse(row, f"holds {kind}, which no column can", "leave it out, or turn it into text")
        return pc.cast(values, pyarrow.string())

    def _joined(self, values: Any, row: int) -> Any:
        import pyarrow
        import pyarrow.compute as pc

        if self.column.role:
            self.refuse(row, "holds lists", "name another column")
        inner = pc.cast(values, pyarrow.list_(pyarrow.string()))
        flat = inner.flatten()
        if len(flat) and pc.any(pc.match_substring(flat, self.separator)).as_py():
            held = (one and any(self.separator in (part or "") for part in one) for one in inner.to_pylist())
            at = next(number for number, one in enumerate(held) if one)
            self.refuse(
                row + at, f"has a value with the separator {self.separator!r}", "give another --seq-separator"
            )
        return pc.binary_join(inner, self.separator)

    def _id(self, texts: Texts, row: int) -> Texts:
        """Users and items: none is empty, none holds what ends a cell or a line."""
        import pyarrow.compute as pc

        if len(texts) and pc.min(pc.binary_length(texts)).as_py() == 0:
            at = pc.index(texts, "").as_py()
            self.refuse(row + at, "is empty", "fill it in, or drop the row")
        if _controls(texts):
            at = _first(texts, lambda text: any(ord(one) < 32 for one in text))
            self.refuse(row + at, f"is {texts[at].as_py()!r}, with a tab or a line end in it", "rename it")
        return texts

    def _number(self, texts: Texts, row: int) -> Texts:
        """Numbers, as they are written."""
        import pyarrow.compute as pc

        needed = self.column.role in (TIME, RATING, TIME_MS)
        if needed and len(texts) and pc.min(pc.binary_length(texts)).as_py() == 0:
            at = pc.index(texts, "").as_py()
            self.refuse(row + at, "is empty", "fill it in, or leave the column out")
        try:
            numbers = as_floats(texts)
        except ValueError:
            texts = pc.utf8_trim_whitespace(texts)
            try:
                numbers = as_floats(texts)
            except ValueError:
                at = _first(texts, lambda text: bool(text) and not _is_number(text))
                what = f"must be a number, but is {texts[at].as_py()!r}"
                other = (
                    ""
                    if self.column.role
                    else f", or give it as text: {self.column.name}={self.column.source}:token"
                )
                self.refuse(row + at, what, f"correct it{other}")
        if np.isinf(numbers).any() or np.isnan(numbers).sum() > pc.sum(pc.equal(texts, "")).as_py():
            at = _first(texts, lambda text: bool(text) and not math.isfinite(float(text)))
            self.refuse(row + at, f"must be a finite number, but is {texts[at].as_py()!r}", "correct it")
        return texts

    def _clean(self, texts: Texts, row: int) -> Texts:
        """Texts without what would end a cell or a line."""
        import pyarrow.compute as pc

        if not _controls(texts):
            return texts
        pattern = r"[\x00-\x1f]"
        touched = pc.sum(pc.match_substring_regex(texts, pattern)).as_py()
        self._count("tabs and line ends in a text became spaces", touched)
        return pc.replace_substring_regex(texts, pattern, " ")

    def _count(self, how: str, cells: int) -> None:
        self.changed[how] = self.changed.get(how, 0) + cells


def as_floats(texts: Texts) -> np.ndarray[Any, Any]:
    """Numbers of texts; NaN for an empty one.

    Raises:
        ValueError: a text is no number.
    """
    import pyarrow
    import pyarrow.compute as pc

    if len(texts) and pc.min(pc.binary_length(texts)).as_py() == 0:
        texts = pc.if_else(pc.equal(texts, ""), "nan", texts)
    numbers: np.ndarray[Any, Any] = pc.cast(texts, pyarrow.float64()).to_numpy(zero_copy_only=False)
    return numbers


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def _controls(texts: Texts) -> bool:
    """True where a text holds a character that no cell may hold."""
    data = texts.buffers()[2]
    return data is not None and bool((np.frombuffer(data, np.uint8) < 32).any())


def _first(texts: Texts, wrong: Callable[[str], bool]) -> int:
    """Number of the first text that is wrong; 0 where none is."""
    return next((at for at, text in enumerate(texts.to_pylist()) if wrong(text)), 0)
