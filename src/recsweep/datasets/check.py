"""Bad data is refused before the first trial: `FILE:LINE:COLUMN: problem; fix`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from recsweep.common.errors import InputError
from recsweep.datasets import own_parts
from recsweep.datasets.count import Counts, can_count, count, filtered_rows
from recsweep.datasets.files import DataFiles, interaction_files
from recsweep.datasets.graph import about_graph, check_graph
from recsweep.datasets.header import read_header
from recsweep.datasets.labelled import Labels, count_labels
from recsweep.datasets.presplit import Disorder, check_apart, disorder
from recsweep.datasets.remarks import about_ids, about_numbers, about_quotes, about_sequences
from recsweep.datasets.table import Table
from recsweep.datasets.tables import Reading, Tables, Unlisted
from recsweep.recbole_api.needs import VECTORS
from recsweep.recbole_api.settings import columns, counted_field, data_settings
from recsweep.sweeps.config import DatasetConfig
from recsweep.sweeps.documents import Document, nearest

SUFFIXES = ("inter", "user", "item", "kg", "link", *VECTORS)
FILTERS = ("keep", "min_user_interactions", "max_user_interactions", "min_item_interactions")


@dataclass(frozen=True)
class Checked:
    """A data set whose every row was read."""

    reading: Reading
    counts: Counts
    """Interactions that are left after filtering."""
    remarks: tuple[str, ...]
    """Lines on findings that are no mistake, but may not be meant."""
    labels: Labels | None
    """Of the rows that are left, where the data set labels them."""
    own_sizes: Mapping[bool, tuple[int, int, int]] = field(default_factory=dict)
    """Samples of each part of a split that RecBole has not, by whether models are sequential."""
    disorder: Disorder | None = None
    """Of files that are already split: where they are not split by time."""


def check_dataset(dataset: DatasetConfig, document: Document, files: DataFiles) -> Checked:
    """Read every row that a study would read.

    Raises:
        InputError: see `read_checked`.
    """
    return read_checked(dataset, document, files)[0]


def read_checked(dataset: DatasetConfig, document: Document, files: DataFiles) -> tuple[Checked, Tables]:
    """The same, with the tables that were read.

    Raises:
        InputError: a header without types, a missing or unknown column, a row of another width, a number that
            is none, a user or item listed twice or not at all, or nothing left after filtering.
    """
    _check_named(dataset, document)
    for suffix, names in columns(dataset).items():
        for path in interaction_files(dataset, files.folder) if suffix == "inter" else [files.of(suffix)]:
            if not path.is_file():
                raise document.error(
                    ("columns", suffix), f"there is no file {path}", f"create it, or drop `{suffix}`"
                )
            _check_columns(dataset, document, path, read_header(path), names)
    reading = Reading.of(data_settings(dataset, files.given_folder).get)
    tables = Tables(files.folder, reading, files.hashes)
    remarks = look_at(tables)
    if reading.files:
        check_apart(tables)
    _check_listed(dataset, document, tables)
    counts = count(tables)
    if counts.interactions == 0:
        used = [name for name in FILTERS if getattr(dataset, name)]
        raise document.error(
            (used[0] if used else "path",),
            "no interaction is left after filtering",
            f"relax {' or '.join(f'`{name}`' for name in used)}" if used else "use a file with rows",
        )
    parts = own_parts.of_rows(tables, dataset.split.seed or 0)
    ways = {
        kind: own_parts.sizes(tables, parts, sequential=kind) for kind in (False, True) if parts is not None
    }
    back = disorder(tables) if reading.files else None
    return Checked(reading, counts, tuple(remarks), count_labels(dataset, tables), ways, back), tables


def look_at(tables: Tables) -> list[str]:
    """Remarks on what the files hold, and on what is made of users and items that they do not list.

    Raises:
        InputError: a user, an item or an entity is listed twice, or a file has no rows.
    """
    remarks = [remark for suffix in SUFFIXES for remark in _check_table(tables, suffix)]
    remarks += about_graph(tables)
    done = "are dropped" if tables.reading.drops_unlisted else "are kept with empty features"
    if can_count(tables.reading, tables.interactions):
        remarks += [f"{_describe(missing)} {done}" for missing in _unlisted(tables)]
    return [f"{tables.folder.name}: {remark}" for remark in remarks]


def _check_table(tables: Tables, suffix: str) -> list[str]:
    """Refuse what is listed twice; remarks on the rest."""
    found = tables.read_parts() if suffix == "inter" else [tables.get(suffix)]
    return [remark for table in found if table is not None for remark in _check_one(tables, suffix, table)]


def _check_one(tables: Tables, suffix: str, table: Table) -> list[str]:
    reading = tables.reading
    if suffix != "inter" and not table.rows:
        raise InputError(
            table.path, "the file has no rows", f"add them, or drop `{suffix}` from `columns`", 2, 1
        )
    if suffix in ("kg", "link"):
        check_graph(table, reading.entities[2])
    for name, numbers in table.numbers.items():
        if table.rows and np.isnan(numbers).all():
            problem = f"`{name}` is empty in all rows, so that there is no mean to fill in"
            raise InputError(table.path, problem, "fill it in, or drop it from `columns`", 2, 1)
    ids = {"user": [reading.user], "item": [reading.item], "link": [reading.item, reading.entities[3]]}
    for name in ids.get(suffix, [VECTORS[suffix]] if suffix in VECTORS else []):
        if name in table.texts:
            _check_once(table, name)
    named = [name for name in reading.required if name in table.texts]
    return [
        *about_ids(table, named),
        *about_quotes(table, named),
        *about_numbers(table, reading.keep if suffix == "inter" else ()),
        *about_sequences(table, reading.separator),
    ]


def _check_once(table: Table, name: str) -> None:
    """Nobody stands twice in a file that has a row for each."""
    texts = table.texts[name]
    if len(texts.values) == table.rows:
        return
    _, first = np.unique(texts.codes, return_index=True)
    again = int(np.setdiff1d(np.arange(table.rows), first)[0])
    code = int(texts.codes[again])
    raise table.error(
        name,
        again,
        f"`{name}` {texts.values[code]!r} stands in line {table.first_line(name, code)} already",
        "keep one row of each, with the right values",
    )


def _unlisted(tables: Tables) -> list[Unlisted]:
    return tables.unlisted(filtered_rows(tables, tables.interactions))


def _describe(missing: Unlisted) -> str:
    """Ids that a file does not list, and the interactions that this concerns."""
    number = "none" if missing.ids == missing.of else str(missing.of - missing.ids)
    entity = " with an entity of the .kg file" if missing.suffix == "link" else ""
    return (
        f"{missing.path.name} lists {number} of the {missing.of} {missing.kind}s with interactions, "
        f"not {missing.example!r}{entity}: {missing.interactions} of {missing.total} interactions"
    )


def _check_listed(dataset: DatasetConfig, document: Document, tables: Tables) -> None:
    """Users and items that a file of theirs does not list are refused, unless the data set says otherwise."""
    for missing in _unlisted(tables):
        kept_links = missing.suffix == "link" and dataset.without_features == "keep"
        if kept_links:
            raise document.error(
                ("without_features",),
                f"{_describe(missing)}, which RecBole's knowledge models cannot keep",
                "complete it, or set `without_features: drop`",
            )
        if dataset.without_features == "refuse":
            ways = "`without_features: drop`" + ("" if missing.suffix == "link" else " or `keep`")
            raise document.error(
                ("columns", missing.suffix),
                f"{_describe(missing)} have no features",
                "write the same ids in both files"
                if missing.ids == missing.of
                else f"complete it, or set {ways}",
            )


def _check_named(dataset: DatasetConfig, document: Document) -> None:
    """`columns` names all that a split is made by."""
    named = columns(dataset).get("inter", [])
    times = [dataset.time_field] if dataset.split.needs_times else []
    used = (*times, *dataset.keep, *dataset.drop, *_labelling(dataset))
    made = counted_field(dataset)
    if made in named:
        raise document.error(
            ("remove_duplicates",),
            f"`counted` writes the number of a pair's interactions into `{made}`, which is loaded too",
            f"drop `{made}` from `columns.inter`, or give `rating_field` another name",
        )
    for name in (dataset.user_field, dataset.item_field, *used):
        if name not in named and name != made:
            raise document.error(
                ("columns", "inter"), f"`columns.inter` must name `{name}`", f"add `{name}` to it"
            )
    needed = {"user": dataset.user_field, "item": dataset.item_field, "link": dataset.item_field}
    for suffix, name in needed.items():
        if name not in columns(dataset).get(suffix, [name]):
            raise document.error(
                ("columns", suffix), f"`columns.{suffix}` must name `{name}`", f"add `{name}` to it"
            )


def _labelling(dataset: DatasetConfig) -> tuple[str, ...]:
    """The columns that labels come from."""
    return (*dataset.label_threshold, *dataset.label_scale)


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
        if key == "time_field" and not dataset.split.needs_times and dataset.columns is None:
            ids = f"`columns: {{inter: [{dataset.user_field}, {dataset.item_field}]}}`"
            fix = f"write {ids} in {document.path} for data without times"
            raise InputError(path, f"there is no column `{name}`", fix, 1, 1)
        if key:
            raise InputError(
                path, f"there is no column `{name}`", f"{fix} (set `{key}` in {document.path})", 1, 1
            )
        raise InputError(path, f"there is no column `{name}`", f"{fix} (see {document.path})", 1, 1)
    intervals = [name for name, each in dataset.keep.items() if isinstance(each, str)]
    wanted = dict.fromkeys((dataset.time_field, *intervals, *_labelling(dataset)), "float")
    wanted |= {dataset.user_field: "token", dataset.item_field: "token"}
    for name, kind in wanted.items():
        if name in names and header[name] != kind:
            raise InputError(
                path, f"`{name}` must be a {kind}, but is a {header[name]}", f"write `{name}:{kind}`", 1, 1
            )
    _check_values(dataset, document, path, header)


def _check_values(dataset: DatasetConfig, document: Document, path: Path, header: Mapping[str, str]) -> None:
    """Lists of values are of a column that has one value in a cell, and numbers where it has numbers."""
    for key, wanted in (("keep", dataset.keep), ("drop", dataset.drop)):
        for name, values in wanted.items():
            kind = header.get(name, "float")
            if isinstance(values, str):
                continue
            if kind not in ("token", "float"):
                problem = f"`{key}` looks for one value in a cell, but `{name}` is a {kind} in {path}"
                raise document.error((key, name), problem, "name another column")
            for position, value in enumerate(values):
                if kind == "float" and not is_finite(value):
                    problem = f"`{name}` holds numbers in {path}, but got {value!r}"
                    raise document.error((key, name, position), problem, "write a number")


def is_finite(text: str) -> bool:
    """True for a text that is a number."""
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False
