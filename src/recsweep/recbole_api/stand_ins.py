"""The few functions of `torch_scatter` and `dgl` that RecBole's KGIN, MCCLK and KGAT call.

Both are built for certain versions of torch only. The real `torch_scatter` is used where it is installed, and
the tests hold these against it; what RecBole calls of `dgl`, versions for today's torch no longer have.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from types import ModuleType, SimpleNamespace
from typing import Any


def install_scatter() -> None:
    """Let RecBole's imports of `torch_scatter` find the stand-in where it is not installed."""
    if "torch_scatter" not in sys.modules and importlib.util.find_spec("torch_scatter") is None:
        sys.modules["torch_scatter"] = _module("torch_scatter", scatter_mean, scatter_softmax)


def with_graphs(model: Any) -> None:
    """Let a model's class find the stand-in of `dgl` while it is made, and nobody else."""
    made = model.__init__

    @wraps(made)
    def make(self: Any, *arguments: Any, **named: Any) -> None:
        with _found("dgl", _module("dgl", graph, edge_subgraph)):
            made(self, *arguments, **named)

    model.__init__ = make


def _module(name: str, *functions: Callable[..., Any]) -> ModuleType:
    module = ModuleType(name, __doc__)
    vars(module).update({function.__name__: function for function in functions})
    return module


@contextmanager
def _found(name: str, module: ModuleType) -> Iterator[None]:
    """Let imports find a module by a name, for a while."""
    before = sys.modules.get(name)
    sys.modules[name] = module
    try:
        yield
    finally:
        del sys.modules[name]
        if before is not None:
            sys.modules[name] = before


# -- torch_scatter ----------------------------------------------------------------------------------


def scatter_mean(src: Any, index: Any, dim: int = -1, out: Any = None, dim_size: int | None = None) -> Any:
    """The mean of the rows of each index; 0 for an index that has none."""
    import torch

    index = _spread(index, src, dim)
    total = _zeros(src, index, dim, dim_size).scatter_add_(dim, index, src)
    count = _zeros(src, index, dim, dim_size).scatter_add_(dim, index, torch.ones_like(src))
    return total / count.clamp(min=1)


def scatter_softmax(src: Any, index: Any, dim: int = -1, dim_size: int | None = None) -> Any:
    """The softmax among the rows of each index."""
    import torch

    index = _spread(index, src, dim)
    with torch.no_grad():  # a shift, which no gradient depends on
        low = torch.full_like(_zeros(src, index, dim, dim_size), float("-inf"))
        most = low.scatter_reduce_(dim, index, src, "amax").gather(dim, index)
    powers = (src - most).exp()
    total = _zeros(src, index, dim, dim_size).scatter_add_(dim, index, powers)
    return powers / total.gather(dim, index)


def _spread(index: Any, src: Any, dim: int) -> Any:
    """An index of one dimension, for every column."""
    if index.dim() == 1:
        shape = [1] * src.dim()
        shape[dim] = -1
        index = index.view(shape)
    return index.expand_as(src)


def _zeros(src: Any, index: Any, dim: int, size: int | None) -> Any:
    shape = list(src.shape)
    shape[dim] = size if size is not None else (int(index.max()) + 1 if index.numel() else 0)
    return src.new_zeros(shape)


# -- dgl --------------------------------------------------------------------------------------------


class Graph:
    """Directed edges, with data for each: as much of DGL's graph as KGAT takes.

    Args:
        sources: number of each edge's first node.
        targets: of its second node.
        nodes: how many nodes there are.
    """

    def __init__(self, sources: Any, targets: Any, nodes: int) -> None:
        self._sources, self._targets, self._nodes = sources, targets, nodes
        self.edata: dict[str, Any] = {}

    def filter_edges(self, predicate: Callable[[Any], Any]) -> Any:
        """The numbers of the edges for which a function of all of them is true."""
        return predicate(SimpleNamespace(data=self.edata)).nonzero().squeeze(1)

    def only(self, edges: Any) -> Graph:
        """The same nodes with some of the edges."""
        return Graph(self._sources[edges], self._targets[edges], self._nodes)

    def adjacency_matrix(self, transpose: bool = False, scipy_fmt: str = "coo") -> Any:
        """SciPy's matrix of it: a row for each first node, a one for each edge."""
        import numpy as np
        import scipy.sparse

        ends = (self._targets, self._sources) if transpose else (self._sources, self._targets)
        ones = np.ones(len(self._sources))
        places = tuple(end.numpy() for end in ends)
        return scipy.sparse.coo_matrix((ones, places), shape=(self._nodes, self._nodes)).asformat(scipy_fmt)


def graph(ends: tuple[Any, Any]) -> Graph:
    """A graph of edges given by the numbers of their nodes."""
    sources, targets = ends
    return Graph(sources, targets, int(max(sources.max(), targets.max())) + 1)


def edge_subgraph(whole: Graph, edges: Any, **_: Any) -> Graph:
    """The same nodes with some of the edges; KGAT always wants all nodes kept."""
    return whole.only(edges)
