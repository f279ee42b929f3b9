"""The first line of an atomic file, and what no line of one may hold."""

from __future__ import annotations

import re
from pathlib import Path

from recsweep.common.errors import InputError
from recsweep.sweeps.documents import nearest

TYPES = ("token", "token_seq", "float", "float_seq")
SEPARATOR = "\t"
BOM = b"\xef\xbb\xbf"
_STRANGERS = {",": "commas", ";": "semicolons", " ": "spaces", "|": "bars"}
_JOINED = re.compile(r"[^:]*:(?:token_seq|token|float_seq|float)([,;| ])")


def read_header(path: Path) -> dict[str, str]:
    """Type of each column by name, in the file's order.

    Raises:
        InputError: an empty file, or a field without a known type.
    """
    with path.open("rb") as file:
        raw = file.readline().removeprefix(BOM)
    try:
        line = raw.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise not_utf8(path) from None
    if not line.strip():
        raise InputError(path, "the file is empty", "write a header such as user_id:token", 1, 1)
    if odd := no_text(line):
        raise InputError(path, odd[1], odd[2], 1, odd[0])
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


def no_text(line: str) -> tuple[int, str, str] | None:
    """Column, problem and fix of a character that no line may hold."""
    for character, name in (("\0", "a NUL character"), ("\r", "a carriage return inside the line")):
        if (index := line.find(character)) >= 0:
            return index + 1, f"there is {name}", "remove it; lines end by a line feed"
    return None


def not_utf8(path: Path) -> InputError:
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
