"""Graphs of users and items: products, and graphs of some interactions, against dense matrices."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from helpers.fast import CPU, compiled_kernels
from recsweep.recbole_api import compat
from recsweep.training.fast.gcmc import Gcmc
from recsweep.training.fast.graph import Graph, Interactions
from recsweep.training.fast.graphs import contrast
from recsweep.training.fast.stream import Batch
from recsweep.training.fast.table import Table

N_USERS, N_ITEMS = 7, 9


@pytest.fixture
def drawn():
    """A user and an item for each of some interactions, one of which stands there twice."""
    numbers = np.random.default_rng(3)
    pairs = numbers.permutation(N_USERS * N_ITEMS)[:25]
    pairs = torch.from_numpy(np.append(pairs, pairs[:1]))
    return pairs // N_ITEMS, pairs % N_ITEMS


def dense_of(users, items, kept):
    """RecBole's D^-1/2 A D^-1/2 of the interactions that are kept."""
    matrix = torch.zeros(N_USERS + N_ITEMS, N_USERS + N_ITEMS, dtype=torch.float64)
    for user, item in zip(users[kept].tolist(), items[kept].tolist(), strict=True):
        matrix[user, N_USERS + item] += 1
        matrix[N_USERS + item, user] += 1
    scales = (matrix.sum(1) + 1e-7) ** -0.5
    return scales[:, None] * matrix * scales


def test_some_interactions_are_scaled_by_the_degrees_that_are_left(drawn):
    kept = torch.arange(len(drawn[0])) % 3 > 0
    graph = Interactions.of(*drawn, N_USERS, N_ITEMS).graph(kept)
    found = graph @ torch.eye(N_USERS + N_ITEMS)
    assert torch.allclose(found.double(), dense_of(*drawn, kept), atol=1e-6)


def test_a_product_and_its_gradient_are_those_of_the_dense_matrix(drawn):
    matrix = dense_of(*drawn, torch.ones(len(drawn[0]), dtype=torch.bool)).float()
    graph, nodes = Graph.of(matrix.to_sparse_coo()), torch.randn(N_USERS + N_ITEMS, 5, requires_grad=True)
    outer = torch.randn(N_USERS + N_ITEMS, 5)
    (graph @ nodes).backward(outer)
    assert torch.allclose(graph @ nodes, matrix @ nodes, atol=1e-6)
    assert torch.allclose(nodes.grad, matrix.T @ outer, atol=1e-6)


def test_twins_are_on_the_other_side_of_the_diagonal(drawn):
    graph = Interactions.of(*drawn, N_USERS, N_ITEMS).graph(torch.arange(len(drawn[0])) % 4 > 0)
    rows = torch.arange(N_USERS + N_ITEMS).repeat_interleave(graph.begin.diff())
    assert torch.equal(rows[graph.twins], graph.neighbours.long())
    assert torch.equal(graph.neighbours[graph.twins].long(), rows)


@pytest.mark.parametrize("layers", [0, 1, 3])
@pytest.mark.parametrize("size", [5, 8, 100])
def test_the_mean_over_layers_is_that_of_the_dense_matrix(drawn, layers, size):
    matrix = dense_of(*drawn, torch.ones(len(drawn[0]), dtype=torch.bool)).float()
    users, items = torch.randn(N_USERS, size), torch.randn(N_ITEMS, size)
    found = compiled_kernels().graph_mean([users, items], Graph.of(matrix.to_sparse_coo()).tensors, layers)
    expected = [torch.cat([users, items])]
    for _ in range(layers):
        expected.append(matrix @ expected[-1])
    assert torch.allclose(found, torch.stack(expected).mean(0), atol=1e-5)


def test_a_node_told_from_the_others_costs_what_recbole_says():
    one, others = torch.randn(6, 4), torch.randn(6, 4)
    nodes = torch.tensor([3, 1, 3])
    first, second = (torch.nn.functional.normalize(some, dim=1) for some in (one, others))
    scores = torch.exp(first[nodes] @ second.T / 0.2)
    expected = -torch.log(scores[torch.arange(3), nodes] / scores.sum(1)).sum()
    assert contrast(one, others, nodes, 0.2) == pytest.approx(float(expected), rel=1e-5)


def test_a_node_told_from_clusters_costs_what_recbole_says():
    one, centres, clusters = torch.randn(6, 4), torch.randn(3, 4), torch.tensor([0, 2, 1, 1, 0, 2])
    nodes = torch.tensor([3, 1, 3])
    first, second = (torch.nn.functional.normalize(some, dim=1) for some in (one, centres))
    scores = torch.exp(first[nodes] @ second.T / 0.2)
    expected = -torch.log(scores[torch.arange(3), clusters[nodes]] / scores.sum(1)).sum()
    assert contrast(one, centres, nodes, 0.2, clusters) == pytest.approx(float(expected), rel=1e-5)


# -- GCMC with dropout ----------------------------------------------------------------------------

SHAPE = {
    **{"USER_ID_FIELD": "user", "ITEM_ID_FIELD": "item", "LIST_SUFFIX": "_list", "NEG_PREFIX": "neg_"},
    **{"ITEM_LIST_LENGTH_FIELD": "length", "MAX_ITEM_LIST_LENGTH": 5, "device": CPU, "accum": "stack"},
    **{"gcn_output_dim": 70, "embedding_size": 8, "class_num": 2, "num_basis_functions": 2},
}


def made_gcmc(interactions, dropped):
    """RecBole's, with weights so large that a loss tells one mask from another."""
    compat.apply()
    from recbole.model.general_recommender.gcmc import GCMC

    users, items = (part.numpy() for part in interactions)
    matrix = sp.coo_matrix((np.ones(25), (users[:25], items[:25])), (N_USERS, N_ITEMS))
    counts = {"user": N_USERS, "item": N_ITEMS}
    data = SimpleNamespace(
        num=counts.get, user_num=N_USERS, item_num=N_ITEMS, inter_matrix=lambda form: matrix
    )
    torch.manual_seed(3), np.random.seed(3)
    model = GCMC({**SHAPE, "dropout_prob": dropped, "sparse_feature": True}, data).train()
    for weight in model.parameters():
        weight.data *= 2
    return model


def test_gcmc_with_dropout_trains_on_average_as_recbole(drawn):
    model, draws = made_gcmc(drawn, 0.4), 100
    users, items = drawn
    others = (items + 1) % N_ITEMS
    batch = {"user": users, "item": items, "neg_item": others}
    norms = {"theirs": [], "ours": []}

    def note(whose, loss):
        norms[whose].append([float(loss), *(float(weight.grad.norm()) for weight in model.parameters())])
        model.zero_grad(set_to_none=False)

    for _ in range(draws):
        loss = model.calculate_loss(batch)
        loss.backward()
        note("theirs", loss.detach())
    family = Gcmc(model, compiled_kernels(), 5)
    table = Table(users, items, device=CPU)
    for _ in range(draws):
        note("ours", family.step(table, Batch(torch.arange(len(users)), others)))
    theirs, ours = (np.array(norms[whose]) for whose in ("theirs", "ours"))
    errors = np.sqrt((theirs.var(0) + ours.var(0)) / draws)
    assert (abs(theirs.mean(0) - ours.mean(0)) < 4.5 * errors).all(), "the loss and the gradients' norms"
    assert ours.std(0) == pytest.approx(theirs.std(0), rel=0.4)
