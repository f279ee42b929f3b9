"""Validation by rank, instead of RecBole's sort of all items batch by batch.

The ranks become RecBole's own matrix of hits, from which RecBole's own metrics are computed. Where rows have
one right answer each, a rank is how many items score higher; users, who have several, get their top items.
"""

from __future__ import annotations

import torch

from recsweep.training.fast.base import Family
from recsweep.training.fast.scores import NAN, TIE
from recsweep.training.fast.table import Labels, Pairs, Table

_TIED_AT_ONCE = 256
"""Rows with ties whose scores are computed at once, all items of each."""


def hits(family: Family, table: Table, cutoff: int) -> torch.Tensor | None:
    """RecBole's `rec.topk`: [rows, cutoff + 1], 1 at the rank of a right item, then the number of these.

    Where items share a score, torch's top-k decides, as in RecBole.

    Args:
        family: gives the scores.
        table: the validation's rows, with their labels.
        cutoff: the largest k of the metrics.

    Returns:
        int32, on the CPU; None where a target's rank is open because of a NaN: the order is then RecBole's to
        decide.
    """
    if table.labels is not None:
        return _of_users(family, table, table.labels, cutoff)
    ranks = torch.empty(len(table), dtype=torch.int64, device=table.device)
    missing = torch.zeros((), dtype=torch.bool, device=table.device)
    for rows, scores in family.scores(table):
        places = rows.to(table.device)
        targets = table.items[places]
        found, doubts = scores.ranks(targets)
        missing |= (doubts == NAN).any()
        tied = torch.nonzero((doubts == TIE) & (found < cutoff)).squeeze(1)
        for some in torch.split(tied, _TIED_AT_ONCE):
            found[some] = _decided(scores.of(some), targets[some], cutoff)
        ranks[places] = found
    return None if bool(missing) else _matrix(ranks.cpu(), cutoff)


def _decided(scores: torch.Tensor, targets: torch.Tensor, cutoff: int) -> torch.Tensor:
    """Ranks as RecBole's top-k has them; the cut-off itself for a target that is not among them."""
    top = _top(scores, cutoff) == targets[:, None]
    return torch.where(top.any(1), top.to(torch.uint8).argmax(1), cutoff)


def _top(scores: torch.Tensor, cutoff: int) -> torch.Tensor:
    scores[:, 0] = -torch.inf  # padding
    return torch.topk(scores, cutoff, dim=1).indices


def _matrix(ranks: torch.Tensor, cutoff: int) -> torch.Tensor:
    matrix = torch.zeros(len(ranks), cutoff + 1, dtype=torch.int32)
    matrix[:, cutoff] = 1
    found = torch.nonzero(ranks < cutoff).squeeze(1)
    matrix[found, ranks[found]] = 1
    return matrix


def _of_users(family: Family, table: Table, labels: Labels, cutoff: int) -> torch.Tensor:
    matrix = torch.empty(len(table), cutoff + 1, dtype=torch.int32, device=table.device)
    for rows, scores in family.scores(table):
        places = rows.to(table.device)
        for part, values in scores.parts():
            values[labels.hidden.at(places[part])] = -torch.inf
            matrix[places[part]] = _among(_top(values, cutoff), labels.right, places[part], values.shape[1])
    return matrix.cpu()


def _among(top: torch.Tensor, right: Pairs, places: torch.Tensor, n_items: int) -> torch.Tensor:
    """[rows, cutoff + 1]: which of the top items are right ones, then how many right ones there are."""
    owners, items = right.at(places)
    pairs = (owners * n_items + items).sort().values
    asked = torch.arange(len(top), device=top.device)[:, None] * n_items + top
    nearest = torch.searchsorted(pairs, asked).clamp(max=len(pairs) - 1)
    return torch.cat([(pairs[nearest] == asked).int(), right.counts[places, None].int()], dim=1)
