"""The slow and exact reader: one record after the other, each with its line, each cell with its column.

It reads the line of names, and finds where the fault stands that the quick reader ran into.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from recsweep.common.errors import InputError
from recsweep.importing.formats import LINES, Format, opened
from recsweep.sweeps.documents import short_value
from recsweep.sweeps.literals import literal

Cells = list[tuple[int, str]]
"""The cells of a record: the column in which each begins, from 1, and its text."""


def records(form: Format) -> Iterator[tuple[int, str]]:
    """Line and text of each record that is not blank, the line of names too.

    Raises:
        InputError: letters that the encoding does not have, or a quote that nothing closes.
    """
    number, begun, parts = 0, 0, ""
    with opened(form.path) as file:
        for number, raw in enumerate(file, start=1):
            line = _decoded(form, raw, number)
            if not parts and not line.strip("\r\n"):
                continue
            begun = begun if parts else number
            parts += line
            if form.quoted and parts.count('"') % 2:
                continue
            yield begun, parts.rstrip("\r\n")
            parts = ""
    if parts:
        column = parts.split("\n")[0].rfind('"') + 1
        raise InputError(
            form.path, "a quote is opened and never closed", "close it, or give --format tsv", begun, column
        )


def _decoded(form: Format, raw: bytes, number: int) -> str:
    try:
        return (raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw).decode(form.encoding)
    except UnicodeDecodeError as error:
        column = len(raw[: error.start].decode(form.encoding, errors="replace")) + 1
        problem = f"the byte 0x{raw[error.start]:02x} is no {form.encoding}"
        fix = "give --encoding latin-1, or the one that it is"
        raise InputError(form.path, problem, fix, number, column) from None


def cells(form: Format, text: str) -> Cells:
    """The cells of a record."""
    if not (form.quoted and '"' in text):
        found, column = [], 1
        for cell in text.split(form.separator):
            found.append((column, cell))
            column += len(cell) + len(form.separator)
        return found
    found, column, cell, inside = [], 1, "", False
    for index, character in enumerate(text):
        if character == '"':
            inside = not inside
            cell += '"' if inside and index and text[index - 1] == '"' and cell else ""
        elif character == form.separator and not inside:
            found.append((column, cell))
            column, cell = index + 2, ""
        else:
            cell += character
    return [*found, (column, cell)]


def names_of(form: Format) -> list[str]:
    """The columns of a file of lines, in order.

    Raises:
        InputError: a name is missing or stands twice, or the first object is none.
    """
    if form.kind in LINES:  # an object need not have every value
        objects = (parsed(form, *record) for record in itertools.islice(records(form), 1000))
        return list(dict.fromkeys(itertools.chain.from_iterable(objects)))
    line, text = next(records(form), (1, ""))
    if form.header is not None:
        given = cells(form, text)
        if len(given) != len(form.header) and form.kind != "netflix":
            problem = f"has {len(given)} fields, but the header that is given names {len(form.header)}"
            raise InputError(form.path, problem, "name each column once, or give --separator", line, 1)
        return list(form.header)
    found: list[str] = []
    for column, cell in cells(form, text):
        name = cell.strip()
        if not name or name in found:
            problem = f"the column `{name}` stands twice" if name else "a column has no name"
            raise InputError(form.path, problem, "correct the first line, or give --header", line, column)
        found.append(name)
    return found


def parsed(form: Format, line: int, text: str) -> dict[str, Any]:
    """The object of a line.

    Raises:
        InputError: it is none.
    """
    column = 1
    try:
        value = json.loads(text) if form.kind == "json" else literal(text)
        problem = "" if isinstance(value, dict) else f"is {short_value(value)}, which is no object"
    except json.JSONDecodeError as error:
        problem, column = f"is no JSON: {error.msg}", error.colno
    except (ValueError, RecursionError) as error:
        problem = str(error) if isinstance(error, ValueError) else "has brackets too deep"
    if problem:
        raise InputError(form.path, problem, "write one object a line, or drop the line", line, column)
    return dict(value)


def cell_at(form: Format, record: int, index: int, name: str) -> tuple[int, int, str]:
    """Line, column and text of a cell.

    Args:
        record: number of the record, from 0, the line of names not counted.
        index: of the column.
        name: of the column.
    """
    skipped = record + int(form.kind not in LINES and form.header is None)
    for number, (line, text) in enumerate(_data(form)):
        if number == skipped:
            if form.kind in LINES:
                return line, _column_of(text, name), ""
            found = cells(form, text)
            index -= int(form.kind == "netflix" and index > 0)
            return line, found[min(index, len(found) - 1)][0], found[min(index, len(found) - 1)][1]
    return 1, 1, ""


def _column_of(text: str, name: str) -> int:
    """Where a name stands in the text of an object; 1 where it does not."""
    return max(text.find(f'"{name}"'), text.find(f"'{name}'"), 0) + 1


def _data(form: Format) -> Iterator[tuple[int, str]]:
    """The records that hold rows: of Netflix, those that name no film."""
    return (
        (line, text)
        for line, text in records(form)
        if form.kind != "netflix" or not text[:-1].isdigit() or text[-1] != ":"
    )


def refuse_first_fault(form: Format, names: Sequence[str], why: str) -> NoReturn:
    """Raise the first fault of a file that the quick reader could not take.

    Raises:
        InputError: always.
    """
    kinds: dict[str, type] = {}
    for line, text in _data(form):
        if form.kind in LINES:
            _refuse_other_kinds(form, line, text, names, kinds)
            continue
        found = cells(form, text)
        width = len(names) - int(form.kind == "netflix")
        if len(found) != width:
            column = found[min(width, len(found) - 1)][0]
            problem = f"has {len(found)} fields, but {width} are wanted ({', '.join(names)})"
            raise InputError(form.path, problem, "complete the row, or give --separator", line, column)
    raise InputError(form.path, f"cannot be read ({' '.join(why.split())[:200]})", "correct the file", 1, 1)


def _refuse_other_kinds(
    form: Format, line: int, text: str, names: Sequence[str], kinds: dict[str, type]
) -> None:
    """A value is of another kind than those before it."""
    for name, value in parsed(form, line, text).items():
        kind = float if isinstance(value, int) and not isinstance(value, bool) else type(value)
        if name in names and value is not None and kinds.setdefault(name, kind) is not kind:
            words = {float: "a number", str: "text", bool: "true or false", list: "a list", dict: "an object"}
            problem = (
                f"`{name}` is {short_value(value)}, {words.get(kind, 'something else')}, where lines above "
                f"have {words.get(kinds[name], 'something else')}"
            )
            fix = "write the same kind in all lines"
            raise InputError(form.path, problem, fix, line, _column_of(text, name))
