"""Rows that are alike, put into groups: k-means, the same for the same rows."""

from __future__ import annotations

from dataclasses import dataclass

import torch

_MOST = 32
"""Groups: each pair of them costs about a product of two weights."""
_MEMBERS = 24
"""Rows of a group on average, at least."""
_ROUNDS = 4
"""Of Lloyd's algorithm (IEEE Trans. Inf. Theory 1982); groups are nearly as good as they get."""


@dataclass(frozen=True)
class Groups:
    """The group of each row, and the mean row of each group."""

    numbers: torch.Tensor
    """[rows] int64."""
    middles: torch.Tensor
    """[groups, d]; a group may have no rows."""

    @classmethod
    def of(cls, rows: torch.Tensor) -> Groups:
        """Groups of rows [rows, d], without gradients."""
        rows = rows.detach()
        count = max(1, min(_MOST, len(rows) // _MEMBERS))
        middles = rows[torch.arange(count, device=rows.device) * len(rows) // count].clone()
        for _ in range(_ROUNDS):
            middles = _means(rows, _nearest(rows, middles), middles)
        return cls(_nearest(rows, middles), middles)


def _nearest(rows: torch.Tensor, middles: torch.Tensor) -> torch.Tensor:
    """[rows] int64: the middle that is nearest."""
    return (0.5 * middles.square().sum(1) - rows @ middles.t()).argmin(1)


def _means(rows: torch.Tensor, numbers: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
    """[groups, d]: the mean of each group's rows; what it was before where there are none."""
    counts = torch.bincount(numbers, minlength=len(before)).to(rows.dtype)[:, None]
    sums = torch.zeros_like(before).index_add_(0, numbers, rows)
    return torch.where(counts > 0, sums / counts.clamp(min=1), before)
