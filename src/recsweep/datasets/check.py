"""Bad data is refused before the first trial: `FILE:LINE:COLUMN: problem; fix`.

RecBole's atomic files: one header of `name:type` fields separated by tabs, then one row a line.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from recsweep.config import BUILTIN, DatasetConfig, dataset_folder
from recsweep.documents import Document, nearest
from recsweep.errors import InputError
from recsweep.files import file_hash
from recsweep.recbole_api import catalog
from recsweep.recbole_api.settings import BUILTIN_DATASET, columns

TYPES = ("token", "token_seq", "float", "float_seq")
SEPARATOR = "\t"


@dataclass(frozen=True)
class DataFiles:
    """The atomic files of one data set."""

    folder: Path
    hashes: Mapping[str, str]
    """SHA-256 of each file's bytes by file name."""
    builtin: bool

    @property
    def given_folder(self) -> Path | None:
        """The folder as settings want it: None for ml-100k from RecBole's wheel."""
        return None if self.builtin else self.folder


def find_files(dataset: DatasetConfig, document: Document) -> DataFiles:
    """The files of a data set and their hashes.

    Raises:
        InputError: no such folder, or no `.inter` file of the folder's name in it.
    """
    own = dataset_folder(dataset, document.path)
    folder = own or catalog.recbole_folder() / "dataset_example" / BUILTIN_DATASET
    if not folder.is_dir():
        raise document.error(
            ("path",), f"there is no folder {folder}", f"give the folder of the atomic files, or `{BUILTIN}`"
        )
    interactions = folder / f"{folder.name}.inter"
    if not interactions.is_file():
        others = sorted(path.name for path in folder.glob("*.inter"))
        hint = f"rename {others[0]} (RecBole wants folder and files of one name)" if others else "create it"
        raise document.error(("path",), f"there is no file {interactions}", hint)
    paths = sorted(path for path in folder.glob(f"{folder.name}.*") if path.is_file())
    return DataFiles(folder, {path.name: file_hash(path) for path in paths}, own is None)


def check_dataset(dataset: DatasetConfig, document: Document, files: DataFiles) -> int:
    """Read every row that a study would read; return the number of interactions that are kept.

    Raises:
        InputError: a header without types, a missing or unknown column, a row of another width, a
            number that is none, or nothing left after filtering.
    """
    kept = 0
    for suffix, names in columns(dataset).items():
        path = files.folder / f"{files.folder.name}.{suffix}"
        if not path.is_file():
            raise document.error(
                ("columns", suffix), f"there is no file {path}", f"create it, or drop `{suffix}`"
            )
        header = read_header(path)
        _check_columns(dataset, document, path, header, names)
        rows = _check_rows(path, header, dataset, suffix == "inter")
        kept = rows if suffix == "inter" else kept
    if kept == 0:
        raise document.error(
            ("keep",) if dataset.keep else ("path",),
            "no interaction is left after filtering",
            "widen `keep`, or use another file",
        )
    return kept


def read_header(path: Path) -> dict[str, str]:
    """Type of each column by name, in the file's order.

    Raises:
        InputError: an empty file, or a field without a known type.
    """
    try:
        with path.open(encoding="utf-8") as file:
            line = file.readline().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise InputError(path, f"is not UTF-8 text ({error.reason})", "convert it to UTF-8", 1, 1) from None
    if not line.strip():
        raise InputError(path, "the file is empty", "write a header such as user_id:token", 1, 1)
    header: dict[str, str] = {}
    column = 1
    for field in line.split(SEPARATOR):
        name, colon, kind = field.partition(":")
        if not colon:
            raise InputError(
                path,
                f"the field `{field}` has no type",
                f"write `{field or 'name'}:token` or `:float`, fields separated by tabs",
                1,
                column,
            )
        if kind not in TYPES:
            raise InputError(path, f"unknown type `{kind}` of `{name}`", nearest(kind, TYPES), 1, column)
        if name in header:
            raise InputError(path, f"the column `{name}` stands twice", "rename one", 1, column)
        header[name] = kind
        column += len(field) + 1
    return header


def _check_columns(
    dataset: DatasetConfig, document: Document, path: Path, header: Mapping[str, str], names: list[str]
) -> None:
    roles = {
        dataset.user_field: "user_field",
        dataset.item_field: "item_field",
        dataset.time_field: "time_field",
    }
    for name in names:
        if name in header:
            continue
        key = roles.get(name)
        fix = nearest(name, header)
        if key:
            raise InputError(
                path, f"there is no column `{name}`", f"{fix} (set `{key}` in {document.path})", 1, 1
            )
        raise InputError(path, f"there is no column `{name}`", f"{fix} (see {document.path})", 1, 1)
    for name in (dataset.time_field, *dataset.keep):
        if name in names and header[name] != "float":
            raise InputError(
                path,
                f"`{name}` must be a float to be ordered, but is a {header[name]}",
                f"write `{name}:float`",
                1,
                1,
            )


def _check_rows(path: Path, header: Mapping[str, str], dataset: DatasetConfig, interactions: bool) -> int:
    fields = list(header)
    wanted = columns(dataset).get(path.suffix[1:], fields)
    floats = [i for i, name in enumerate(fields) if header[name] == "float" and name in wanted]
    required = [
        i
        for i, name in enumerate(fields)
        if name in (dataset.user_field, dataset.item_field) and name in wanted
    ]
    intervals = {fields.index(n): _interval(text) for n, text in dataset.keep.items() if n in header}
    kept = 0
    for number, line, cells in _rows(path):
        if len(cells) != len(fields):
            raise InputError(
                path,
                f"the row has {len(cells)} fields, the header {len(fields)}",
                "separate the fields by tabs",
                number,
                1,
            )
        for i in required:
            if not cells[i]:
                raise InputError(
                    path, f"`{fields[i]}` is empty", "fill it in, or drop the row", number, _column(cells, i)
                )
        numbers = {i: _number(path, number, cells, i, fields[i]) for i in floats}
        if interactions and all(inside(numbers.get(i, math.nan)) for i, inside in intervals.items()):
            kept += 1
        del line
    return kept


def _rows(path: Path) -> Iterator[tuple[int, str, list[str]]]:
    with path.open(encoding="utf-8") as file:
        next(file, None)
        for number, line in enumerate(file, start=2):
            text = line.rstrip("\r\n")
            if text:
                yield number, text, text.split(SEPARATOR)


def _number(path: Path, line: int, cells: list[str], index: int, name: str) -> float:
    text = cells[index]
    if not text:
        return math.nan  # RecBole fills a missing float with the mean
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if math.isfinite(value):
        return value
    raise InputError(
        path,
        f"`{name}` must be a number, but got {text!r}",
        "correct it, or drop the row",
        line,
        _column(cells, index),
    )


def _column(cells: list[str], index: int) -> int:
    return sum(len(cell) + 1 for cell in cells[:index]) + 1


class _interval:  # noqa: N801 - used as a function
    """Whether a number lies in RecBole's interval notation, `[4,inf)`."""

    def __init__(self, text: str) -> None:
        low, high = text[1:-1].split(",")
        self.low, self.high = float(low), float(high)
        self.with_low, self.with_high = text[0] == "[", text[-1] == "]"

    def __call__(self, value: float) -> bool:
        above = value >= self.low if self.with_low else value > self.low
        return above and (value <= self.high if self.with_high else value < self.high)
