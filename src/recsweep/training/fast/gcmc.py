"""GCMC: a dense layer on what the neighbours' rows of one weight add up to, and bilinear scores of pairs."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

from recsweep.training.fast.graph import Graph
from recsweep.training.fast.graphs import samples
from recsweep.training.fast.products import ProductFamily
from recsweep.training.fast.stream import Batch
from recsweep.training.fast.table import Table


class Gcmc(ProductFamily):
    """GCMC. A node's features are its number alone, so that a product with them is a row of the weight."""

    models = ("GCMC",)

    def __init__(self, model: Any, kernels: Any | None, seed: int) -> None:
        super().__init__(model, kernels, seed)
        self._graph = Graph.of(model.Graph)
        self._users = torch.empty(0)

    def parameters(self) -> list[torch.nn.Parameter]:
        encoder, decoder = self.model.GcEncoder, self.model.BiDecoder
        encoded = [encoder.weights_u[0], encoder.dense_layer_u.weight]
        return [*encoded, decoder.dense_layer.weight, *decoder.weights]

    def native_step(self, table: Table, batch: Batch) -> float:
        m, kept = self.model, self._kept()
        loss: float = self.kernels.gcmc_step(  # type: ignore[union-attr]
            *(self.plain, self.gradients, self._graph.tensors, kept, *samples(table, batch)),
            *(m.n_users, float(m.dropout_prob), self.step_seed()),
        )
        return loss

    def torch_step(self, table: Table, batch: Batch) -> torch.Tensor:
        users, positive, negative = samples(table, batch)
        user, item = self._nodes()
        met, other = item[positive], item[negative]
        scores = []
        for weight in self.model.BiDecoder.weights:
            own = (user @ weight)[users]
            scores.append(torch.cat([(own * met).sum(1), (own * other).sum(1)]))
        classes = self.model.BiDecoder.dense_layer(torch.stack(scores, dim=1))
        right = torch.arange(2, device=users.device).flip(0).repeat_interleave(len(users))
        loss = functional.cross_entropy(classes, right)
        self.backward(loss)
        return loss.detach()

    def candidates(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        user, item = self._nodes()
        shares = self.model.BiDecoder.dense_layer.weight[1]  # of the class of items that were met
        weights = self.model.BiDecoder.weights
        self._users = user @ torch.stack(
            [share * weight for share, weight in zip(shares, weights, strict=True)]
        ).sum(0)
        return item, None

    def queries(self, table: Table, rows: torch.Tensor) -> torch.Tensor:
        """Of the candidates that were asked for last."""
        return self._users[table.users[rows.to(table.device)]]

    def _nodes(self) -> tuple[torch.Tensor, torch.Tensor]:
        """[n_users, d] and [n_items, d]."""
        m, encoder = self.model, self.model.GcEncoder
        if self.kernels is not None:  # asked for by `candidates` alone
            nodes = self.kernels.gcmc_nodes(self.plain, self._graph.tensors)
        else:
            weight = encoder.weights_u[0]
            if encoder.training:
                weight = weight * self._kept().unsqueeze(1)
            nodes = encoder.dense_layer_u(encoder.dropout(torch.relu(self._graph @ weight)))
        return nodes[: m.n_users], nodes[m.n_users :]

    def _kept(self) -> torch.Tensor:
        """[nodes]: zeros and 1 / (1 - p), as RecBole draws them for its sparse features, on the CPU."""
        m, p = self.model, float(self.model.dropout_prob)
        if not m.sparse_feature:
            return functional.dropout(torch.ones(m.num_all, device=m.device), p)
        drawn = torch.cat([torch.rand(m.n_users), torch.rand(m.n_items)])
        return ((drawn + (1 - p)).floor() / (1 - p)).to(m.device)
