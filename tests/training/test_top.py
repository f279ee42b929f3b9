"""The best items of each row: the same by the kernel, by torch, and by sorting; ties by number."""

from __future__ import annotations

import pytest
import torch

from helpers.fast import compiled_kernels
from recsweep.training.fast.scores import Matrix, Product, Scores
from recsweep.training.fast.table import Pairs

ROWS, WIDTH = 300, 6


def sorted_out(scores: torch.Tensor, count: int, hidden: list[list[int]]) -> tuple[list[list[int]], list]:
    """Items and scores by Python's own sort."""
    items, values = [], []
    for row, left_out in zip(scores.tolist(), map(set, hidden), strict=True):
        kept = [
            i for i in range(1, len(row)) if i not in left_out and row[i] == row[i] and row[i] > -torch.inf
        ]
        best = sorted(kept, key=lambda i: (-row[i], i))[:count]
        missing = count - len(best)
        items.append(best + [0] * missing)
        values.append([row[i] for i in best] + [-torch.inf] * missing)
    return items, values


def pairs(lists: list[list[int]]) -> Pairs:
    return Pairs.of([torch.tensor(some, dtype=torch.int64) for some in lists], torch.device("cpu"))


def product(items: int, *, bias: bool, compiled: bool) -> Product:
    """Small whole numbers, whose products are exact, with many ties."""
    numbers = torch.Generator().manual_seed(3)
    queries, values = (torch.randint(-2, 3, (n, WIDTH), generator=numbers).float() for n in (ROWS, items))
    shift = torch.randint(-3, 3, (items,), generator=numbers).float() if bias else None
    return Product(queries, values, shift, compiled_kernels() if compiled else None)


def some_hidden(items: int) -> list[list[int]]:
    numbers = torch.Generator().manual_seed(4)
    chances = torch.rand(ROWS, generator=numbers)
    return [
        (torch.nonzero(torch.rand(items, generator=numbers) < chance).squeeze(1)).tolist()
        for chance in chances
    ]


@pytest.mark.parametrize("items", [40, 2500])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("way", ["compiled", "torch", "matrix"])
def test_lists_are_what_sorting_gives(items: int, bias: bool, way: str):
    scores: Scores = product(items, bias=bias, compiled=way == "compiled")
    every = scores.of(torch.arange(ROWS))
    if way == "matrix":
        every[:, 5], every[7] = torch.nan, -torch.inf
        scores = Matrix(every.clone())
    hidden = some_hidden(items)
    found, values = scores.top(30, pairs(hidden))
    assert (found.tolist(), values.tolist()) == sorted_out(every, 30, hidden)


@pytest.mark.parametrize("compiled", [True, False])
def test_a_list_longer_than_all_items_ends_with_nothing(compiled: bool):
    scores = product(10, bias=False, compiled=compiled)
    found, values = scores.top(25, pairs([[]] * ROWS))
    assert (found[:, :9].sort(dim=1).values == torch.arange(1, 10)).all()
    assert (found[:, 9:] == 0).all()
    assert (values[:, 9:] == -torch.inf).all()
