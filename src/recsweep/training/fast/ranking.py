"""Validation by rank: how many items score higher than the target, instead of a sort of all.

The ranks become RecBole's own matrix of hits, from which RecBole's own metrics are computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch

from recsweep.training.fast.base import Family
from recsweep.training.fast.sequences import Sequences
from recsweep.training.fast.stream import Table

_SCORES_AT_ONCE = 1 << 23
_ROWS_AT_ONCE = 2048
_TIED_AT_ONCE = 256
_TIE, _NAN = 1, 2
"""Why a rank is open; the kernel's numbers."""


def hits(family: Family, table: Table, cutoff: int) -> torch.Tensor | None:
    """RecBole's `rec.topk`: [samples, cutoff + 1], 1 at the rank of the target, then the number of targets.

    Where items share the target's score, torch's top-k decides, as in RecBole.

    Returns:
        None where a score is NaN; the order is then RecBole's to decide.
    """
    ranks = torch.empty(len(table), dtype=torch.int64, device=table.device)
    missing = torch.zeros((), dtype=torch.bool, device=table.device)
    parts = _by_score(family, table) if isinstance(family, Sequences) else _by_query(family, table)
    for places, found, doubts, scores_of in parts:
        missing |= (doubts == _NAN).any()
        tied = torch.nonzero((doubts == _TIE) & (found < cutoff)).squeeze(1)
        for some in torch.split(tied, _TIED_AT_ONCE):
            found[some] = _decided(scores_of(some), table.items[places[some]], cutoff)
        ranks[places] = found
    return None if bool(missing) else _matrix(ranks.cpu(), cutoff)


_Part = tuple[torch.Tensor, torch.Tensor, torch.Tensor, Callable[[torch.Tensor], torch.Tensor]]
"""Places in the table, ranks, doubts, and what gives the scores of some of them again."""


def _by_query(family: Family, table: Table) -> Iterator[_Part]:
    items, bias = family.candidates()
    items = items.detach()
    for begin in range(0, len(table), _ROWS_AT_ONCE):
        rows = table.rows(begin, begin + _ROWS_AT_ONCE)
        queries = family.queries(table, rows)
        places = rows.to(table.device)
        arguments = (queries, items, bias, table.items[places])
        ranks, doubts = (
            _ranks(*arguments) if family.kernels is None else family.kernels.rank_targets(*arguments)
        )
        yield places, ranks, doubts, partial(_scores, items, bias, queries)


def _by_score(family: Sequences, table: Table) -> Iterator[_Part]:
    for rows, scores in family.scored(table):
        places = rows.to(table.device)
        yield places, *_rank(scores, table.items[places]), scores.__getitem__


def _scores(
    items: torch.Tensor, bias: torch.Tensor | None, queries: torch.Tensor, rows: torch.Tensor | slice
) -> torch.Tensor:
    scores = queries[rows] @ items.t()
    return scores if bias is None else scores + bias


def _rank(scores: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Of [rows, n_items]: the rank of each target, and whether it is open."""
    scores[:, 0] = -torch.inf  # padding
    wanted = scores.gather(1, targets[:, None])
    tied = (scores == wanted).sum(1) != 1
    doubts = torch.where(scores.isnan().any(1), _NAN, tied.to(torch.uint8) * _TIE).to(torch.uint8)
    return (scores > wanted).sum(1), doubts


def _decided(scores: torch.Tensor, targets: torch.Tensor, cutoff: int) -> torch.Tensor:
    """Ranks as RecBole's top-k has them; the cut-off itself for a target that is not among them."""
    scores = scores.clone()
    scores[:, 0] = -torch.inf
    top = torch.topk(scores, cutoff, dim=1).indices == targets[:, None]
    return torch.where(top.any(1), top.to(torch.uint8).argmax(1), cutoff)


def _ranks(
    queries: torch.Tensor, items: torch.Tensor, bias: torch.Tensor | None, targets: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    step = max(1, _SCORES_AT_ONCE // len(items))
    parts = [slice(begin, begin + step) for begin in range(0, len(queries), step)]
    found = [_rank(_scores(items, bias, queries, part), targets[part]) for part in parts]
    return torch.cat([ranks for ranks, _ in found]), torch.cat([doubts for _, doubts in found])


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
