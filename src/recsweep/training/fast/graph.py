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
        cls,
        rows: torch.Tensor,
        columns: torch.Tensor,
        weights: torch.Tensor,
        nodes: int,
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

    @cached_property
    def twins(self) -> torch.Tensor:
        """[entries] int64: of each entry the one on the other side of the diagonal."""
        nodes = len(self.begin) - 1
        rows = torch.arange(nodes, device=self.begin.device).repeat_interleave(self.begin.diff())
        return (self.neighbours.long() * nodes + rows).argsort()

    def __matmul__(self, nodes: torch.Tensor) -> torch.Tensor:
        """The product with [nodes, d]; its gradient is the product with the same matrix."""
        result: torch.Tensor = _Symmetric.apply(self, nodes)  # type: ignore[no-untyped-call]
        return result

    def product(self, nodes: torch.Tensor) -> torch.Tensor:
        """The product with [nodes, d], without autograd."""
        return product(self._sparse, nodes)

    @cached_property
    def _sparse(self) -> torch.Tensor:
        nodes = len(self.begin) - 1
        return csr(self.begin, self.neighbours, self.weights, (nodes, nodes))


@dataclass(frozen=True)
class Interactions:
    """Interactions as entries of a matrix that is sorted once, for graphs of some of them."""

    rows: torch.Tensor
    """[2 x interactions] int64, ascending: users before items."""
    neighbours: torch.Tensor
    """[2 x interactions] int32."""
    origins: torch.Tensor
    """[2 x interactions] int64: which interaction an entry is of."""
    nodes: int

    @classmethod
    def of(cls, users: torch.Tensor, items: torch.Tensor, n_users: int, n_items: int) -> Interactions:
        """From the user and the item of each interaction, [interactions] int64."""
        rows, columns = torch.cat([users, items + n_users]), torch.cat([items + n_users, users])
        order = (rows * (n_users + n_items) + columns).argsort()
        origins = torch.arange(len(users), device=users.device).repeat(2)
        return cls(rows[order], columns[order].to(torch.int32), origins[order], n_users + n_items)

    def graph(self, kept: torch.Tensor) -> Graph:
        """The interactions [interactions] bool that are kept, divided by the roots of both nodes' degrees."""
        entries = kept[self.origins]
        rows, neighbours = self.rows[entries], self.neighbours[entries]
        begin = beginnings(rows, self.nodes)
        scales = (begin.diff().double() + 1e-7) ** -0.5  # as RecBole, which has nodes without neighbours too
        return Graph(begin, neighbours, (scales[rows] * scales[neighbours]).float())


def beginnings(rows: torch.Tensor, nodes: int) -> torch.Tensor:
    """[nodes + 1] int64: where each row begins, of entries [entries] int64 that are sorted by row."""
    return torch.cat([rows.new_zeros(1), torch.bincount(rows, minlength=nodes).cumsum(0)])


def csr(
    begin: torch.Tensor, columns: torch.Tensor, values: torch.Tensor, shape: tuple[int, int]
) -> torch.Tensor:
    """A sparse matrix, of entries that are sorted by row.

    Args:
        begin: [rows + 1], where each row begins.
        columns: [entries] int32.
        values: [entries] float32.
        shape: of the matrix.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(begin.to(torch.int32), columns, values, shape, check_invariants=False)


def product(matrix: torch.Tensor, dense: torch.Tensor) -> torch.Tensor:
    """A sparse matrix times a dense one, in float32 also under autocast, without autograd."""
    with torch.autocast(dense.device.type, enabled=False):
        return torch.mm(matrix, dense.float().contiguous())


class _Symmetric(torch.autograd.Function):
    """A product with a symmetric matrix, in float32 also where autocast would take less."""

    @staticmethod
    def forward(ctx: Any, graph: Graph, nodes: torch.Tensor) -> torch.Tensor:
        ctx.graph = graph
        return graph.product(nodes)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[None, torch.Tensor]:
        return None, ctx.graph.product(gradients[0])
