"""The atomic files of one data set, as a config wants them read; each is read once.

What is said here of columns and filters comes from RecBole's own keys, so that the check of a sweep and the
preparation of a split read the same rows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from recsweep.common.errors import InputError
from recsweep.datasets import own_filters
from recsweep.datasets.joined import joined
from recsweep.datasets.read import read_table
from recsweep.datasets.table import Table
from recsweep.recbole_api.settings import OWN_FILTERS, OWN_SPLIT
from recsweep.sweeps.split import SplitConfig

LISTS = {"user": "user", "item": "item", "link": "item"}
"""Files that list users or items, and which of the two."""


@dataclass(frozen=True)
class Reading:
    """The part of the files that is read and kept, in RecBole's words."""

    user: str
    item: str
    time: str
    columns: Mapping[str, Any] | None
    """Columns by suffix, a list or `*`; None: all of every file."""
    separator: str
    drops_unlisted: bool
    """True where interactions go with users and items that `.user`, `.item` or `.link` do not list."""
    keep: Mapping[str, Any]
    user_range: str | None
    item_range: str | None
    duplicates: Any
    """Which of equal user-item pairs stays: `first`, `last`, False for none, None for all."""
    split: Mapping[str, Any]
    group_by: str
    entities: tuple[str, str, str, str]
    """The columns of heads, tails and relations in `.kg`, and of entities in `.link`."""
    merged: bool
    """True where ids are shared with other columns, or RecBole reads files that we do not."""
    own_split: SplitConfig | None = None
    """A way of splitting that RecBole has not."""
    own_filters: Mapping[str, Any] = field(default_factory=dict)
    """Filters that it has not."""

    @classmethod
    def of(cls, get: Callable[[str], Any]) -> Reading:
        """From a RecBole config, key by key; None where it has no such key."""
        names = ("HEAD_ENTITY_ID_FIELD", "TAIL_ENTITY_ID_FIELD", "RELATION_ID_FIELD", "ENTITY_ID_FIELD")
        usual = ("head_id", "tail_id", "relation_id", "entity_id")
        head, tail, relation, entity = (
            get(name) or default for name, default in zip(names, usual, strict=True)
        )
        evaluation = get("eval_args") or {}
        special = ("benchmark_filename", "alias_of_user_id", "alias_of_item_id", "additional_feat_suffix")
        return cls(
            get("USER_ID_FIELD"),
            get("ITEM_ID_FIELD"),
            get("TIME_FIELD"),
            get("load_col"),
            get("seq_separator") or " ",
            get("filter_inter_by_user_or_item") is not False,
            get("val_interval") or {},
            get("user_inter_num_interval"),
            get("item_inter_num_interval"),
            get("rm_dup_inter"),
            evaluation.get("split") or {},
            str(evaluation.get("group_by")).lower(),
            (head, tail, relation, entity),
            any(get(name) for name in special),
            None if get(OWN_SPLIT) is None else SplitConfig.model_validate(get(OWN_SPLIT)),
            get(OWN_FILTERS) or {},
        )

    @property
    def files(self) -> tuple[str, ...]:
        """Parts of the names of files that are already split; none where there is one file."""
        split = self.own_split
        return split.files if split is not None and split.type == "files" else ()

    def names(self, suffix: str) -> Collection[str] | None:
        """The columns of a file to read; none where the file is not read, None for all."""
        if self.columns is None:
            return None
        names: Collection[str] = self.columns.get(suffix, ())
        return None if names == "*" else names

    @property
    def required(self) -> tuple[str, ...]:
        """Columns in which no cell may be empty."""
        return (self.user, self.item, self.time, *self.entities)


@dataclass(frozen=True)
class Unlisted:
    """Interactions of users or items that a file of theirs does not list."""

    suffix: str
    path: Path
    kind: str
    """`user` or `item`."""
    ids: int
    of: int
    """Users or items with interactions in all."""
    interactions: int
    total: int
    """Interactions of them, and in all."""
    example: str


class Tables:
    """The files of a folder, read when they are first asked for."""

    def __init__(self, folder: Path, reading: Reading, hashes: Mapping[str, str] | None = None) -> None:
        self.folder, self.reading, self._hashes = folder, reading, hashes or {}
        self._read: dict[str, Table] = {}
        self.found: dict[type[Any], Any] = {}
        """Made of all interactions, by its type, for whoever asks again."""

    def are_those_of(self, folder: Path, reading: Reading) -> bool:
        """They are what the config of a folder would have read."""
        return folder == self.folder and reading == self.reading

    def get(self, suffix: str) -> Table | None:
        """The table of a file; None where the config does not read it."""
        path = self.folder / f"{self.folder.name}.{suffix}"
        names = self.reading.names(suffix)
        if (names is not None and not names) or not path.is_file():
            return None
        if self.reading.columns is None and suffix in ("kg", "link"):
            return None
        return self.read(path, names)

    def read(self, path: Path, names: Collection[str] | None) -> Table:
        """Columns of one file, all rows; each file is read once, for the same columns.

        Raises:
            InputError: a mistake in the file, or it is no longer the file that was hashed.
        """
        if path.name in self._read:
            return self._read[path.name]
        reading = self.reading
        table = read_table(
            path, names, required=reading.required, ordered=reading.time, separator=reading.separator
        )
        if self._hashes.get(path.name, table.digest) != table.digest:
            raise InputError(path, "has changed since this run began", "run the same command again")
        self._read[path.name] = table
        return table

    def columns(self, path: Path, names: Collection[str] | None) -> Table:
        """Columns of one file as RecBole is handed them: without rows that are dropped for being unlisted."""
        if path.name == f"{self.folder.name}.inter":
            return self.kept_rows()
        return self.read(path, names)

    @cached_property
    def interactions(self) -> Table:
        """The rows of the `.inter` file, or of its parts, but for those that our own filters drop."""
        reading = self.reading
        tables = self.read_parts()
        if not tables:
            raise InputError(self.folder, "no column of the .inter file is read", "name some in `load_col`")
        table = joined(self.folder / f"{self.folder.name}.inter", tables) if reading.files else tables[0]
        if not reading.own_filters:
            return table
        return own_filters.filtered(table, reading.user, reading.item, reading.time, reading.own_filters)

    def read_parts(self) -> list[Table]:
        """The files of interactions, all their rows: one, or several where they are already split."""
        if not self.reading.files:
            table = self.get("inter")
            return [] if table is None else [table]
        name, names = self.folder.name, self.reading.names("inter")
        return [self.read(self.folder / f"{name}.{part}.inter", names) for part in self.reading.files]

    def unlisted(self, rows: np.ndarray[Any, Any]) -> list[Unlisted]:
        """The ids that each file of users or items leaves out of some rows of the interactions."""
        found: list[Unlisted] = []
        for suffix, kind in LISTS.items():
            is_listed, table = self._listed_ids(suffix, kind), self.get(suffix)
            if is_listed is None or table is None:
                continue
            texts = self.interactions.texts[self._field(kind)].take(rows)
            missing = ~is_listed[texts.codes]
            if missing.any():
                ids = np.unique(texts.codes[missing])
                example = texts.values[int(ids[0])]
                total, lost = len(np.unique(texts.codes)), int(np.count_nonzero(missing))
                left = len(missing)
                found.append(Unlisted(suffix, table.path, kind, len(ids), total, lost, left, example))
        return found

    def listed(self) -> np.ndarray[Any, Any] | None:
        """The rows whose user and item are listed wherever users and items are; None: all of them."""
        inter, rows = self.interactions, None
        for suffix, kind in LISTS.items():
            is_listed = self._listed_ids(suffix, kind)
            if is_listed is not None and not is_listed.all():
                kept = is_listed[inter.texts[self._field(kind)].codes]
                rows = kept if rows is None else rows & kept
        return rows

    def kept_rows(self) -> Table:
        """The `.inter` file without the rows that the config drops for being unlisted."""
        rows = self.listed() if self.reading.drops_unlisted else None
        return self.interactions if rows is None else self.interactions.take(rows)

    def _field(self, kind: str) -> str:
        return self.reading.user if kind == "user" else self.reading.item

    def _listed_ids(self, suffix: str, kind: str) -> np.ndarray[Any, Any] | None:
        """For each user or item of the interactions, whether a file lists it; None without the file."""
        table, field = self.get(suffix), self._field(kind)
        texts = self.interactions.texts.get(field)
        if table is None or texts is None or field not in table.texts:
            return None
        listed = self._linked(table) if suffix == "link" else set(table.texts[field].values)
        return np.array([value in listed for value in texts.values], dtype=bool)

    def _linked(self, link: Table) -> set[str]:
        """The items whose entity is in the graph."""
        head, tail, _, entity = self.reading.entities
        graph, items = self.get("kg"), link.texts[self.reading.item]
        if graph is None or entity not in link.texts or not {head, tail} <= graph.texts.keys():
            return set(items.values)
        in_graph = {*graph.texts[head].values, *graph.texts[tail].values}
        entities = link.texts[entity]
        pairs = zip(items.codes.tolist(), entities.codes.tolist(), strict=True)
        return {items.values[item] for item, code in pairs if entities.values[code] in in_graph}
