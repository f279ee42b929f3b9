"""Files that are already split hold different interactions: none stands in two of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recsweep.common.errors import InputError
from recsweep.common.orders import dense_ranks
from recsweep.datasets.tables import Tables


def check_apart(tables: Tables) -> None:
    """See that no interaction stands in two of the files of a data set.

    Without times, a pair of a user and an item is an interaction; with them, at one time.

    Raises:
        InputError: one does; with both places.
    """
    table, reading = tables.interactions, tables.reading
    users, items = table.texts[reading.user], table.texts[reading.item]
    pairs, times = table.pairs(reading.user, reading.item), table.precise(reading.time)
    files = table.source_of(np.arange(table.rows))
    moments = np.zeros(table.rows, dtype=np.int64) if times is None else dense_ranks(times)
    order = np.lexsort((files, moments, pairs))
    same = (np.diff(pairs[order]) == 0) & (np.diff(moments[order]) == 0) & (np.diff(files[order]) != 0)
    if not same.any():
        return
    again = order[1:][same]
    row = int(again.min())
    before = int(order[:-1][same][int(np.argmin(again))])
    path, line = table.where(row)
    other, at = table.where(before)
    when = "" if times is None else f" at {times[row]:g}"
    raise InputError(
        path,
        f"user {users.values[users.codes[row]]!r} and item {items.values[items.codes[row]]!r}{when} stand in "
        f"{other.name}:{at} too; a model would be asked for what it has learned",
        "drop one of the rows",
        line,
        1,
    )


def disorder(tables: Tables) -> Disorder | None:
    """A row that is older than a row of the same user in a file before its own; None where there is none."""
    table, reading = tables.interactions, tables.reading
    times = table.precise(reading.time)
    if times is None or not table.rows:
        return None
    users, files = table.texts[reading.user], table.source_of(np.arange(table.rows))
    order = np.lexsort((files, dense_ranks(times), users.codes))
    back = np.flatnonzero((np.diff(users.codes[order]) == 0) & (np.diff(files[order]) < 0))
    if not len(back):
        return None
    older, younger = int(order[back[0]]), int(order[back[0] + 1])
    (path, line), (other, at) = table.where(older), table.where(younger)
    return Disorder(path, line, users.values[users.codes[older]], int(files[older]), f"{other.name}:{at}")


@dataclass(frozen=True)
class Disorder:
    """A row for validation or test that is older than one that is trained on."""

    path: Path
    line: int
    user: str
    file: int
    """Of the row, from 0."""
    other: str
    """Where the younger row stands."""

    def error(self, models: str, files: int) -> InputError:
        """Why models of sequences cannot be tested so."""
        part = "test" if self.file == files - 1 else "validation"
        return InputError(
            self.path,
            f"user {self.user!r} has a row for {part} that is older than {self.other}; {models} would be "
            "shown what comes after it",
            f"split each user by time, or leave {models} out",
            self.line,
            1,
        )
