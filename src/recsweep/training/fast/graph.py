"""A graph of users and items as a sparse matrix whose rows are sorted, and products with it.

RecBole keeps it as entries in no order and multiplies by adding each entry to its row; gradients sort them
again in every batch. The matrices here are symmetric, so that one sorted order serves both ways.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch


@dataclass(frozen=True)
class Graph:
    """A symmetric matrix [nodes, nodes], its rows one after the other; users come first, then items."""

    begin: torch.Tensor
    """[nodes + 1] int64: where the entries of each row begin."""
    neighbours: torch.Tensor
    """[entries] int32: the column of each entry, in ascending order within a row."""
    weights: torch.Tensor
    """[entries] float32."""

    @classmethod
    def of(cls, matrix: torch.Tensor) -> Graph:
        """From a sparse tensor of torch's, of which no entry stands twice."""
        rows, columns = matrix._indices()  # not `indices()`, which wants it sorted
        return cls.of_entries(rows, columns, matrix._values(), matrix.shape[0])

    @classmethod
    def of_entries(
        cls, rows: torch.Tensor, columns: torch.Tensor, weights: torch.Tensor, nodes: int
    ) -> Graph:
        """From entries in any order; what stands twice counts twice.

        Args:
            rows: [entries] int64.
            columns: [entries] int64.
            weights: [entries] float32.
            nodes: the number of rows.
        """
        order = (rows * nodes + columns).argsort()
        begin = beginnings(rows, nodes)
        return cls(begin, columns[order].to(torch.int32), weights[order].float().contiguous())

    @property
    def tensors(self) -> list[torch.Tensor]:
        """As the kernels take them."""
        return [self.begin, self.neighbours, self.weights]

    def __matmul__(self, nodes: torch.Tensor) -> torch.Tensor:
        """The product with [nodes, d]; its gradient is the product with the same matrix."""
        result: torch.Tensor = _Symmetric.apply(self._sparse, nodes)  # type: ignore[no-untyped-call]
        return result

    @cached_property
    def _sparse(self) -> torch.Tensor:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
            return torch.sparse_csr_tensor(
                self.begin.to(torch.int32),
                self.neighbours,
                self.weights,
                (len(self.begin) - 1, len(self.begin) - 1),
                check_invariants=False,
            )


def beginnings(rows: torch.Tensor, nodes: int) -> torch.Tensor:
    """[nodes + 1] int64: where each row begins, of entries [entries] int64 that are sorted by row."""
    return torch.cat([rows.new_zeros(1), torch.bincount(rows, minlength=nodes).cumsum(0)])


class _Symmetric(torch.autograd.Function):
    """A product with a symmetric matrix, in float32 also where autocast would take less."""

    @staticmethod
    def forward(ctx: Any, matrix: torch.Tensor, nodes: torch.Tensor) -> torch.Tensor:
        ctx.matrix = matrix
        return _product(matrix, nodes)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[None, torch.Tensor]:
        return None, _product(ctx.matrix, gradients[0])


def _product(matrix: torch.Tensor, nodes: torch.Tensor) -> torch.Tensor:
    with torch.autocast(nodes.device.type, enabled=False):
        return torch.mm(matrix, nodes.float())
