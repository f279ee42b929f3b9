"""Bad data is refused before the first trial: `FILE:LINE:COLUMN: problem; fix`.

RecBole's atomic files: one header of `name:type` fields separated by tabs, then one row a line.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
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
    return read_files(folder, builtin=own is None)


def read_files(folder: Path, *, builtin: bool) -> DataFiles:
    """All atomic files of a folder, which bear its name, with their hashes."""
    paths = sorted(path for path in folder.glob(f"{folder.name}.*") if path.is_file())
    return DataFiles(folder, {path.name: file_hash(path) for path in paths}, builtin)


def check_dataset(dataset: DatasetConfig, document: Document, files: DataFiles) -> int:
    """Read every row that a study would read; return the number of interactions that are kept.

    Raises:
        InputError: a header without types, a missing or unknown column, a row of another width, a
            number that is none, or nothing left after filtering.
    """
    kept = 0
    _check_named(dataset, document)
    for suffix, names in columns(dataset).items():
        path = files.folder / f"{files.folder.name}.{suffix}"
        if not path.is_file():
            raise document.error(
                ("columns", suffix), f"there is no file {path}", f"create it, or drop `{suffix}`"
            )
        header = read_header(path)
        _check_columns(dataset, document, path, header, names)
        left = _count_core(_checked_rows(path, header, dataset), dataset)
        kept = left if suffix == "inter" else kept
    if kept == 0:
        filters = ("keep", "min_user_interactions", "min_item_interactions")
        used = [name for name in filters if getattr(dataset, name)]
        raise document.error(
            (used[0] if used else "path",),
            "no interaction is left after filtering",
            f"relax {' or '.join(f'`{name}`' for name in used)}" if used else "use a file with rows",
        )
    return kept


def _count_core(rows: Iterator[tuple[str, str]], dataset: DatasetConfig) -> int:
    """Interactions left once users and items with too few are dropped, again and again."""
    if not (dataset.min_user_interactions or dataset.min_item_interactions):
        return sum(1 for _ in rows)
    kept = [(sys.intern(user), sys.intern(item)) for user, item in rows]
    while True:
        users, items = Counter(user for user, _ in kept), Counter(item for _, item in kept)
        core = [
            (user, item)
            for user, item in kept
            if users[user] >= dataset.min_user_interactions and items[item] >= dataset.min_item_interactions
        ]
        if len(core) == len(kept):
            return len(kept)
        kept = core


def _check_named(dataset: DatasetConfig, document: Document) -> None:
    """`columns` names all that a split is made by."""
    named = columns(dataset).get("inter", [])
    times = [dataset.time_field] if dataset.split.order == "time" else []
    for name in (dataset.user_field, dataset.item_field, *times, *dataset.keep):
        if name not in named:
            raise document.error(
                ("columns", "inter"), f"`columns.inter` must name `{name}`", f"add `{name}` to it"
            )


def read_header(path: Path) -> dict[str, str]:
    """Type of each column by name, in the file's order.

    Raises:
        InputError: an empty file, or a field without a known type.
    """
    try:
        with path.open(encoding="utf-8") as file:
            line = file.readline().rstrip("\r\n")
    except UnicodeDecodeError:
        raise _not_utf8(path) from None
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
    wanted = dict.fromkeys((dataset.time_field, *dataset.keep), "float")
    wanted |= {dataset.user_field: "token", dataset.item_field: "token"}
    for name, kind in wanted.items():
        if name in names and header[name] != kind:
            raise InputError(
                path, f"`{name}` must be a {kind}, but is a {header[name]}", f"write `{name}:{kind}`", 1, 1
            )


def _checked_rows(path: Path, header: Mapping[str, str], dataset: DatasetConfig) -> Iterator[tuple[str, str]]:
    """User and item of each row that `keep` keeps; empty names where the file has no such column."""
    fields = list(header)
    wanted = columns(dataset).get(path.suffix[1:], fields)
    floats = [i for i, name in enumerate(fields) if header[name] == "float" and name in wanted]
    required = [
        i
        for i, name in enumerate(fields)
        if name in (dataset.user_field, dataset.item_field, dataset.time_field) and name in wanted
    ]
    intervals = {fields.index(n): _interval(text) for n, text in dataset.keep.items() if n in header}
    user, item = (fields.index(n) if n in header else None for n in (dataset.user_field, dataset.item_field))
    for number, cells in _rows(path):
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
        if all(inside(numbers.get(i, math.nan)) for i, inside in intervals.items()):
            yield cells[user] if user is not None else "", cells[item] if item is not None else ""


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    try:
        with path.open(encoding="utf-8") as file:
            next(file, None)
            for number, line in enumerate(file, start=2):
                text = line.rstrip("\r\n")
                if text:
                    yield number, text.split(SEPARATOR)
    except UnicodeDecodeError:
        raise _not_utf8(path) from None


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
