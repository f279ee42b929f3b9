"""CDAE: a user's items and the user itself to a yes or no for each item (Wu et al. 2016, WSDM)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from recsweep.training.fast.autoencoders import Over, UserFamily
from recsweep.training.fast.histories import Bags
from recsweep.training.fast.scores import Matrix, Scores, rows_at_once
from recsweep.training.fast.stream import Batch
from recsweep.training.fast.table import Table


class Cdae(UserFamily):
    """CDAE."""

    models = ("CDAE",)

    def __init__(self, model: Any, kernels: Any | None, seed: int) -> None:
        super().__init__(model, kernels, seed)
        squares = Over.SQUARES_OF_SIGMOID if isinstance(model.o_act, nn.Sigmoid) else Over.SQUARES_OF_RELU
        self._over = Over.LOGISTIC if model.loss_type == "BCE" else squares

    @classmethod
    def refuses(cls, model: Any) -> str | None:
        return None if model.loss_type in ("BCE", "MSE") else f"loss_type {model.loss_type}"

    def torch_step(self, table: Table, batch: Batch) -> torch.Tensor:
        m, bags, users = self.model, self.bags(table, batch), table.users[batch.there[0]]
        values = self.dropped(bags.ones(), m.corruption_ratio)
        predicted = m.out_layer(self._hidden(self.first_layer(m.h_item, bags, values), users))
        wanted = bags.dense(bags.ones())
        if self._over == Over.LOGISTIC:
            loss = functional.binary_cross_entropy_with_logits(predicted, wanted, reduction="sum")
        else:
            loss = functional.mse_loss(m.o_act(predicted), wanted, reduction="sum")
        loss = loss + self._sizes()
        self.backward(loss)
        return loss.detach()

    def native_step(self, table: Table, batch: Batch) -> float:
        m, bags, users = self.model, self.bags(table, batch), table.users[batch.there[0]]
        values = self.dropped(bags.ones(), m.corruption_ratio)
        first = self.first_layer(m.h_item, bags, values).requires_grad_()
        hidden, own = self._hidden(first, users), self._sizes()
        loss, slopes = self.reconstruct(hidden, m.out_layer, bags, self._over, 1.0)
        torch.autograd.backward([hidden, own], [slopes, None])
        self.first_layer_back(m.h_item, bags, values, first.grad)
        return loss + float(own.detach())

    def _hidden(self, first: torch.Tensor, users: torch.Tensor) -> torch.Tensor:
        hidden: torch.Tensor = self.model.h_act(self.model.h_user(users) + first)
        return hidden

    def _sizes(self) -> torch.Tensor:
        """Norms of whole weights: a part of each batch's loss."""
        m = self.model
        weights = (m.h_user.weight, m.h_item.weight)
        absolute = sum(weight.norm(p=1) for weight in weights)
        euclidean = sum(weight.norm() for weight in weights)
        sizes: torch.Tensor = m.reg_weight_1 * absolute + m.reg_weight_2 * euclidean
        return sizes

    def scores(self, table: Table) -> Iterator[tuple[torch.Tensor, Scores]]:
        step = rows_at_once(self.model.n_items)
        for begin in range(0, len(table), step):
            rows = table.rows(begin, begin + step)
            users = table.users[rows.to(table.device)]
            # Behind the activation, as RecBole has them: it makes ties of scores that differ.
            yield rows, Matrix(self._scores(self.histories.all_of(users), users))

    def _scores(self, bags: Bags, users: torch.Tensor) -> torch.Tensor:
        m = self.model
        scored: torch.Tensor = m.out_layer(self._hidden(self.first_layer(m.h_item, bags, bags.ones()), users))
        acted: torch.Tensor = m.o_act(scored)
        return acted
