"""Ranks of several right items a row, among all that are not hidden: RecBole's hits at RecBole's places.

Compiled, a row's best items are kept while its scores pass by, in blocks that stay in the processor's cache.
What torch's top-k has to decide, because items share a score or a score is not a number, it decides, row by
row. On a GPU the same top-k is taken of as many rows as its memory bears, and nothing is waited for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from recsweep.training.fast.scores import Scores
from recsweep.training.fast.table import Labels, Pairs, Table, span_of

_DECIDED_AT_ONCE = 256
"""Open rows whose scores are computed at once, all items of each."""
Part = tuple[torch.Tensor, Scores]


@dataclass(frozen=True)
class Found:
    """All that RecBole's metrics of rankings are computed from."""

    hits: torch.Tensor
    """`rec.topk` [rows, cutoff + 1] int32: 1 at the rank of a right item, then the number of these."""
    items: torch.Tensor | None = None
    """`rec.items` [rows, cutoff] int64: the list of each row; None where it was not asked for."""


def of_users(
    parts: Iterator[Part], table: Table, labels: Labels, cutoff: int, kernels: Any | None, *, lists: bool
) -> Found:
    """The hits of all rows.

    Args:
        parts: row numbers and their scores, as `Family.scores` gives them.
        table: the rows.
        labels: their right and hidden items.
        cutoff: the largest k of the metrics.
        kernels: the compiled operators, or None for torch's.
        lists: the metrics need the lists too.
    """
    hits = torch.empty(len(table), cutoff + 1, dtype=torch.int32, device=table.device)
    items = torch.empty(len(table), cutoff, dtype=torch.int64, device=table.device)
    for rows, scores in parts:
        done = None
        if kernels is not None:
            done = _compiled(rows, scores, labels, cutoff, kernels, lists)
        for own, found, top in (
            [(rows, *done)] if done is not None else _by_torch(rows, scores, labels, cutoff)
        ):
            span = span_of(own)
            where = own.to(table.device) if span is None else slice(*span)
            hits[where] = found
            if lists:
                items[where] = top
    return Found(hits.cpu(), items.cpu() if lists else None)


def _by_torch(
    rows: torch.Tensor, scores: Scores, labels: Labels, cutoff: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Rows, hits and lists, a block after the other."""
    for part, values in scores.parts():
        yield rows[part], *_decided(rows[part], values, labels, cutoff)


def _decided(
    rows: torch.Tensor, values: torch.Tensor, labels: Labels, cutoff: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Hits and lists as RecBole's top-k has them; `values` [rows, n_items] are written into."""
    values[:, 0] = -torch.inf  # padding
    values[labels.hidden.at(rows)] = -torch.inf
    top = torch.topk(values, cutoff, dim=1).indices
    return _among(top, labels.right, rows, values.shape[1]), top


def _among(top: torch.Tensor, right: Pairs, rows: torch.Tensor, n_items: int) -> torch.Tensor:
    """[rows, cutoff + 1]: which of the top items are right ones, then how many right ones there are."""
    owners, items = right.at(rows)
    span = span_of(rows)
    counts = right.counts[slice(*span) if span is not None else rows.to(right.counts.device)]
    if len(items) == 0:
        return torch.zeros(len(top), top.shape[1] + 1, dtype=torch.int32, device=top.device)
    pairs = owners * n_items + items  # in ascending order, as rows and their items are
    asked = torch.arange(len(top), device=top.device)[:, None] * n_items + top
    nearest = torch.searchsorted(pairs, asked).clamp(max=len(pairs) - 1)
    return torch.cat([(pairs[nearest] == asked).int(), counts[:, None].int()], dim=1)


def _compiled(
    rows: torch.Tensor, scores: Scores, labels: Labels, cutoff: int, kernels: Any, lists: bool
) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Hits and lists; None where the kernels do not take the scores, or have not so many items."""
    if cutoff > scores.n_items:
        return None
    found = scores.compiled_top(cutoff + 1, labels.hidden.of_rows(rows), kernels)
    if found is None:
        return None
    right, (top, values, missing) = labels.right.of_rows(rows), found
    hits, doubts = kernels.hits_of_lists(top, values, right.ends, right.items)
    top = top[:, :cutoff]
    if lists:  # RecBole fills a short one with what is left
        doubts |= values[:, cutoff - 1] == -torch.inf
    for some in torch.split(torch.nonzero(doubts | missing).squeeze(1), _DECIDED_AT_ONCE):
        hits[some], top[some] = _decided(rows[some], scores.of(some), labels, cutoff)
    return hits, top
