"""Work on whole columns that RecBole's data sets do row by row: the same rows come of it, in the same order.

RecBole counts users and items by their texts, numbers these again, and gathers the rows of each user in
lists. Here users and items are numbers from the start, and lists are arrays. Whatever RecBole does with texts
that these numbers cannot stand for is left to it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from recsweep.common.orders import order_of
from recsweep.recbole_api.compat import recbole
from recsweep.recbole_api.config import TypedConfig
from recsweep.recbole_api.frames import AtomicFiles, Columns
from recsweep.recbole_api.sequences import with_samples
from recsweep.recbole_api.windows import rows_of

_Array = np.ndarray[Any, Any]
_SUFFIXES = (".inter", ".user", ".item")
_SHARED = ("benchmark_filename", "alias_of_user_id", "alias_of_item_id", "additional_feat_suffix")


class NumberedFiles:
    """Columns of files in which users and items are numbers, where RecBole never looks at their texts."""

    def __init__(self, files: AtomicFiles, config: TypedConfig, cls: type[Any]) -> None:
        self._files = files
        self.texts: dict[str, list[str]] = {}
        """The text of each number, by the name of the column."""
        if not issubclass(cls, recbole("data.dataset").KnowledgeBasedDataset) and not any(
            config[name] for name in _SHARED
        ):
            by_value = config["val_interval"] or {}
            fields = (config["USER_ID_FIELD"], config["ITEM_ID_FIELD"])
            self.texts = {name: [] for name in fields if name not in by_value}
        self._numbers: dict[str, dict[str, int]] = {}

    def columns(self, path: Path, names: Collection[str] | None) -> Columns:
        """As the files have them, but for users and items."""
        found = self._files.columns(path, names)
        return _Numbered(found, self) if path.suffix in _SUFFIXES else found

    def number(self, name: str, texts: Sequence[str], codes: _Array) -> _Array:
        """The numbers of a column's cells: of another file those that the first one has, and new ones."""
        if not self.texts[name]:
            self.texts[name] = list(texts)
            return codes.astype(np.int64)
        if name not in self._numbers:
            self._numbers[name] = {text: number for number, text in enumerate(self.texts[name])}
        numbers = self._numbers[name]
        for text in texts:
            if numbers.setdefault(text, len(numbers)) == len(self.texts[name]):
                self.texts[name].append(text)
        numbered: _Array = np.array([numbers[text] for text in texts], dtype=np.int64)[codes]
        return numbered


class _Numbered:
    """The columns of one of these files."""

    def __init__(self, columns: Columns, files: NumberedFiles) -> None:
        self._columns, self._files = columns, files

    @property
    def types(self) -> Mapping[str, str]:
        return self._columns.types

    def cells(self, name: str) -> _Array:
        if name not in self._files.texts:
            return self._columns.cells(name)
        return self._files.number(name, *self._columns.coded(name))

    def coded(self, name: str) -> tuple[Sequence[str], _Array]:
        return self._columns.coded(name)


def quick(cls: type[Any], files: NumberedFiles) -> type[Any]:
    """A data set class that works on whole columns.

    Args:
        cls: takes its columns from these files (`frames.handed`).
    """

    class Quick(cls):  # type: ignore[misc]
        inter_feat: Any

        def _filter_inter_by_user_or_item(self) -> None:
            if self.user_feat is not None or self.item_feat is not None:
                super()._filter_inter_by_user_or_item()

        def _filter_by_inter_num(self) -> None:
            if {self.uid_field, self.iid_field} <= files.texts.keys():
                _filter_by_counts(self, {name: len(texts) for name, texts in files.texts.items()})
            else:
                super()._filter_by_inter_num()

        def _remap(self, columns: list[tuple[Any, str, Any]]) -> None:
            if columns and {name for _, name, _ in columns} <= files.texts.keys():
                _number_again(self, columns, files.texts[columns[0][1]])
            else:
                super()._remap(columns)

        def split_by_ratio(self, ratios: Sequence[float], group_by: str | None = None) -> list[Any]:
            return _by_ratio(self, ratios, group_by)

        def leave_one_out(self, group_by: str | None, leave_one_mode: str) -> list[Any]:
            if group_by is None or leave_one_mode not in _LEFT_OUT:
                return super().leave_one_out(group_by, leave_one_mode)  # type: ignore[no-any-return]
            return _left_out(self, group_by, _LEFT_OUT[leave_one_mode])

    sequential = recbole("data.dataset").SequentialDataset
    fills = getattr(cls, "data_augmentation", None) is sequential.data_augmentation
    return with_samples(Quick) if fills else Quick


_LEFT_OUT = {"valid_and_test": (2, 1), "valid_only": (1,), "test_only": (2,)}
"""The part of a user's last interaction, and of the one before it: while one is left for training."""


def _filter_by_counts(dataset: Any, sizes: Mapping[str, int]) -> None:
    """Drop users and items with too few or too many interactions, until all that are left have enough."""
    sides = [
        _Side(dataset, name, features, dataset.config[interval], sizes[name])
        for name, features, interval in (
            (dataset.uid_field, "user_feat", "user_inter_num_interval"),
            (dataset.iid_field, "item_feat", "item_inter_num_interval"),
        )
    ]
    rows = np.ones(len(dataset.inter_feat), dtype=bool)
    while True:
        dropped = [side.drop(rows) for side in sides]  # both, before the rows change
        if not any(dropped):
            break
        for side in sides:
            rows &= side.kept[side.ids]
    if not rows.all():
        dataset.inter_feat = dataset.inter_feat.take(np.flatnonzero(rows))
    for side in sides:
        side.drop_features(dataset)


class _Side:
    """Users, or items: which of them are kept."""

    def __init__(self, dataset: Any, name: str, features: str, interval: Any, size: int) -> None:
        self._dataset, self._name, self._features = dataset, name, features
        self._bounds = dataset._parse_intervals_str(interval)
        self.ids = dataset.inter_feat[name].to_numpy()
        self.kept = np.ones(size, dtype=bool)
        listed = getattr(dataset, features)
        self._listed = np.empty(0, dtype=np.int64) if listed is None else listed[name].to_numpy()

    def drop(self, rows: _Array) -> bool:
        """Drop those of these rows whose number is wrong; False where all are right."""
        if not self._bounds:
            return False
        counts = np.bincount(self.ids[rows], minlength=len(self.kept))
        wrong = (counts > 0) & ~self._dataset._within_intervals(counts, self._bounds)
        listed = self._listed[self.kept[self._listed]]
        wrong[listed[counts[listed] < self._bounds[0][1]]] = True
        self.kept &= ~wrong
        return bool(wrong.any())

    def drop_features(self, dataset: Any) -> None:
        """Drop the features of those who are dropped."""
        features = getattr(dataset, self._features)
        if features is not None and not self.kept[self._listed].all():
            setattr(dataset, self._features, features.take(np.flatnonzero(self.kept[self._listed])))


def _number_again(dataset: Any, columns: list[tuple[Any, str, Any]], texts: Sequence[str]) -> None:
    """Ids from 1, in the order in which they are met in the columns; 0 is for what is missing."""
    cells = [features[name].to_numpy() for features, name, _ in columns]
    ids, found = pd.factorize(np.concatenate(cells) if len(cells) > 1 else cells[0])
    words = np.array(["[PAD]", *(texts[number] for number in found.tolist())])
    numbers = {word: number for number, word in enumerate(words)}
    parts = np.split(ids + 1, np.cumsum([len(each) for each in cells])[:-1])
    for (features, name, _), part in zip(columns, parts, strict=True):
        dataset.field2id_token.setdefault(name, words)
        dataset.field2token_id.setdefault(name, numbers)
        features[name] = part


def _by_ratio(dataset: Any, ratios: Sequence[float], group_by: str | None) -> list[Any]:
    shares = [share / sum(ratios) for share in ratios]

    def ends(size: int) -> list[int]:
        return [*dataset._calcu_split_ids(tot=size, ratios=shares), size]

    if group_by is None:
        rows = len(dataset)
        return _divided(dataset, np.split(np.arange(rows), ends(rows)[:-1]))
    order, sizes = _by_group(dataset.inter_feat[group_by])
    distinct, which = np.unique(sizes, return_inverse=True)
    counts = np.diff([ends(int(size)) for size in distinct], axis=1, prepend=0)[which]
    parts = np.repeat(np.tile(np.arange(len(ratios), dtype=np.int8), len(sizes)), counts.ravel())
    return _divided(dataset, [order[parts == part] for part in range(len(ratios))])


def _left_out(dataset: Any, group_by: str, wanted: Sequence[int]) -> list[Any]:
    order, sizes = _by_group(dataset.inter_feat[group_by])
    lasts = np.cumsum(sizes) - 1
    parts = np.zeros(len(order), dtype=np.int8)
    for back, part in enumerate(wanted):
        parts[lasts[sizes >= back + 2] - back] = part
    return _divided(dataset, [order[parts == part] for part in range(3)])


def _by_group(keys: torch.Tensor) -> tuple[_Array, _Array]:
    """Places of the rows, group by group as these are met first, and the sizes of the groups."""
    groups, _ = pd.factorize(keys.numpy())
    return order_of(groups), np.bincount(groups)


def _divided(dataset: Any, places: Sequence[_Array]) -> list[Any]:
    """The parts of a data set, by the places of their rows."""
    dataset._drop_unused_col()
    table = recbole("data.interaction").Interaction
    found = []
    for each in places:
        rows = torch.from_numpy(np.ascontiguousarray(each))
        found.append(dataset.copy(table(rows_of(dataset.inter_feat.interaction, rows))))
    return found
