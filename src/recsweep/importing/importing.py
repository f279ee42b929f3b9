"""An import from beginning to end: files to atomic files and a data set file, and what was done in words."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from recsweep.common.errors import InputError
from recsweep.common.files import counted, dump_yaml, unusable, write_text
from recsweep.common.names import checked_name
from recsweep.importing.atomic import LISTS, Read, Wishes, write_rows
from recsweep.importing.blocks import Table, table_of
from recsweep.importing.columns import ITEM, RATING, USER, Column, columns_of
from recsweep.importing.formats import format_of
from recsweep.sweeps.config import DatasetConfig
from recsweep.sweeps.documents import Document, load_document, validate
from recsweep.sweeps.import_file import ImportFile, TableSource

_SCHEMA = "# yaml-language-server: $schema=../schema/dataset.json\n"


@dataclass(frozen=True)
class Request:
    """An import as it is asked for: of what, as what, and to where."""

    name: str
    interactions: Sequence[Path]
    how: ImportFile
    users: Path | None = None
    items: Path | None = None
    config: Path = Path("config")
    """The folder of sweeps; the data set file goes to `datasets/` in it."""
    data: Path = Path("data")
    """The folder in which a folder of atomic files is made."""
    dry_run: bool = False
    replace: bool = False
    """Write over a data set of that name."""
    origin: str = ""
    """Words on where it is from, for the data set file."""

    @property
    def folder(self) -> Path:
        """Where the atomic files go."""
        return self.data / self.name

    @property
    def dataset_file(self) -> Path:
        """The file that makes them a data set."""
        return self.config / "datasets" / f"{self.name}.yaml"


@dataclass
class Imported:
    """The outcome of an import."""

    request: Request
    read: dict[str, Read] = field(default_factory=dict)
    """By the suffix of the atomic file: `inter`, `user`, `item`."""
    tables: dict[str, list[Table]] = field(default_factory=dict)
    without: dict[str, int] = field(default_factory=dict)
    """Users and items with interactions that their file does not list, by its suffix."""

    @property
    def files(self) -> list[Path]:
        """The files that are written, or would be."""
        folder, name = self.request.folder, self.request.name
        return [*(folder / f"{name}.{suffix}" for suffix in self.read), self.request.dataset_file]


def import_data(request: Request) -> Imported:
    """Read, check and write.

    Raises:
        InputError: a name that is none or is taken, a column that is not there, or a cell that cannot be
            taken, with its place. Nothing is written then.
    """
    try:
        checked_name(request.name)
    except ValueError as error:
        raise InputError("--as", str(error), "choose another name") from None
    _refuse_overwriting(request)
    how, done = request.how, Imported(request)
    sources: list[tuple[str, Sequence[Path], TableSource, list[str]]] = [
        ("inter", request.interactions, how, [USER, ITEM])
    ]
    if request.users is not None:
        sources.append(("user", [request.users], how.users or TableSource(), [USER]))
    if request.items is not None:
        sources.append(("item", [request.items], how.items or TableSource(), [ITEM]))
    opened = {suffix: list(_tables(paths, source, needed)) for suffix, paths, source, needed in sources}
    _check_only(opened["inter"], how.only)
    done.tables = {suffix: [table for table, _ in tables] for suffix, tables in opened.items()}
    with _staged(request) as staging:
        for suffix, tables in opened.items():
            done.read[suffix] = _read(request, suffix, tables, staging)
        _count_unlisted(done)
        text = dataset_text(done)
        if staging is not None:
            _take_over(done, staging)
            write_text(request.dataset_file, text)
    return done


@contextmanager
def _staged(request: Request) -> Iterator[Path | None]:
    """A folder for files that are not whole yet; None where nothing is to be written."""
    if request.dry_run:
        yield None
        return
    if problem := unusable(request.folder) or unusable(request.dataset_file.parent):
        raise InputError("--data-folder", problem, "choose another folder")
    request.data.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{request.name}-", dir=request.data) as folder:
        yield Path(folder)


def _take_over(done: Imported, staging: Path) -> None:
    """Put the files that are whole where they belong, and take away those of an import before."""
    folder, name = done.request.folder, done.request.name
    folder.mkdir(parents=True, exist_ok=True)
    for suffix in ("inter", "user", "item"):
        if suffix in done.read:
            os.replace(staging / f"{name}.{suffix}", folder / f"{name}.{suffix}")
        else:
            (folder / f"{name}.{suffix}").unlink(missing_ok=True)


def _refuse_overwriting(request: Request) -> None:
    """Refuse a name that is taken, unless the user says otherwise."""
    for path in (request.dataset_file, request.folder):
        if path.exists() and not request.replace:
            problem = f"{path} is there already, and would be written over"
            raise InputError("--as", problem, "choose another name, or pass --replace")


def _tables(
    paths: Sequence[Path], source: TableSource, needed: list[str]
) -> Iterator[tuple[Table, list[Column]]]:
    """The tables of files of one kind, with their columns."""
    first: list[Column] | None = None
    for path in paths:
        table = table_of(format_of(path, source))
        columns = columns_of(table, source.columns, needed, rest=len(needed) == 1)
        if first is not None and [one.name for one in columns] != [one.name for one in first]:
            problem = f"has the columns {', '.join(table.names)}, unlike {paths[0]}"
            raise InputError(path, problem, "import files of one kind together", 1, 1)
        first = columns
        yield table, columns


def _check_only(tables: list[tuple[Table, list[Column]]], only: Mapping[str, Sequence[str]]) -> None:
    for table, _ in tables:
        for name in only:
            if name not in table.names:
                problem = f"there is no column `{name}` to choose rows by"
                raise InputError(table.form.path, problem, f"use one of {', '.join(table.names)}", 1, 1)


def _read(
    request: Request, suffix: str, tables: list[tuple[Table, list[Column]]], staging: Path | None
) -> Read:
    how = request.how
    wishes = Wishes(how.time_unit, how.seq_separator, how.only if suffix == "inter" else {})
    target = None if staging is None else staging / f"{request.name}.{suffix}"
    read = write_rows(tables, wishes, target, {"user": USER, "item": ITEM}.get(suffix, ""))
    if not read.kept:
        problem = "has no rows" if not read.rows else f"none of its {read.rows} rows is kept"
        fix = "name a file with rows" if not read.rows else "choose other values with --only"
        raise InputError(tables[0][0].form.path, problem, fix, 1, 1)
    return read


def _count_unlisted(done: Imported) -> None:
    """Users and items with interactions that their own file does not have."""
    import pyarrow
    import pyarrow.compute as pc

    for suffix, role in (("user", USER), ("item", ITEM)):
        if suffix in done.read:
            listed = pc.is_in(done.read["inter"].ids[role], pyarrow.array(done.read[suffix].ids[role]))
            done.without[suffix] = len(listed) - (pc.sum(listed).as_py() or 0)


def dataset_text(done: Imported) -> str:
    """The data set file.

    Raises:
        InputError: the keys that were asked for make none.
    """
    request, inter = done.request, done.read["inter"]
    names = {suffix: [column.name for column in read.columns] for suffix, read in done.read.items()}
    folder = os.path.relpath(request.folder.absolute(), request.dataset_file.parent.absolute())
    content: dict[str, Any] = {"path": Path(folder).as_posix()}
    if len(names) > 1 or inter.times is None:
        content["columns"] = names
    if any(column.kind.endswith("_seq") for read in done.read.values() for column in read.columns):
        content["sequence_separator"] = request.how.seq_separator or LISTS
    if any(done.without.values()):
        content["without_features"] = "keep"
    if inter.times is None:
        content["split"] = {"type": "ratio", "ratio": [0.8, 0.1, 0.1], "order": "random"}
    content |= request.how.dataset
    validate(Document(request.dataset_file, {"name": request.name, **content}, None), DatasetConfig)
    words = [f"Imported from {', '.join(path.name for path in request.interactions)}.", *said(done)]
    comment = "".join(f"# {line}\n" for line in ([request.origin] if request.origin else []) + words)
    return _SCHEMA + comment + dump_yaml(content)


def said(done: Imported) -> Iterator[str]:
    """Lines on the rows that were read and kept, and on what of them is another than in the files."""
    nouns = {"inter": "interaction", "user": "user", "item": "item"}
    for suffix, read in done.read.items():
        forms = [table.form for table in done.tables[suffix]]
        files = ", ".join(form.path.name for form in forms)
        yield f"{files} ({forms[0].words}): {read.rows:,} rows read, {read.kept:,} {nouns[suffix]}s kept"
        renamed = ", ".join(f"{column.source} -> {column.name}:{column.kind}" for column in read.columns)
        yield f"  columns {renamed}"
        if suffix == "inter":
            yield from _said_of_interactions(read)
        if read.repeated:
            yield f"  {counted(read.repeated, 'row')} left out: the id stands in a row before"
        for how, cells in read.changed.items():
            yield f"  {how} ({counted(cells, 'cell')})"
    for suffix, number in done.without.items():
        if number:
            missing = counted(number, nouns[suffix])
            yield f"{missing} with interactions not in the .{suffix} file: kept with empty features"


def _said_of_interactions(read: Read) -> Iterator[str]:
    yield f"  {read.count(USER):,} users, {read.count(ITEM):,} items"
    if any(column.role == RATING for column in read.columns):
        yield f"  ratings {read.least:g} to {read.most:g}"
    if read.times is not None:
        yield f"  {read.times.words}: {read.times.span}"
    else:
        yield "  no times: the split is random, and sequential models cannot learn from it"


def check_imported(done: Imported) -> list[str]:
    """Read what was written as a study would; remarks on it.

    Raises:
        InputError: a study would refuse it.
    """
    from recsweep.datasets.check import check_dataset
    from recsweep.datasets.files import find_files

    document = load_document(done.request.dataset_file)
    document.data.setdefault("name", done.request.name)
    dataset = validate(document, DatasetConfig)
    return list(check_dataset(dataset, document, find_files(dataset, document)).remarks)
