"""Validation by rank: how many items score higher than the target, instead of a sort of all.

The ranks become RecBole's own matrix of hits, from which RecBole's own metrics are computed.
"""

from __future__ import annotations

from typing import Any

import torch

from recsweep.fast.base import Family
from recsweep.fast.sequences import Sequences
from recsweep.fast.stream import Table

_SCORES_AT_ONCE = 1 << 23
_ROWS_AT_ONCE = 2048


def hits(family: Family, table: Table, cutoff: int) -> torch.Tensor | None:
    """RecBole's `rec.topk`: [samples, cutoff + 1], 1 at the rank of the target, then the number of targets.

    Returns:
        None where a tie or a NaN leaves a rank open; the order is then RecBole's to decide.
    """
    if isinstance(family, Sequences):
        return _hits_by_score(family, table, cutoff)
    parts = []
    items, bias = family.candidates()
    items = items.detach()
    for begin in range(0, len(table), _ROWS_AT_ONCE):
        rows = table.rows(begin, begin + _ROWS_AT_ONCE)
        queries = family.queries(table, rows)
        targets = table.items[rows.to(table.device)]
        if family.kernels is not None:
            ranks, exact = family.kernels.rank_targets(queries, items, bias, targets)
        else:
            ranks, exact = _ranks(queries, items, bias, targets)
        if not exact:
            return None
        parts.append(ranks.cpu())
    return _matrix(torch.cat(parts), cutoff)


def _hits_by_score(family: Sequences, table: Table, cutoff: int) -> torch.Tensor | None:
    ranks = torch.empty(len(table), dtype=torch.int64, device=table.device)
    inexact = torch.zeros((), dtype=torch.bool, device=table.device)
    for rows, scores in family.scored(table):
        on_device = rows.to(table.device)
        ranks[on_device], doubtful = _rank(scores, table.items[on_device])
        inexact |= doubtful
    return None if bool(inexact) else _matrix(ranks.cpu(), cutoff)


def _rank(scores: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Of [rows, n_items]: the rank of each target, and whether a tie or a NaN leaves one open."""
    scores[:, 0] = -torch.inf  # padding
    wanted = scores.gather(1, targets[:, None])
    doubtful = ((scores == wanted).sum(1) != 1).any() | scores.isnan().any()
    return (scores > wanted).sum(1), doubtful


def _ranks(
    queries: torch.Tensor, items: torch.Tensor, bias: torch.Tensor | None, targets: torch.Tensor
) -> tuple[torch.Tensor, bool]:
    ranks = torch.empty_like(targets)
    inexact = torch.zeros((), dtype=torch.bool, device=targets.device)
    step = max(1, _SCORES_AT_ONCE // len(items))
    for begin in range(0, len(queries), step):
        part = slice(begin, begin + step)
        scores = queries[part] @ items.t()
        if bias is not None:
            scores = scores + bias
        ranks[part], doubtful = _rank(scores, targets[part])
        inexact |= doubtful
    return ranks, not bool(inexact)


def _matrix(ranks: torch.Tensor, cutoff: int) -> torch.Tensor:
    matrix = torch.zeros(len(ranks), cutoff + 1, dtype=torch.int32)
    matrix[:, cutoff] = 1
    found = torch.nonzero(ranks < cutoff).squeeze(1)
    matrix[found, ranks[found]] = 1
    return matrix


def rankable(trainer: Any, loader: Any) -> bool:
    """Whether a loader's metrics need nothing but the rank of one target a sample."""
    register = trainer.eval_collector.register
    others = ("rec.items", "rec.meanrank", "rec.score", "data.label")
    whole = type(loader).__name__ == "FullSortEvalDataLoader" and loader.is_sequential
    return whole and register.need("rec.topk") and not any(register.need(name) for name in others)
