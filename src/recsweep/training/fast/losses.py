"""RecBole's two losses on tensors, for the Python path: BPR, and cross-entropy in chunks of rows."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.nn import functional

_SCORES_AT_ONCE = 1 << 22
"""Scores that are in memory at once: 16 MiB in float32."""


def bpr(better: torch.Tensor, worse: torch.Tensor) -> torch.Tensor:
    """RecBole's `BPRLoss` (Rendle et al. 2009, "BPR"): -log(1e-10 + sigmoid(better - worse)).

    Args:
        better: [samples], scores of the items that were met.
        worse: [samples], scores of the negatives.

    Returns:
        The sum over the samples, without dimensions.
    """
    return -torch.log(1e-10 + torch.sigmoid(better - worse)).sum()


def a_number(loss: float) -> float:
    """The loss itself.

    Raises:
        ValueError: it is NaN, in the words of RecBole's trainer.
    """
    if math.isnan(loss):
        raise ValueError("Training loss is nan")
    return loss


def cross_entropy(hidden: torch.Tensor, items: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The cross-entropies of the scores `hidden @ items.T`, as torch's `cross_entropy` has them.

    The scores of a few rows at a time are made, turned into gradients and forgotten, instead of being
    kept for the backward pass.

    Args:
        hidden: [rows, d].
        items: [n_items, d], the padding item among them, as in RecBole.
        targets: [rows] int64.

    Returns:
        The sum over the rows, in float32, without dimensions.
    """
    result: torch.Tensor = _CrossEntropy.apply(hidden, items, targets)  # type: ignore[no-untyped-call]
    return result


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: torch.Tensor, items: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        rows = max(1, _SCORES_AT_ONCE // len(items))
        total = hidden.new_zeros((), dtype=torch.float32)
        dhidden, ditems = torch.empty_like(hidden), torch.zeros_like(items)
        for begin in range(0, len(hidden), rows):
            part, wanted = hidden[begin : begin + rows], targets[begin : begin + rows]
            scores = functional.log_softmax((part @ items.to(part.dtype).t()).float(), dim=1)
            total -= scores.gather(1, wanted[:, None]).sum()
            slope = scores.exp_()
            slope.scatter_add_(1, wanted[:, None], slope.new_full((len(wanted), 1), -1.0))
            slope = slope.to(hidden.dtype)
            torch.mm(slope, items.to(slope.dtype), out=dhidden[begin : begin + rows])
            ditems += slope.t() @ part
        ctx.save_for_backward(dhidden, ditems)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        dhidden, ditems = ctx.saved_tensors
        return dhidden * gradients[0], ditems * gradients[0], None
