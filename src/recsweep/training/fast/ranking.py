"""Validation by rank, instead of RecBole's sort of all items batch by batch.

The ranks become RecBole's own matrix of hits, from which its metrics are computed. Where rows have one right
answer each, a rank is how many items score higher; `user_ranking` has the users, who have several.
"""

from __future__ import annotations

from typing import Any

import torch

from recsweep.training.fast.base import Family
from recsweep.training.fast.scores import NAN, TIE
from recsweep.training.fast.table import Labels, Pairs, Table
from recsweep.training.fast.user_ranking import Found, of_users

_TIED_AT_ONCE = 256
"""Rows with ties whose scores are computed at once, all items of each."""


def found(
    family: Family, table: Table, cutoff: int, kernels: Any | None, *, lists: bool = False
) -> Found | None:
    """All that RecBole's metrics of rankings are computed from.

    Where items share a score, torch's top-k decides, as in RecBole.

    Args:
        family: gives the scores.
        table: the validation's rows, with their labels.
        cutoff: the largest k of the metrics.
        kernels: the compiled operators, or None for torch's.
        lists: the metrics need the lists of items too.

    Returns:
        On the CPU; None where a target's rank is open because of a NaN: its order is RecBole's to decide.
    """
    labels = table.labels
    if labels is None and lists:
        labels = _one_each(table)
    if labels is not None:
        return of_users(family.scores(table), table, labels, cutoff, kernels, lists=lists)
    ranks = _of_targets(family, table, cutoff)
    return None if ranks is None else Found(_matrix(ranks, cutoff))


def _one_each(table: Table) -> Labels:
    """Each row's target as its one right item; none is hidden."""
    return Labels(Pairs(torch.ones_like(table.items), table.items), Pairs.none(len(table), table.device))


def _of_targets(family: Family, table: Table, cutoff: int) -> torch.Tensor | None:
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
    return None if bool(missing) else ranks.cpu()


def _decided(scores: torch.Tensor, targets: torch.Tensor, cutoff: int) -> torch.Tensor:
    """Ranks as RecBole's top-k has them; the cut-off itself for a target that is not among them."""
    scores[:, 0] = -torch.inf  # padding
    top = torch.topk(scores, cutoff, dim=1).indices == targets[:, None]
    return torch.where(top.any(1), top.to(torch.uint8).argmax(1), cutoff)


def _matrix(ranks: torch.Tensor, cutoff: int) -> torch.Tensor:
    matrix = torch.zeros(len(ranks), cutoff + 1, dtype=torch.int32)
    matrix[:, cutoff] = 1
    found = torch.nonzero(ranks < cutoff).squeeze(1)
    matrix[found, ranks[found]] = 1
    return matrix
