"""MultiDAE and MultiVAE: from a user's items to a softmax over all of them (Liang et al. 2018, WWW)."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from recsweep.training.fast import scores
from recsweep.training.fast.autoencoders import Over, UserFamily
from recsweep.training.fast.histories import Bags
from recsweep.training.fast.products import ProductFamily
from recsweep.training.fast.stream import Batch
from recsweep.training.fast.table import Table


class _Multinomial(UserFamily, ProductFamily):
    """A stack of layers to a code, another one back to all items."""

    def __init__(self, model: Any, kernels: Any | None, seed: int) -> None:
        super().__init__(model, kernels, seed)
        self._first, *self._encoder = _layers(model.encoder)
        *self._decoder, self._last = _layers(model.decoder)

    def torch_step(self, table: Table, batch: Batch) -> torch.Tensor:
        bags = self.bags(table, batch)
        values = self.dropped(bags.normalized(), self.model.drop_out)
        hidden, own = self._through(self.first_layer(self._first, bags, values))
        predicted = functional.log_softmax(self._last(hidden), 1)
        loss = -(predicted * bags.dense(bags.ones())).sum(1).mean()
        loss = loss if own is None else loss + own
        self.backward(loss)
        return loss.detach()

    def native_step(self, table: Table, batch: Batch) -> float:
        bags = self.bags(table, batch)
        values = self.dropped(bags.normalized(), self.model.drop_out)
        first = self.first_layer(self._first, bags, values).requires_grad_()
        hidden, own = self._through(first)
        share = 1 / len(batch.rows)
        loss, slopes = self.reconstruct(hidden, self._last, bags, Over.SOFTMAX, share)
        ends = [(hidden, slopes)] if own is None else [(hidden, slopes), (own, None)]
        torch.autograd.backward(*zip(*ends, strict=True))  # type: ignore[arg-type]
        self.first_layer_back(self._first, bags, values, first.grad)
        return loss if own is None else loss + float(own.detach())

    def _through(self, first: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The input of the last layer, and a part of the loss that knows no items."""
        for layer in self._encoder:
            first = layer(first)
        hidden, own = self._coded(first)
        for layer in self._decoder:
            hidden = layer(hidden)
        return hidden, own

    @abstractmethod
    def _coded(self, encoded: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The code, drawn where the model draws it; and the code's own loss, where it has one."""

    def queries(self, table: Table, rows: torch.Tensor) -> torch.Tensor:
        users = table.users[rows.to(table.device)]
        parts = torch.split(users, scores.rows_at_once(self.model.n_items))
        return torch.cat([self._query(self.histories.all_of(part)) for part in parts])

    def _query(self, bags: Bags) -> torch.Tensor:
        return self._through(self.first_layer(self._first, bags, bags.normalized()))[0]

    def candidates(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        return self._last.weight, self._last.bias.detach()


class MultiDae(_Multinomial):
    """MultiDAE: the code is what the encoder says."""

    models = ("MultiDAE",)

    def _coded(self, encoded: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        return encoded, None


class MultiVae(_Multinomial):
    """MultiVAE: the code is drawn, and held close to a normal distribution with growing weight."""

    models = ("MultiVAE",)

    def _coded(self, encoded: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        m = self.model
        half = int(m.lat_dim / 2)
        mean, log_variance = encoded[:, :half], encoded[:, half:]
        if not m.training:
            return mean, None
        m.update += 1
        grown = m.update / m.total_anneal_steps if m.total_anneal_steps > 0 else m.anneal_cap
        spread = 1 + log_variance - mean.pow(2) - log_variance.exp()
        own = -0.5 * spread.sum(1).mean() * min(m.anneal_cap, grown)
        return m.reparameterize(mean, log_variance), own


def _layers(module: nn.Module) -> list[Any]:
    """A stack's layers in order, without those that drop nothing."""
    return [layer for layer in module.modules() if not list(layer.children()) and not _drops_nothing(layer)]


def _drops_nothing(layer: nn.Module) -> bool:
    return getattr(layer, "p", None) == 0.0
