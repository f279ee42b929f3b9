"""Several models' scores as one ranking, and a greedy choice of models for it. Pure functions of tensors.

Scores are [cases, items], minus infinity where an item is in no list. What one model leaves out is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from recsweep.statistics.ranking import ranking_metrics
from recsweep.training.fast.scores import Matrix
from recsweep.training.fast.table import Pairs

SCORES, RANKS = "scores", "ranks"
FUSIONS = (SCORES, RANKS)
"""The mean of scores, standardised for each case; reciprocal-rank fusion (Cormack et al. 2009)."""
RANK_CONSTANT = 60
"""Of reciprocal-rank fusion: how little the very first ranks differ."""
ROUNDS = 25
"""Models that are added at most, each as often as it helps."""


@dataclass(frozen=True)
class Chosen:
    """A greedy choice of models (Caruana et al. 2004)."""

    fusion: str
    weights: list[int]
    """How often each model was taken."""
    score: float
    """Of the ensemble, on the cases that it was chosen by."""
    path: list[float]
    """The score after each round."""


def standard(scores: torch.Tensor, fusion: str) -> torch.Tensor:
    """Scores in a form whose sum ranks: standardised, or reciprocals of ranks."""
    there = scores > -torch.inf
    if fusion == SCORES:
        count = there.sum(1, keepdim=True).clamp(min=1)
        values = torch.where(there, scores, 0.0).double()
        mean = values.sum(1, keepdim=True) / count
        spread = (torch.where(there, values - mean, 0.0) ** 2).sum(1, keepdim=True) / count
        # A model that gives all items one score says nothing of a case.
        found = (values - mean) / spread.sqrt().clamp(min=1e-12)
    else:
        order = torch.argsort(scores, dim=1, descending=True, stable=True)
        ranks = torch.empty_like(order)
        places = torch.arange(1, scores.shape[1] + 1).expand_as(order)
        ranks.scatter_(1, order, places)
        found = 1.0 / (RANK_CONSTANT + ranks.double())
    return torch.where(there, found, -torch.inf).float()


def measure(fused: torch.Tensor, right: Pairs, name: str, cutoff: int) -> torch.Tensor:
    """A metric of each case, [cases] float64."""
    return measures(fused, right, [name], [cutoff])[f"{name}@{cutoff}"]


def measures(
    fused: torch.Tensor, right: Pairs, names: Sequence[str], cutoffs: Sequence[int]
) -> dict[str, torch.Tensor]:
    """Metrics of each case, by `name@cutoff`."""
    nothing = Pairs(torch.zeros(len(fused), dtype=torch.int64), torch.empty(0, dtype=torch.int64))
    top, _ = Matrix(fused).top(max(cutoffs), nothing)
    owners, items = right.at(torch.arange(len(fused)))
    is_right = torch.zeros(fused.shape, dtype=torch.bool)
    is_right[owners, items] = True
    is_right[:, 0] = False
    hits = is_right.gather(1, top)
    found = ranking_metrics(hits.numpy(), right.counts.numpy(), list(names), list(cutoffs))
    return {key: torch.from_numpy(values) for key, values in found.items()}


def choose(models: Sequence[torch.Tensor], right: Pairs, metric: tuple[str, int], fusion: str) -> Chosen:
    """Add models one by one, with replacement, each time the one that helps most; keep the best length.

    Args:
        models: what `standard` made of the scores of each.
        right: the right items of each case.
        metric: its name and cut-off; more is better.
        fusion: how `models` were made.
    """
    total = torch.zeros_like(models[0])
    taken: list[int] = []
    path: list[float] = []
    for _ in range(ROUNDS):
        scores = [float(measure(total + model, right, *metric).mean()) for model in models]
        best = max(range(len(models)), key=lambda number: (scores[number], -number))
        if len(path) >= 2 and scores[best] <= min(path[-2:]) and scores[best] < max(path):
            break  # two rounds in a row brought nothing
        taken.append(best)
        path.append(scores[best])
        total = total + models[best]
    length = 1 + path.index(max(path))
    weights = [taken[:length].count(number) for number in range(len(models))]
    return Chosen(fusion, weights, path[length - 1], path[:length])
