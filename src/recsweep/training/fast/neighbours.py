"""NNCF: what the neighbours of a user or an item come to is computed once a batch for each, by torch.

RecBole looks up and convolves the neighbours of both sides of every pair, in validation too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from recsweep.training.fast.pairs import Labelled
from recsweep.training.fast.scores import Matrix, Scores
from recsweep.training.fast.stream import Batch
from recsweep.training.fast.table import Table

_VALUES_AT_ONCE = 1 << 22
"""Numbers of the widest layer that are in memory at once: 16 MiB in float32."""


class Nncf(Labelled):
    """NNCF: a product of embeddings and both sides' neighbours below a tower (Bai et al. 2017, CIKM)."""

    models = ("NNCF",)
    has_kernels = False

    def torch_step(self, table: Table, batch: Batch) -> torch.Tensor:
        m = self.model
        users, items, labels = self.pairs_of(table, batch)
        joined = [
            m.user_embedding(users) * m.item_embedding(items),
            self._of_each(m.user_conv, m.user_neigh_embedding, m.u_neigh, users),
            self._of_each(m.item_conv, m.item_neigh_embedding, m.i_neigh, items),
        ]
        logits = m.out_layer(m.mlp_layers(torch.cat(joined, dim=1))).squeeze(1)
        loss: torch.Tensor = m.loss(logits, labels)
        self.backward(loss)
        return loss.detach()

    def scores(self, table: Table) -> Iterator[tuple[torch.Tensor, Scores]]:
        m = self.model
        first, rest = _first_and_rest(m.mlp_layers.mlp_layers)
        width = m.ui_embedding_size
        own = self._convolved(m.user_conv, m.user_neigh_embedding, m.u_neigh)
        other = self._convolved(m.item_conv, m.item_neigh_embedding, m.i_neigh)
        of_users = functional.linear(own, first.weight[:, width : width + own.shape[1]], first.bias)
        of_items = functional.linear(other, first.weight[:, width + own.shape[1] :])
        widest = max(layer.out_features for layer in m.mlp_layers.modules() if isinstance(layer, nn.Linear))
        step = max(1, _VALUES_AT_ONCE // (len(of_items) * widest))
        for rows in torch.split(torch.arange(len(table)), step):
            users = table.users[rows.to(table.device)]
            weights = m.user_embedding.weight[users][:, :, None] * first.weight[:, :width].t()
            values = m.item_embedding.weight @ weights  # [users, items, the first layer]
            values += of_users[users][:, None]
            values += of_items
            yield rows, Matrix(m.out_layer(rest(values)).squeeze(-1).sigmoid_())

    def _convolved(self, layers: nn.Module, embedding: nn.Embedding, near: torch.Tensor) -> torch.Tensor:
        """[number, width]: the neighbours [number, neigh_num] of each, embedded, convolved and pooled."""
        step = max(1, _VALUES_AT_ONCE // (near.shape[1] * embedding.embedding_dim))
        parts = [layers(embedding(some).permute(0, 2, 1)).flatten(1) for some in torch.split(near, step)]
        return torch.cat(parts)

    def _of_each(
        self, layers: nn.Module, embedding: nn.Embedding, near: torch.Tensor, chosen: torch.Tensor
    ) -> torch.Tensor:
        """[pairs, width]: the same of the users or items of pairs [pairs], computed once for each.

        Not so on a GPU, which would be waited for: how many there are is to be known before.
        """
        if chosen.device.type != "cpu":
            return self._convolved(layers, embedding, near[chosen])
        different, which = torch.unique(chosen, return_inverse=True)
        return self._convolved(layers, embedding, near[different])[which]


def _first_and_rest(layers: Any) -> tuple[Any, Any]:
    """The first dense layer, and all behind it."""
    first = next(number for number, layer in enumerate(layers) if isinstance(layer, nn.Linear))
    return layers[first], layers[first + 1 :]
