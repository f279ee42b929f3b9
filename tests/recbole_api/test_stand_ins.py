"""The stand-ins of `torch_scatter` and `dgl`: against sums written out, and against the real one."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from recsweep.recbole_api import stand_ins

INDEX = torch.tensor([0, 2, 2, 4, 0, 2])


@pytest.fixture
def rows():
    return torch.randn(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()


def test_a_mean_is_that_of_each_index(rows):
    found = stand_ins.scatter_mean(rows, INDEX, dim=0, dim_size=6)
    for index in range(6):
        own = rows[index == INDEX]
        assert torch.allclose(found[index], own.mean(0) if len(own) else torch.zeros(3, dtype=own.dtype))


def test_a_softmax_is_that_of_each_index(rows):
    found = stand_ins.scatter_softmax(rows, INDEX, dim=0)
    for index in (0, 2, 4):
        assert torch.allclose(found[index == INDEX], rows[index == INDEX].softmax(0))


@pytest.mark.parametrize("name", ["scatter_mean", "scatter_softmax"])
def test_values_and_gradients_are_those_of_torch_scatter(rows, name):
    real = pytest.importorskip("torch_scatter")
    if not hasattr(real, "__version__"):
        pytest.skip("the stand-in itself")
    found = getattr(stand_ins, name)(rows, INDEX, dim=0)
    wanted = getattr(real, name)(rows, INDEX, dim=0)
    assert torch.allclose(found, wanted)
    weights = torch.arange(found.numel(), dtype=found.dtype).view_as(found)
    mine, theirs = (torch.autograd.grad((one * weights).sum(), rows)[0] for one in (found, wanted))
    assert torch.allclose(mine, theirs)


def test_an_adjacency_has_a_row_for_each_first_node():
    sources, targets = torch.tensor([0, 1, 1, 3]), torch.tensor([1, 0, 2, 0])
    whole = stand_ins.graph((sources, targets))
    whole.edata["kind"] = torch.tensor([7, 7, 8, 7])
    edges = whole.filter_edges(lambda edge: edge.data["kind"] == 7)
    own = stand_ins.edge_subgraph(whole, edges, preserve_nodes=True).adjacency_matrix(scipy_fmt="coo")
    wanted = np.zeros((4, 4))
    wanted[[0, 1, 3], [1, 0, 0]] = 1
    assert (own.toarray() == wanted).all()


def test_nobody_else_finds_the_stand_in_of_dgl():
    class Model:
        def __init__(self):
            import dgl

            self.dgl = dgl

    stand_ins.with_graphs(Model)
    before = sys.modules.get("dgl")
    assert Model().dgl.graph is stand_ins.graph
    assert sys.modules.get("dgl") is before
