"""Lists of recommendations as files: Parquet and CSV with a row an item, JSON lines with a line a user."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recsweep.common.errors import InputError
from recsweep.common.files import atomic_path
from recsweep.common.parquet import Coded, Words, parquet_rows

if TYPE_CHECKING:
    from recsweep.training.lists import Lists

COLUMNS = {"user": "words", "item": "words", "rank": "int32", "score": "float32"}
_DIGITS = ".9g"
"""Of a score as text: a float32 is the same again."""
Take = Callable[["Lists"], None]


def write_lists(path: Path, lists: Iterable[Lists], users: np.ndarray, items: np.ndarray) -> tuple[int, int]:
    """Write lists as they come; the file appears when the last one is there.

    Args:
        path: its ending says how: `.parquet`, `.csv` or `.jsonl`.
        lists: in parts.
        users: the data set's own ids of users, by RecBole's numbers.
        items: those of items.

    Returns:
        How many users have a list, and how many of these are shorter than was asked.

    Raises:
        InputError: the ending is another.
    """
    written = short = 0
    with WRITERS[checked_suffix(path)](path, users, items) as take, ThreadPoolExecutor(1) as beside:
        pending: Future[None] | None = None
        for some in lists:
            if pending is not None:
                pending.result()
            pending = beside.submit(take, some)  # while the next ones are ranked
            written += len(some.users)
            short += int((some.items[:, -1] == 0).sum())
        if pending is not None:
            pending.result()
    return written, short


def checked_suffix(path: Path) -> str:
    """The ending of a file's name, where it is one of ours.

    Raises:
        InputError: it is none.
    """
    if path.suffix not in WRITERS:
        fix = f"let it end with {', '.join(WRITERS)}"
        raise InputError("--to", f"{path} does not say in which form to write", fix)
    return path.suffix


def _rows(lists: Lists) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Place of the user, number of the item, rank from 1, and score of every item that is listed."""
    items, scores = lists.items.numpy(), lists.scores.numpy()
    if (items[:, -1] > 0).all():  # every list has its full length
        users, ranks = np.divmod(np.arange(items.size, dtype=np.int32), np.int32(items.shape[1]))
        return users, items.ravel(), ranks + np.int32(1), scores.ravel()
    users, ranks = items.nonzero()
    return users, items[users, ranks], ranks + 1, scores[users, ranks]


@contextmanager
def _parquet(path: Path, users: np.ndarray, items: np.ndarray) -> Iterator[Take]:
    every_item = Words(items.tolist())
    with parquet_rows(path, COLUMNS) as write:

        def take(lists: Lists) -> None:
            owners, found, ranks, scores = _rows(lists)
            own = Words(users[lists.users.numpy()].tolist())
            rows = {"user": Coded(owners, own), "item": Coded(found, every_item)}
            write({**rows, "rank": ranks, "score": scores})

        yield take


@contextmanager
def _csv(path: Path, users: np.ndarray, items: np.ndarray) -> Iterator[Take]:
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)

        def take(lists: Lists) -> None:
            owners, found, ranks, scores = _rows(lists)
            own = users[lists.users.numpy()]
            columns = own[owners], items[found], ranks.tolist(), (f"{score:{_DIGITS}}" for score in scores)
            writer.writerows(zip(*columns, strict=True))

        yield take


@contextmanager
def _json_lines(path: Path, users: np.ndarray, items: np.ndarray) -> Iterator[Take]:
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:

        def take(lists: Lists) -> None:
            for user, found, scores in zip(lists.users, lists.items.numpy(), lists.scores, strict=True):
                kept = found[found > 0]
                numbers = [float(f"{score:{_DIGITS}}") for score in scores[: len(kept)].tolist()]
                line: dict[str, Any] = {"user": str(users[int(user)]), "items": items[kept].tolist()}
                file.write(json.dumps({**line, "scores": numbers}, ensure_ascii=False) + "\n")

        yield take


WRITERS = {".parquet": _parquet, ".csv": _csv, ".jsonl": _json_lines}
"""How lists are written, by the ending of the file's name."""
