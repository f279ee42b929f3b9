"""Autoencoders, whose samples are users with all their items: the first layer and the last one.

RecBole multiplies a dense row of ratings for each user. Here the first layer adds up the weights of the
items that are there, and dropout draws for these alone: what it makes of a zero is zero. The scores of some
users at a time become gradients at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from enum import IntEnum
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from recsweep.training.fast.base import Family
from recsweep.training.fast.histories import Bags, Histories
from recsweep.training.fast.stream import Batch, Stream, placed
from recsweep.training.fast.table import Table


class Over(IntEnum):
    """How a user's scores become a loss; the kernel's numbers."""

    SOFTMAX, LOGISTIC, SQUARES_OF_SIGMOID, SQUARES_OF_RELU = range(4)


class UserFamily(Family):
    """A family whose samples are users, with all their items."""

    def __init__(self, model: Any, kernels: Any | None, seed: int) -> None:
        super().__init__(model, kernels, seed)
        self.histories = Histories(*self.had(), int(model.n_items))

    def had(self) -> tuple[torch.Tensor, torch.Tensor]:
        """RecBole's padded rows of what users have [users, longest], and what of them is no padding."""
        return self.model.history_item_id, self.model.history_item_value != 0

    def batches(self, stream: Stream, table: Table) -> Iterator[Batch]:
        counts = self.histories.counts[table.users.cpu()]
        for batch in placed(stream.epoch(), table):
            yield replace(batch, extra=int(counts[batch.rows].sum()))

    def bags(self, table: Table, batch: Batch) -> Bags:
        """The items of a batch's users."""
        return self.histories.bags(table.users[batch.there[0]], batch.extra)

    def dropped(self, values: torch.Tensor, p: float) -> torch.Tensor:
        """The values that are not 0, [pairs], after dropout."""
        if p == 0.0:
            return values
        if self.kernels is not None:
            dropped: torch.Tensor = self.kernels.dropout(values, p, self.step_seed(), 0)
            return dropped
        return functional.dropout(values, p) if self.masks is None else self.masks.drop(values, p)

    def first_layer(self, layer: nn.Linear, bags: Bags, values: torch.Tensor) -> torch.Tensor:
        """[users, d]: a linear layer on rows of which the values of some items are known, the rest is 0."""
        if self.kernels is None:
            return functional.linear(bags.dense(values), layer.weight, layer.bias)
        sums: torch.Tensor = self.kernels.bag_sums(
            layer.weight.detach(), layer.bias.detach(), bags.starts, bags.items, values
        )
        return sums

    def first_layer_back(self, layer: nn.Linear, bags: Bags, values: torch.Tensor, slopes: Any) -> None:
        """Add the gradients of the first layer to those of its weights, by the kernel."""
        given = (slopes.contiguous(), bags.starts, bags.items, values)
        self.kernels.bag_gradients(*given, layer.weight.grad, layer.bias.grad)  # type: ignore[union-attr]

    def reconstruct(
        self,
        hidden: torch.Tensor,
        layer: nn.Linear,
        bags: Bags,
        over: Over,
        share: float,
        *,
        fixed: bool = False,
    ) -> tuple[float, torch.Tensor]:
        """Loss of the last layer's scores, times `share`, and the gradient of `hidden`, by the kernel.

        The gradients of the layer itself are added to those of its weights, unless it is fixed; of a hidden
        layer that nobody differentiates none is computed, and the one returned means nothing.
        """
        plain = (hidden.detach(), layer.weight.detach(), layer.bias.detach())
        grads = (None, None) if fixed else (layer.weight.grad, layer.bias.grad)
        found: tuple[float, torch.Tensor] = self.kernels.reconstruct(  # type: ignore[union-attr]
            *plain, bags.starts, bags.items, int(over), share, *grads, hidden.requires_grad
        )
        return found
