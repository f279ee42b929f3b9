"""The one reader of atomic files: what is checked here is what RecBole is handed.

One header of `name:type` fields separated by tabs, then one row a line. A cell is the text between two
tabs: there are no quotes, no escapes, and no words for a missing value but the empty cell. The text is UTF-8,
with or without a byte-order mark. Columns are read in blocks: a large file is never in memory as text.

Where all in a block of a large file is as it should be, `common/separated.py` takes it; the cells of any
other are looked at one by one. Both make the same columns (`columns.py`).
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Collection
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from recsweep.common.errors import InputError
from recsweep.datasets.columns import Block, Columns, number
from recsweep.datasets.header import not_utf8, read_header
from recsweep.datasets.table import Table

_BLOCK = 1 << 18
_BLOCKS_AT_ONCE = 32
"""So many are read at once where all in them is as it should be."""
_BLOCKS_IN_WORK = 2
"""So many of these are read beside the one whose rows are added."""
_LARGE = 1 << 22
"""Bytes of a file from which on it pays to load a library that reads it quickly."""


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
    reading = Columns(path, header, names, required, ordered)
    digest = hashlib.sha256()
    _read_rows(path, reading, digest)
    table = reading.table(digest.hexdigest())
    for name, kind in table.types.items():
        if kind == "float_seq":
            _check_numbers(table, name, separator)
    return table


def _read_rows(path: Path, reading: Columns, digest: Any) -> None:
    """Feed the rows of a file to a reading, in blocks of whole lines, and every byte to the digest."""
    large = path.stat().st_size >= _LARGE
    with path.open("rb") as file, ThreadPoolExecutor(_BLOCKS_IN_WORK) as beside:
        digest.update(file.readline())
        in_work: deque[tuple[bytes, bytes, Future[Block | None] | None]] = deque()
        rest = b""
        while read := file.read(_BLOCK * (_BLOCKS_AT_ONCE if large else 1)):
            digest.update(read)
            whole, end, after = (rest + read).rpartition(b"\n")
            cells = beside.submit(reading.cells_of, _plain_ends(whole)) if large and end else None
            in_work.append((rest, read, cells))
            rest = after
            if len(in_work) > _BLOCKS_IN_WORK:
                _add(path, reading, *in_work.popleft())
        while in_work:
            _add(path, reading, *in_work.popleft())
        if rest:
            reading.add(_text(path, rest))


def _add(path: Path, reading: Columns, rest: bytes, read: bytes, cells: Future[Block | None] | None) -> None:
    """Add the whole lines of what was read, behind the rest of what was read before."""
    if cells is not None and reading.add_block(cells.result()):
        return
    # In small blocks, as a small file: of several mistakes the same one is found first.
    for start in range(0, len(read), _BLOCK):
        whole, end, rest = (rest + read[start : start + _BLOCK]).rpartition(b"\n")
        if end:
            reading.add(_text(path, whole))


def _plain_ends(block: bytes) -> bytes:
    return block.replace(b"\r\n", b"\n").removesuffix(b"\r") if b"\r" in block else block


def _text(path: Path, block: bytes) -> str:
    try:
        text = block.decode("utf-8")
    except UnicodeDecodeError:
        raise not_utf8(path) from None
    return text.replace("\r\n", "\n").removesuffix("\r") if "\r" in text else text


def _check_numbers(table: Table, name: str, separator: str) -> None:
    for code, text in enumerate(table.texts[name].values):
        for part in filter(None, text.split(separator)):
            if number(part) is None:
                raise InputError(
                    table.path,
                    f"`{name}` must hold numbers parted by {separator!r}, but got {part!r} in {text!r}",
                    "correct it, set `sequence_separator` of the data set, or do not load the column",
                    table.first_line(name, code),
                    1,
                )
