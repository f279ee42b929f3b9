"""RecBole's stream of batches and negatives, drawn on tensors.

RecBole's loader walks through Python lists: a list of indices, an Interaction of every column, a set for
every sample's forbidden items. The stream here takes the same numbers from the same generators in the same
order, so that every batch and every negative is the same, and gives row numbers instead of copies.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from recsweep.training.fast import native
from recsweep.training.fast.draws import Draws, HashedDraws, RecboleDraws, Samples
from recsweep.training.fast.table import Table, gives_users

PAIRWISE = "PAIRWISE"


@dataclass(frozen=True)
class Batch:
    """Samples by row number, with a negative for each where the loss wants one."""

    rows: torch.Tensor
    """[batch] int64, on the CPU."""
    negatives: torch.Tensor | None
    """[batch] int64, on the CPU; where a sample has several, the first of all samples, then the second, …"""
    places: torch.Tensor | None = None
    """The rows where the table is, where that is not the CPU; see `placed`."""
    placed_negatives: torch.Tensor | None = None
    extra: Any = None
    """Columns that a family has added to its batches."""

    @property
    def there(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Rows and negatives where the table is."""
        return (self.rows, self.negatives) if self.places is None else (self.places, self.placed_negatives)


class Stream:
    """Batches of a RecBole training loader, epoch after epoch.

    Args:
        loader: RecBole's `TrainDataLoader` of this trial, or the `UserDataLoader` of models whose samples are
            users; its generator is used up as RecBole would.
        hashed: negatives come from the faster stream, and are not those of RecBole.
    """

    def __init__(self, loader: Any, hashed: bool = False) -> None:
        self.loader = loader
        self._generator: torch.Generator = loader.generator
        self._shuffle = bool(loader.shuffle)
        self._size, self._step = int(loader.sample_size), int(loader.step)
        self._negatives = _draws(loader, hashed)

    def epoch(self) -> Iterator[Batch]:
        """One pass over the samples."""
        # As torch's DataLoader and RandomSampler draw: a seed for workers that are never started, the
        # permutation, and one more permutation when the first is used up.
        torch.empty((), dtype=torch.int64).random_(generator=self._generator)
        order = self._permutation() if self._shuffle else torch.arange(self._size)
        if self._negatives is not None:
            self._negatives.begin()
        for begin in range(0, self._size, self._step):
            rows = order[begin : begin + self._step].long()
            yield Batch(rows, None if self._negatives is None else self._negatives.draw(rows))
        del order
        if self._shuffle:
            self._permutation()

    def __len__(self) -> int:
        return -(-self._size // self._step)

    def _permutation(self) -> torch.Tensor:
        """[rows] int32, half the memory, where they are enough; the numbers are the same."""
        kind = torch.int32 if self._size < 2**31 else torch.int64
        return torch.randperm(self._size, generator=self._generator, dtype=kind)


def needed(negatives: torch.Tensor | None) -> torch.Tensor:
    """The negatives of a batch.

    Raises:
        ValueError: it has none.
    """
    if negatives is None:
        raise ValueError("pairs need negatives; set train_neg_sample_args")
    return negatives


def is_local(table: Table) -> bool:
    """True where the CPU works on the table itself."""
    return table.device.type == "cpu"


def placed(batches: Iterator[Batch], table: Table) -> Iterator[Batch]:
    """The same batches, for a table on a GPU: all rows and negatives of an epoch go there in one copy.

    Samples of a batch are sorted by length there, longest first, so that nothing has to be asked of the GPU
    to plan a batch; their order within a batch is no part of a loss.
    """
    if is_local(table):
        yield from batches
        return
    planned = [_by_length(batch, table) for batch in batches]
    rows = torch.cat([batch.rows for batch in planned]).to(table.device)
    negatives = None
    if planned and planned[0].negatives is not None:
        drawn = [batch.negatives for batch in planned if batch.negatives is not None]
        negatives = torch.cat(drawn).to(table.device)
    begin = first = 0
    for batch in planned:
        end, last = begin + len(batch.rows), first + (0 if batch.negatives is None else len(batch.negatives))
        own = None if negatives is None else negatives[first:last]
        yield Batch(batch.rows, batch.negatives, rows[begin:end], own)
        begin, first = end, last


def sent(table: Table, *columns: torch.Tensor) -> list[torch.Tensor]:
    """Columns of whole numbers, of any shapes, where the table is: in one copy."""
    if is_local(table):
        return list(columns)
    there = torch.cat([column.flatten() for column in columns]).to(table.device)
    parts = torch.split(there, [column.numel() for column in columns])
    return [part.view(column.shape) for part, column in zip(parts, columns, strict=True)]


def _by_length(batch: Batch, table: Table) -> Batch:
    if table.lengths is None:
        return batch
    order = torch.argsort(table.lengths[batch.rows], descending=True, stable=True)
    return Batch(batch.rows[order], None if batch.negatives is None else batch.negatives[order])


def unsupported_negatives(loader: Any, pointwise: bool = False, several: bool = False) -> str | None:
    """Why negatives of this loader cannot be drawn here, or None.

    Args:
        loader: RecBole's training loader.
        pointwise: the family takes negatives that are samples of their own, any number of them.
        several: it takes several negatives a sample.
    """
    if not draws_negatives(loader):
        return None
    wanted = loader.neg_sample_args
    if wanted.get("dynamic"):
        return "dynamic negative sampling"
    if wanted["distribution"] != "uniform":
        return f"negatives by {wanted['distribution']}"
    if wanted["sample_num"] != 1 and not (pointwise or several):
        return f"{wanted['sample_num']} negatives a sample"
    if loader.dl_format.name != PAIRWISE and not pointwise:
        return "pointwise negatives"
    return None


def _draws(loader: Any, hashed: bool) -> Draws | None:
    """The draws for a loader's samples; None where these have no negatives."""
    if not draws_negatives(loader):
        return None
    kind = HashedDraws if hashed else RecboleDraws
    return kind(Samples.of(loader), int(loader.neg_sample_args["sample_num"]), native.kernels())


def draws_negatives(loader: Any) -> bool:
    """The samples of a training loader have negatives."""
    if gives_users(loader):
        return False
    wanted = loader.neg_sample_args
    return "none" not in (wanted["distribution"], wanted.get("sample_num"))
