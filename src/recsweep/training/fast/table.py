"""One part of a split as tensors: what is asked, and what the right answers are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import torch

from recsweep.recbole_api.seen import Lists
from recsweep.recbole_api.windows import Windows


@dataclass(frozen=True)
class Pairs:
    """Some items for each row, of different number."""

    counts: torch.Tensor
    """[rows] int64."""
    items: torch.Tensor
    """[pairs] int64, those of one row behind those of the row before."""

    @classmethod
    def of(cls, items: list[torch.Tensor], device: torch.device) -> Pairs:
        """The pairs of a list that holds the items of each row; those of a row in ascending order."""
        counts = torch.tensor([len(some) for some in items], dtype=torch.int64)
        flat = torch.cat(items).to(torch.int64) if items else counts
        owners = torch.repeat_interleave(torch.arange(len(counts)), counts)
        width = int(flat.max()) + 1 if len(flat) else 1
        ordered = (owners * width + flat).sort().values - owners * width
        return cls(counts.to(device), _column(ordered, device))

    @classmethod
    def none(cls, rows: int, device: torch.device) -> Pairs:
        """No item for any row."""
        empty = torch.empty(0, dtype=torch.int64, device=device)
        return cls(torch.zeros(rows, dtype=torch.int64, device=device), empty)

    @cached_property
    def owners(self) -> torch.Tensor:
        """[pairs] int64: the row of each pair."""
        return torch.repeat_interleave(torch.arange(len(self.counts), device=self.counts.device), self.counts)

    @cached_property
    def ends(self) -> torch.Tensor:
        """[rows] int64: where the pairs of each row end."""
        return self.counts.cumsum(0)

    @cached_property
    def _begins(self) -> list[int]:
        """Where the pairs of each row begin, and after the last; on the CPU."""
        return [0, *self.ends.tolist()]

    def within(self, first: int, last: int) -> tuple[torch.Tensor, torch.Tensor]:
        """As `at`, of the rows from `first` to before `last`; a GPU is not waited for."""
        part = slice(self._begins[first], self._begins[last])
        return self.owners[part] - first, self.items[part]

    def at(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The pairs of some rows.

        Args:
            rows: [some] int64, on the CPU or where the pairs are.

        Returns:
            [pairs of these] int64: which of the rows each pair belongs to, counted from 0; and its item.
        """
        if (span := span_of(rows)) is not None:
            return self.within(*span)
        rows = rows.to(self.items.device)
        counts = self.counts[rows]
        owners = torch.repeat_interleave(torch.arange(len(rows), device=rows.device), counts)
        shift = (self.ends[rows] - counts.cumsum(0))[owners]
        return owners, self.items[torch.arange(len(owners), device=rows.device) + shift]

    def of_rows(self, rows: torch.Tensor | slice) -> Pairs:
        """The pairs of these rows alone."""
        chosen = torch.arange(len(self.counts))[rows] if isinstance(rows, slice) else rows
        if span_of(chosen) == (0, len(self.counts)):
            return self
        return Pairs(self.counts[chosen.to(self.counts.device)], self.at(chosen)[1])


def span_of(rows: torch.Tensor) -> tuple[int, int] | None:
    """The first row and the one after the last, where rows on the CPU follow one another."""
    if rows.device.type != "cpu" or len(rows) == 0:
        return None
    first, after = int(rows[0]), int(rows[-1]) + 1
    follow = after - first == len(rows) and bool((rows[1:] - rows[:-1] == 1).all())
    return (first, after) if follow else None


@dataclass(frozen=True)
class Labels:
    """The items that count as right in a validation of users, and those that are left out."""

    right: Pairs
    """The items that a user has in this part of the split."""
    hidden: Pairs
    """The items that it had before, which RecBole never recommends again."""


@dataclass(frozen=True)
class Features:
    """The columns of all users and of all items, padding included, on the CPU."""

    users: Mapping[str, torch.Tensor]
    """By RecBole's name of the column, [users, ...]; the users' own numbers among them."""
    items: Mapping[str, torch.Tensor]

    @classmethod
    def of(cls, dataset: Any) -> Features:
        """The features of a RecBole data set."""
        return cls(dataset.get_user_feature().interaction, dataset.get_item_feature().interaction)


@dataclass(frozen=True)
class Table:
    """One part of a split, one row a sample; one row a user where users are validated, or are samples."""

    users: torch.Tensor
    """[rows] int64."""
    items: torch.Tensor
    """[rows] int64, the target of each sample; empty where rows are users, see `labels`."""
    device: torch.device
    sequences: torch.Tensor | None = None
    """[rows, width] int64, padded with 0 at the end; `Windows` are filled as rows are picked. None for models
    without sequences."""
    lengths: torch.Tensor | None = None
    """[rows] int64, on the CPU: batches are planned there without waiting for a GPU."""
    labels: Labels | None = None
    """Where rows are users: their items. Else the label of a row is its target."""
    columns: Callable[[torch.Tensor], Any] | None = None
    """RecBole's `Interaction` of some rows, of all columns, on the CPU; of a validation alone."""
    features: Callable[[], Features] | None = None
    """The columns of users and items; asked for by the families that read them."""
    answers: torch.Tensor | None = None
    """[rows] float32, the labels that stand in the data; for losses of single samples without negatives."""

    @classmethod
    def of(cls, loader: Any, device: torch.device) -> Table:
        """The samples of a RecBole loader."""
        if gives_users(loader):
            return cls._of_samples(loader, device)
        dataset, config = loader._dataset, loader.config
        fields = dataset.inter_feat.interaction
        item = config["ITEM_ID_FIELD"]
        sequences = fields.get(item + config["LIST_SUFFIX"])
        lengths = fields.get(config["ITEM_LIST_LENGTH_FIELD"])
        answers = fields.get(config["LABEL_FIELD"])
        return cls(
            users=_column(fields[config["USER_ID_FIELD"]], device),
            items=_column(fields[item], device),
            sequences=None if sequences is None else _sequences(sequences, device),
            lengths=None if lengths is None else _column(lengths, torch.device("cpu")),
            device=device,
            columns=dataset.__getitem__,
            features=partial(Features.of, dataset),
            answers=None if answers is None else answers.to(device=device, dtype=torch.float32),
        )

    @classmethod
    def _of_samples(cls, loader: Any, device: torch.device) -> Table:
        rows = loader.user_list
        return cls.with_users(_column(rows[loader.uid_field], device), device, rows.__getitem__)

    @classmethod
    def with_users(
        cls,
        users: torch.Tensor,
        device: torch.device,
        columns: Callable[[torch.Tensor], Any],
        labels: Labels | None = None,
        features: Callable[[], Features] | None = None,
    ) -> Table:
        """Rows that are users [rows] int64, on the device; they have no targets of their own."""
        return cls(users, users.new_empty(0), device, labels=labels, columns=columns, features=features)

    @classmethod
    def of_users(cls, loader: Any, device: torch.device) -> Table:
        """The users of a RecBole loader that sorts all items for each of them."""
        users = loader.uid_list
        right, hidden = (
            _lists(items, users, device) for items in (loader.uid2positive_item, loader.uid2history_item)
        )
        labels, features = Labels(right, hidden), partial(Features.of, loader._dataset)
        return cls.with_users(_column(users, device), device, loader.user_df.__getitem__, labels, features)

    def __len__(self) -> int:
        return len(self.users)

    @cached_property
    def lengths_there(self) -> torch.Tensor:
        """`lengths` where the table is: sent once."""
        return required(self.lengths).to(self.device)

    def last(self, rows: torch.Tensor) -> torch.Tensor:
        """[some] int64, where the table is: the last items of sequences.

        Args:
            rows: [some] int64, as batches have them.
        """
        sequences, end = required(self.sequences), self.lengths_there[rows] - 1
        if isinstance(sequences, Windows):
            return sequences.rows(rows).at(end[:, None])[:, 0]
        return sequences[rows, end]

    def picked(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """As kernels take sequences, which they look up by row number: a matrix, its lengths, the numbers.

        Args:
            rows: [some] int64, on the CPU.
        """
        sequences, lengths = required(self.sequences), required(self.lengths)
        if not isinstance(sequences, Windows):
            return sequences, lengths, rows
        return sequences[rows], lengths[rows], torch.arange(len(rows))

    def rows(self, begin: int, end: int) -> torch.Tensor:
        """Row numbers on the CPU."""
        return torch.arange(begin, min(end, len(self)))


def gives_users(loader: Any) -> bool:
    """The samples of a training loader are users, without items: RecBole's `UserDataLoader`."""
    return "user_list" in vars(loader)


def required(column: torch.Tensor | None) -> torch.Tensor:
    """A column of sequences.

    Raises:
        ValueError: the data set is one of pairs, and has none.
    """
    if column is None:
        raise ValueError("the data set has no sequences")
    return column


def _lists(items: Any, users: torch.Tensor, device: torch.device) -> Pairs:
    """The items that a loader has for each of these users."""
    if not isinstance(items, Lists):
        return Pairs.of(list(items[users.numpy()]), device)
    counts = items.seen.counts[users]
    if int(counts.sum()) == len(items.seen.items):  # the others have none
        return Pairs(counts.to(device), items.seen.items.to(device))
    asked = torch.zeros(len(items.seen.counts), dtype=torch.bool)
    asked[users] = True  # in ascending order, each once
    chosen = items.seen.items[torch.repeat_interleave(asked, items.seen.counts)]
    return Pairs(counts.to(device), chosen.to(device))


def _sequences(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    if isinstance(values, Windows) and values.dtype == torch.int64:
        return values.placed(device)
    return _column(values, device)


def _column(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    return values.to(device=device, dtype=torch.int64).contiguous()
