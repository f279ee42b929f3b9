"""The items that each user has in the training data, as autoencoders read them: sparse rows of ones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch


@dataclass(frozen=True)
class Bags:
    """The items of some users; what RecBole's `get_rating_matrix` has as a dense matrix."""

    starts: torch.Tensor
    """[users + 1] int64: the items of user i are the pairs from starts[i] to starts[i + 1]."""
    items: torch.Tensor
    """[pairs] int64, each item of a user once."""
    n_items: int

    @cached_property
    def counts(self) -> torch.Tensor:
        """[users] int64."""
        return self.starts.diff()

    @cached_property
    def owners(self) -> torch.Tensor:
        """[pairs] int64: which of the users each pair belongs to, counted from 0."""
        users = torch.arange(len(self.counts), device=self.starts.device)
        return torch.repeat_interleave(users, self.counts, output_size=len(self.items))

    def ones(self) -> torch.Tensor:
        """[pairs] float32: RecBole's ratings."""
        return torch.ones(len(self.items), device=self.items.device)

    def normalized(self) -> torch.Tensor:
        """[pairs] float32: the ratings, those of a user with length 1, as `functional.normalize` has it."""
        return self.counts.to(torch.float32).rsqrt()[self.owners]

    def dense(self, values: torch.Tensor) -> torch.Tensor:
        """[users, n_items], one value for each pair and 0 elsewhere."""
        matrix = values.new_zeros(len(self.counts), self.n_items)
        matrix[self.owners, self.items] = values
        return matrix


class Histories:
    """The items of all users of a model, once each, in ascending order.

    Args:
        rows: [users, longest] int64: RecBole's, padded.
        present: [users, longest] bool: what of them is no padding.
        n_items: all items, padding included.
    """

    def __init__(self, rows: torch.Tensor, present: torch.Tensor, n_items: int) -> None:
        self._device, self._n_items = rows.device, n_items
        users, items = entries(rows, present)
        pairs = torch.unique(users * self._n_items + items)
        self.counts = torch.bincount(pairs // self._n_items, minlength=len(rows))
        """[users] int64, on the CPU: nothing has to be asked of a GPU to plan a batch."""
        self._starts = _starts(self.counts).to(self._device)
        self._items = (pairs % self._n_items).to(self._device)

    def bags(self, users: torch.Tensor, pairs: int) -> Bags:
        """The items of some users.

        Args:
            users: [users] int64, where the model is.
            pairs: how many items they have in all.
        """
        begins = self._starts[users]
        starts = _starts(self._starts[users + 1] - begins)
        found = Bags(starts, torch.arange(pairs, device=self._device), self._n_items)
        return Bags(starts, self._items[found.items + (begins - starts[:-1])[found.owners]], self._n_items)

    def all_of(self, users: torch.Tensor) -> Bags:
        """The items of some users, whose number is looked up: a GPU is waited for."""
        return self.bags(users, int(self.counts[users.cpu()].sum()))


def entries(items: torch.Tensor, present: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Users and items [entries] int64 on the CPU, of RecBole's padded rows [users, longest]."""
    present, items = present.cpu(), items.cpu()
    users = torch.arange(len(items))[:, None].expand_as(items)
    return users[present], items[present]


def _starts(counts: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.pad(counts.cumsum(0), (1, 0))
