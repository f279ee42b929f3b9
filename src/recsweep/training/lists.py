"""Lists of recommendations: the best items of each user, in batches, never the scores of all at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from recsweep.training.fast.base import Family
from recsweep.training.fast.table import Pairs, Table

USERS_AT_ONCE = 8192
"""Users whose lists are in memory at once."""


@dataclass(frozen=True)
class Lists:
    """The lists of some users, on the CPU."""

    users: torch.Tensor
    """[users] int64, by RecBole's numbers."""
    items: torch.Tensor
    """[users, count] int64, the best first; 0 behind the end of a list that is shorter."""
    scores: torch.Tensor
    """[users, count] float32."""


def top_lists(
    family: Family,
    table: Callable[[torch.Tensor], Table],
    users: torch.Tensor,
    hidden: Pairs | None,
    count: int,
) -> Iterator[Lists]:
    """The best items of users, in their order.

    Args:
        family: scores.
        table: some users as the family scores them, a row each.
        users: [users] int64, by RecBole's numbers.
        hidden: for each of all users the items that are in no list, in ascending order.
        count: the length of a list.
    """
    for some in torch.split(users, USERS_AT_ONCE):
        asked = table(some)
        items = torch.empty(len(some), count, dtype=torch.int64)
        scores = torch.empty(len(some), count)
        for rows, scored in family.scores(asked):
            left_out = pairs_of(hidden, some[rows], asked.device)
            best, values = scored.top(count, left_out)
            items[rows], scores[rows] = best.cpu(), values.float().cpu()
        yield Lists(some, items, scores)


def pairs_of(hidden: Pairs | None, users: torch.Tensor, device: torch.device) -> Pairs:
    """The items that are hidden from some users, a row each; none where nothing is hidden."""
    if hidden is None:
        return Pairs.none(len(users), device)
    found = hidden.of_rows(users)
    return Pairs(found.counts.to(device), found.items.to(device))
