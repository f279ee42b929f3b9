"""The cases of a validation or a test, as several models score them: the same user in the same row."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from recsweep.training.fast.table import Labels, Pairs, Table
from recsweep.training.scoring import Scorer

VALID, TEST = "valid", "test"


@dataclass(frozen=True)
class Cases:
    """The cases of one part of a split, as one model scores them, in the order of users."""

    scorer: Scorer
    users: torch.Tensor
    """[cases] int64."""
    right: Pairs
    """The right items of each case, in ascending order."""
    _table: Table
    _order: torch.Tensor
    """[cases] int64: the row of the table."""

    @classmethod
    def of(cls, scorer: Scorer, part: str) -> Cases:
        """Of the validation or the test data."""
        loader = scorer.valid if part == VALID else scorer.loader
        table = (Table.of if scorer.is_sequential else Table.of_users)(loader, scorer.device)
        users = table.users.cpu()
        right = _right(table)
        # Several cases of one user stand in the order of their items, whichever model they are for.
        first = right.items[right.counts.cumsum(0) - right.counts] if len(users) else users
        order = torch.argsort(users * (int(loader._dataset.item_num) + 1) + first, stable=True)
        return cls(scorer, users[order], right.of_rows(order), table, order)

    def is_like(self, other: Cases) -> bool:
        """True where both are of the same users, with the same right items."""
        pairs = ((self.users, other.users), (self.right.counts, other.right.counts))
        same = all(torch.equal(mine, theirs) for mine, theirs in pairs)
        return same and torch.equal(self.right.items, other.right.items)

    def scores(self, cases: torch.Tensor) -> torch.Tensor:
        """The scores of all items for some cases, [cases, items] on the CPU.

        Minus infinity: padding, what is no number, and what a user had before, where the model leaves it out.
        """
        rows = self._order[cases]
        some = _taken(self._table, rows)
        found = all_scores(self.scorer, some)
        if self._table.labels is not None:
            found[self._table.labels.hidden.at(rows.to(some.device))] = -torch.inf
        return found


def all_scores(scorer: Scorer, table: Table) -> torch.Tensor:
    """The scores of all items for the rows of a table, [rows, items] on the CPU.

    Minus infinity: padding, and what is no number.
    """
    found = torch.empty(len(table), int(scorer.loader._dataset.item_num))
    for part, scored in scorer.family.scores(table):
        found[part] = scored.of(torch.arange(len(part), device=table.device)).float().cpu()
    found[:, 0] = -torch.inf
    return found.masked_fill_(found.isnan(), -torch.inf)


def _right(table: Table) -> Pairs:
    if table.labels is None:
        return Pairs(torch.ones(len(table), dtype=torch.int64), table.items.cpu())
    counts, items = table.labels.right.counts.cpu(), table.labels.right.items.cpu()
    owners = torch.repeat_interleave(torch.arange(len(counts)), counts)
    order = torch.argsort(owners * (int(items.max()) + 1 if len(items) else 1) + items)
    return Pairs(counts, items[order])


def _taken(table: Table, rows: torch.Tensor) -> Table:
    """Some rows of a table, as one of their own."""
    there = rows.to(table.device)
    columns = table.columns
    labels = table.labels
    return replace(
        table,
        users=table.users[there],
        items=table.items[there] if labels is None else table.items,
        sequences=None if table.sequences is None else table.sequences[there],
        lengths=None if table.lengths is None else table.lengths[rows],
        labels=None if labels is None else Labels(labels.right.of_rows(there), labels.hidden.of_rows(there)),
        columns=None if columns is None else lambda part: columns(rows[part]),
    )
