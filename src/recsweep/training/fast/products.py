"""Families whose scores are a product: of a vector for each row, and of one for each item."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator

import torch

from recsweep.training.fast.base import Family
from recsweep.training.fast.scores import Product, Scores
from recsweep.training.fast.table import Table

ROWS_AT_ONCE = 2048
"""Rows whose queries are computed at once."""


class ProductFamily(Family):
    """A family that says what is multiplied; the scores are computed where they are looked at."""

    @abstractmethod
    def queries(self, table: Table, rows: torch.Tensor) -> torch.Tensor:
        """[rows, d]: what is multiplied by the candidates to score every item."""

    @abstractmethod
    def candidates(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        """[n_items, d] and a bias [n_items] or None."""

    def scores(self, table: Table) -> Iterator[tuple[torch.Tensor, Scores]]:
        items, bias = self.candidates()
        for begin in range(0, len(table), ROWS_AT_ONCE):
            rows = table.rows(begin, begin + ROWS_AT_ONCE)
            yield rows, Product(self.queries(table, rows), items.detach(), bias, self.kernels)
