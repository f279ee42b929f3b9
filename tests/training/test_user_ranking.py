"""Hits of rows with several right items: the same compiled, by torch, and as RecBole collects them."""

from __future__ import annotations

import pytest
import torch

from helpers.fast import CPU, compiled_kernels
from recsweep.training.fast import user_ranking
from recsweep.training.fast.scores import Matrix, Product, Scores
from recsweep.training.fast.table import Labels, Pairs, Table

ROWS, WIDTH = 130, 4


def collected(scores: torch.Tensor, labels: Labels, cutoff: int) -> tuple[torch.Tensor, torch.Tensor]:
    """As RecBole's collector has them: hits with the number of right items, and lists."""
    scores[:, 0] = -torch.inf
    scores[labels.hidden.at(torch.arange(ROWS))] = -torch.inf
    top = torch.topk(scores, cutoff, dim=-1).indices
    right = torch.zeros_like(scores, dtype=torch.int)
    right[labels.right.at(torch.arange(ROWS))] = 1
    return torch.cat([right.gather(1, top), right.sum(1, keepdim=True)], dim=1), top


def labels_of(items: int, seed: int) -> Labels:
    """Right and hidden items without one in both; some rows have none of either, some hide nearly all."""
    numbers = torch.Generator().manual_seed(seed)
    chances = torch.rand(ROWS, 1, generator=numbers) ** 2
    kinds = torch.rand(ROWS, items, generator=numbers)
    kinds[:, 0], kinds[5] = 2.0, 2.0
    right, hidden = kinds < 0.1, (kinds >= 0.1) & (kinds < 0.1 + chances)
    return Labels(
        *(Pairs.of([torch.nonzero(row).squeeze(1) for row in some], CPU) for some in (right, hidden))
    )


def table_of(labels: Labels) -> Table:
    return Table(torch.arange(ROWS), torch.arange(0), CPU, labels=labels)


def product(items: int, kernels, *, whole: bool, bias: bool, seed: int) -> Product:
    """Of whole numbers, with many ties, or of any."""
    numbers = torch.Generator().manual_seed(seed)

    def some(*shape: int) -> torch.Tensor:
        if whole:
            return torch.randint(-2, 3, shape, generator=numbers).float()
        return torch.randn(*shape, generator=numbers)

    return Product(some(ROWS, WIDTH), some(items, WIDTH), some(items) if bias else None, kernels)


@pytest.mark.parametrize("way", ["compiled", "torch"])
@pytest.mark.parametrize("kind", ["product", "biased", "matrix"])
@pytest.mark.parametrize("whole", [True, False], ids=["ties", "distinct"])
@pytest.mark.parametrize(("items", "cutoff"), [(12, 12), (60, 7), (2300, 20)])
def test_hits_and_lists_are_recboles(way, kind, whole, items, cutoff, monkeypatch):
    monkeypatch.setattr("recsweep.training.fast.scores.SCORES_AT_ONCE", 41 * items)
    kernels, labels = compiled_kernels() if way == "compiled" else None, labels_of(items, items)
    scores: Scores = product(items, kernels, whole=whole, bias=kind == "biased", seed=cutoff)
    every = scores.of(torch.arange(ROWS))
    if kind == "matrix":
        every[3, 7], every[8], every[9, 4:9], every[10, 0] = torch.nan, torch.nan, -torch.inf, torch.nan
        scores = Matrix(every.clone())
    found = user_ranking.of_users(
        iter([(torch.arange(ROWS), scores)]), table_of(labels), labels, cutoff, kernels, lists=True
    )
    hits, lists = collected(every, labels, cutoff)
    assert torch.equal(found.hits, hits)
    assert torch.equal(found.items, lists)


@pytest.mark.parametrize("wrong", [torch.nan, torch.inf, 1e30])
def test_products_that_are_no_numbers_are_torchs(wrong):
    labels = labels_of(60, 1)
    scores = product(60, compiled_kernels(), whole=False, bias=False, seed=1)
    scores.queries[4, 1] = scores.items[9, 1] = wrong
    given = iter([(torch.arange(ROWS), scores)])
    found = user_ranking.of_users(given, table_of(labels), labels, 10, compiled_kernels(), lists=False)
    assert torch.equal(found.hits, collected(scores.of(torch.arange(ROWS)), labels, 10)[0])


@pytest.mark.parametrize("kernels", [True, False])
def test_rows_come_in_any_order_and_too_many_items_fail(kernels):
    compiled, labels = compiled_kernels() if kernels else None, labels_of(60, 2)
    scores = product(60, compiled, whole=False, bias=True, seed=2)
    order = torch.randperm(ROWS, generator=torch.Generator().manual_seed(1))
    parts = [(some, Matrix(scores.of(some))) for some in torch.split(order, 50)]
    found = user_ranking.of_users(iter(parts), table_of(labels), labels, 10, compiled, lists=False)
    assert found.items is None
    assert torch.equal(found.hits, collected(scores.of(torch.arange(ROWS)), labels, 10)[0])
    with pytest.raises(RuntimeError, match="out of range"):
        user_ranking.of_users(iter(parts), table_of(labels), labels, 61, compiled, lists=False)
