"""Users or items in groups: by how active or popular they are, or by a column of `.user` or `.item`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from recsweep.common.errors import InputError
from recsweep.datasets.header import read_header
from recsweep.datasets.read import read_table
from recsweep.recbole_api.data import Split, interactions
from recsweep.sweeps.documents import nearest

ACTIVITY, POPULARITY = "activity", "popularity"
USERS, ITEMS = "user", "item"
FORM = f"give {ACTIVITY}, {POPULARITY}, {USERS}:COLUMN or {ITEMS}:COLUMN"
_PARTS, _MOST = 4, 50
"""Parts of about the same size that numbers are put into; groups that a table bears."""
_UNKNOWN = "not given"
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Groups:
    """Users or items in groups; one may be in several, or in none."""

    kind: str
    """`user` or `item`."""
    names: list[str]
    members: NDArray[np.bool_]
    """[groups, all users or items by RecBole's numbers]."""


def groups_by(by: str, split: Split, folder: Path, separator: str = " ") -> Groups:
    """The groups that are asked for.

    Args:
        by: `activity` or `popularity`, which count interactions in the training data, or `user:COLUMN`,
            `item:COLUMN`.
        split: the data.
        folder: of the atomic files.
        separator: of the values in a cell that holds several.

    Raises:
        InputError: there is no such column, or it has too many values.
    """
    kind, colon, column = by.partition(":")
    if by in (ACTIVITY, POPULARITY):
        kind = USERS if by == ACTIVITY else ITEMS
        return _ranges(kind, _counts(split, kind))
    if kind not in (USERS, ITEMS) or not colon or not column:
        raise InputError("--by", f"there are no groups by {by}", FORM)
    return _of_column(kind, column, split, folder, separator)


def _counts(split: Split, kind: str) -> Floats:
    """Interactions of each user or item in the training data."""
    whole = split.whole
    users, items = interactions(whole, split.parts[0].inter_feat.interaction)
    numbers, size = (users, whole.user_num) if kind == USERS else (items, whole.item_num)
    found: Floats = torch.bincount(numbers, minlength=int(size)).numpy().astype(np.float64)
    found[0] = math.nan  # padding
    return found


def _of_column(kind: str, column: str, split: Split, folder: Path, separator: str) -> Groups:
    path = folder / f"{folder.name}.{kind}"
    if not path.is_file():
        raise InputError("--by", f"there is no file {path}", f"write it, or {FORM}")
    header = read_header(path)
    if column not in header:
        raise InputError("--by", f"{path} has no column {column}", nearest(column, header))
    whole = split.whole
    field = whole.uid_field if kind == USERS else whole.iid_field
    table = read_table(path, (field, column), separator=separator)
    numbers_of: dict[str, int] = whole.field2token_id[field]
    numbers = np.array([numbers_of.get(str(cell), 0) for cell in table.cells(field)], dtype=np.int64)
    size = int(whole.user_num if kind == USERS else whole.item_num)
    if header[column] == "float":
        values = np.full(size, math.nan)
        values[numbers] = table.cells(column)
        values[0] = math.nan
        return _ranges(kind, values)
    cells = [str(cell) if isinstance(cell, str) else "" for cell in table.cells(column)]
    parts = [cell.split(separator) if header[column].endswith("_seq") else [cell] for cell in cells]
    return _words(kind, numbers, parts, size, f"{path} {column}")


def _words(kind: str, numbers: NDArray[np.int64], parts: list[list[str]], size: int, source: str) -> Groups:
    names = sorted({word or _UNKNOWN for words in parts for word in words})
    if len(names) > _MOST:
        raise InputError("--by", f"{source} has {len(names)} values, too many for groups", FORM)
    row = {name: number for number, name in enumerate(names)}
    members = np.zeros((len(names), size), dtype=bool)
    for number, words in zip(numbers, parts, strict=True):
        for word in words:
            members[row[word or _UNKNOWN], number] = True
    members[:, 0] = False  # padding, and whom the split does not have
    return Groups(kind, names, members)


def _ranges(kind: str, values: Floats) -> Groups:
    """Numbers in parts of about the same size, each named by what is least and most in it."""
    there = values[~np.isnan(values)]
    edges = np.unique(np.quantile(there, np.linspace(0, 1, _PARTS + 1))) if len(there) else np.empty(0)
    part = np.searchsorted(edges[1:-1], values, side="left")
    part[np.isnan(values)] = -1
    names, members = [], []
    for number in np.unique(part):
        inside = part == number
        least, most = (values[inside].min(), values[inside].max()) if number >= 0 else (0, 0)
        if number >= 0:
            names.append(f"{least:.6g}" if least == most else f"{least:.6g} to {most:.6g}")
            members.append(inside)
    unknown = np.isnan(values)
    unknown[0] = False
    if unknown.any():
        names.append(_UNKNOWN)
        members.append(unknown)
    return Groups(kind, names, np.array(members))
