"""The scores of all items for some rows, in the form in which a family has them.

Item 0 is padding: it has a score, which nobody looks at.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from recsweep.training.fast.table import Pairs

SCORES_AT_ONCE = 1 << 23
"""Scores that are in memory at once: 32 MiB in float32."""
TIE, NAN = 1, 2
"""Why a rank is open; the kernel's numbers."""
_SAFE = 1e38
"""A bound on scores below which no sum of float32 overflows."""
_SORTED_AT_ONCE = 256
"""Rows that are sorted whole at once, where items share the last place of a list."""


def rows_at_once(n_items: int) -> int:
    """Rows whose scores of all items are in memory at once."""
    return max(1, SCORES_AT_ONCE // n_items)


class Scores(ABC):
    """Scores [rows, n_items], and the ranks that follow from them."""

    @property
    @abstractmethod
    def n_items(self) -> int:
        """All items, padding included."""

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

    @abstractmethod
    def top(self, count: int, hidden: Pairs) -> tuple[torch.Tensor, torch.Tensor]:
        """The best items of each row, the best first; of equal ones that with the lower number.

        Args:
            count: the length of a list.
            hidden: for each row the items that are left out, in ascending order.

        Returns:
            [rows, count] int64, 0 where there are fewer items; and their scores. No item whose score is NaN
            or minus infinity is in a list.
        """

    @abstractmethod
    def compiled_top(
        self, count: int, hidden: Pairs, kernels: Any
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None:
        """`top` by the compiled kernels, on a CPU.

        Returns:
            Its items and scores, and [rows] uint8, 1 where any score of the row is not a number; None where
            the kernels do not take such scores.
        """

    @abstractmethod
    def at(self, rows: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """[pairs]: the score of each of these items [pairs] in its row [pairs]."""


@dataclass(frozen=True)
class Matrix(Scores):
    """All scores, computed."""

    values: torch.Tensor
    """[rows, n_items]."""

    @property
    def n_items(self) -> int:
        return self.values.shape[1]

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

    def compiled_top(
        self, count: int, hidden: Pairs, kernels: Any
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None:
        if not _taken(self.values):
            return None
        found: tuple[torch.Tensor, torch.Tensor, torch.Tensor] = kernels.top_scores(
            self.values.contiguous(), hidden.ends, hidden.items, count
        )
        return found

    def at(self, rows: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        return self.values[rows, items]

    def top(self, count: int, hidden: Pairs) -> tuple[torch.Tensor, torch.Tensor]:
        values = self.values.masked_fill(self.values.isnan(), -torch.inf)
        values[:, 0] = -torch.inf  # padding
        values[hidden.at(torch.arange(len(values), device=values.device))] = -torch.inf
        items, scores = _best(values, min(count, values.shape[1]))
        items[scores == -torch.inf] = 0
        missing = count - items.shape[1]
        pad = torch.nn.functional.pad
        return pad(items, (0, missing)), pad(scores, (0, missing), value=-torch.inf)


def _taken(values: torch.Tensor) -> bool:
    """The kernels take them."""
    return values.device.type == "cpu" and values.dtype == torch.float32


def _best(values: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    scores, items = torch.topk(values, count, dim=1)
    least = scores[:, -1:]
    left = (values == least).sum(1) > (scores == least).sum(1)  # others share the last place
    tied = torch.nonzero(left & (least[:, 0] > -torch.inf)).squeeze(1)
    for some in torch.split(tied, _SORTED_AT_ONCE):
        ordered = torch.sort(values[some], dim=1, descending=True, stable=True)
        items[some], scores[some] = ordered.indices[:, :count], ordered.values[:, :count]
    by_number = items.argsort(dim=1)
    items, scores = items.gather(1, by_number), scores.gather(1, by_number)
    scores, order = torch.sort(scores, dim=1, descending=True, stable=True)
    return items.gather(1, order), scores


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

    @property
    def n_items(self) -> int:
        return len(self.items)

    def of(self, rows: torch.Tensor) -> torch.Tensor:
        return self._of(rows)

    def parts(self) -> Iterator[tuple[slice, torch.Tensor]]:
        step = rows_at_once(len(self.items))
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

    def compiled_top(
        self, count: int, hidden: Pairs, kernels: Any
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None:
        if not (_taken(self.queries) and _taken(self.items) and self._has_no_nan()):
            return None
        items, scores = self._listed(count, hidden, kernels)
        return items, scores, torch.zeros(len(items), dtype=torch.uint8)

    def at(self, rows: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        scores = torch.empty(len(rows), dtype=self.queries.dtype, device=self.queries.device)
        step = max(1, SCORES_AT_ONCE // self.queries.shape[1])
        for begin in range(0, len(rows), step):
            part = slice(begin, begin + step)
            scores[part] = (self.queries[rows[part]] * self.items[items[part]]).sum(1)
        return scores if self.bias is None else scores + self.bias[items]

    def _has_no_nan(self) -> bool:
        """No score is NaN: every number is one, and too small for a sum to leave the range of float32."""
        largest = [torch.stack(torch.aminmax(x)).abs().max() for x in (self.queries, self.items)]
        bound = largest[0] * largest[1] * self.queries.shape[1]
        if self.bias is not None:
            bound = bound + self.bias.abs().max()
        return bool(bound < _SAFE)

    def _listed(self, count: int, hidden: Pairs, kernels: Any) -> tuple[torch.Tensor, torch.Tensor]:
        found: tuple[torch.Tensor, torch.Tensor] = kernels.top_items(
            self.queries.contiguous(), self.items.contiguous(), self.bias, hidden.ends, hidden.items, count
        )
        return found

    def top(self, count: int, hidden: Pairs) -> tuple[torch.Tensor, torch.Tensor]:
        if self.kernels is not None:
            return self._listed(count, hidden, self.kernels)
        parts = [Matrix(values).top(count, hidden.of_rows(part)) for part, values in self.parts()]
        return torch.cat([items for items, _ in parts]), torch.cat([scores for _, scores in parts])

    def _of(self, rows: torch.Tensor | slice) -> torch.Tensor:
        scores = self.queries[rows] @ self.items.t()
        return scores if self.bias is None else scores + self.bias
