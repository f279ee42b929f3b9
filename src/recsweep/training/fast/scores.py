"""The scores of all items for some rows, in the form in which a family has them.

Item 0 is padding: it has a score, which nobody looks at.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

SCORES_AT_ONCE = 1 << 23
"""Scores that are in memory at once: 32 MiB in float32."""
TIE, NAN = 1, 2
"""Why a rank is open; the kernel's numbers."""


class Scores(ABC):
    """Scores [rows, n_items], and the ranks that follow from them."""

    @abstractmethod
    def of(self, rows: torch.Tensor) -> torch.Tensor:
        """[some rows, n_items], a copy."""

    @abstractmethod
    def parts(self) -> Iterator[tuple[slice, torch.Tensor]]:
        """All rows, as many at once as memory bears: which, and their scores, to be written into."""

    @abstractmethod
    def ranks(self, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """How many items score higher than each row's target.

        Args:
            targets: [rows] int64, an item for each row.

        Returns:
            [rows] int64; and [rows] uint8: 0, `TIE` where another item has the same score, `NAN` where any
            score of the row is not a number.
        """


@dataclass(frozen=True)
class Matrix(Scores):
    """All scores, computed."""

    values: torch.Tensor
    """[rows, n_items]."""

    def of(self, rows: torch.Tensor) -> torch.Tensor:
        return self.values[rows]

    def parts(self) -> Iterator[tuple[slice, torch.Tensor]]:
        yield slice(0, len(self.values)), self.values

    def ranks(self, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        values = self.values
        values[:, 0] = -torch.inf  # padding
        wanted = values.gather(1, targets[:, None])
        tied = (values == wanted).sum(1) != 1
        doubts = torch.where(values.isnan().any(1), NAN, tied.to(torch.uint8) * TIE).to(torch.uint8)
        return (values > wanted).sum(1), doubts


@dataclass(frozen=True)
class Product(Scores):
    """Scores that are a product of two small matrices; never computed for all rows at once."""

    queries: torch.Tensor
    """[rows, d]."""
    items: torch.Tensor
    """[n_items, d]."""
    bias: torch.Tensor | None = None
    """[n_items]."""
    kernels: Any | None = None
    """The compiled operators, which rank without a matrix of scores."""

    def of(self, rows: torch.Tensor) -> torch.Tensor:
        return self._of(rows)

    def parts(self) -> Iterator[tuple[slice, torch.Tensor]]:
        step = max(1, SCORES_AT_ONCE // len(self.items))
        for begin in range(0, len(self.queries), step):
            part = slice(begin, begin + step)
            yield part, self._of(part)

    def ranks(self, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if self.kernels is not None:
            found: tuple[torch.Tensor, torch.Tensor] = self.kernels.rank_targets(
                self.queries, self.items, self.bias, targets
            )
            return found
        parts = [Matrix(values).ranks(targets[part]) for part, values in self.parts()]
        return torch.cat([ranks for ranks, _ in parts]), torch.cat([doubts for _, doubts in parts])

    def _of(self, rows: torch.Tensor | slice) -> torch.Tensor:
        scores = self.queries[rows] @ self.items.t()
        return scores if self.bias is None else scores + self.bias
