"""NCL: LightGCN whose nodes are told from others by what their layers say, and by the clusters they are in.

Lin et al. 2022 (WWW), "Improving Graph Collaborative Filtering with Neighborhood-enriched Contrastive
Learning". The clusters are RecBole's own: its trainer has the model find them before an epoch.
"""

from __future__ import annotations

from typing import Any

import torch

from recsweep.training.fast import losses
from recsweep.training.fast.base import Pass
from recsweep.training.fast.graph import Graph
from recsweep.training.fast.graphs import (
    Asked,
    Summed,
    contrast,
    pair_scores,
    refused_temperature,
    samples,
)
from recsweep.training.fast.stream import Batch
from recsweep.training.fast.table import Table


class Ncl(Summed):
    """NCL."""

    models = ("NCL",)
    trainers = ("NCLTrainer",)

    def __init__(self, model: Any, kernels: Any | None, seed: int) -> None:
        super().__init__(model, kernels, seed)
        self.graph = Graph.of(model.norm_adj_mat)
        self._apart: int = 2 * model.hyper_layers
        """The layer that is told from the embeddings."""
        self._warm_up, self._clustered = 0, False

    @classmethod
    def refuses(cls, model: Any) -> str | None:
        return refused_temperature("ssl_temp", model.ssl_temp)

    def passes(self, trainer: Any) -> list[Pass]:
        self._warm_up = trainer.config["warm_up_step"]
        return super().passes(trainer)

    def begin(self, epoch: int) -> None:
        super().begin(epoch)
        self._clustered = epoch >= self._warm_up

    def native_step(self, table: Table, batch: Batch) -> float:
        m = self.model
        parts = (m.user_centroids, m.item_centroids), (m.user_2cluster, m.item_2cluster)
        centres, clusters = map(list, parts) if self._clustered else ([], [])
        loss: float = self.kernels.ncl_step(  # type: ignore[union-attr]
            *(self.plain, self.gradients, self.graph.tensors, *samples(table, batch)),
            *(m.n_layers, self._apart, m.reg_weight, m.ssl_temp, m.ssl_reg, m.ssl_reg * m.alpha),
            *(centres, clusters, m.proto_reg),
        )
        return loss

    def torch_step(self, table: Table, batch: Batch) -> torch.Tensor:
        m, asked = self.model, samples(table, batch)
        layers = self.layers([self.graph] * max(m.n_layers, self._apart))
        ranked = losses.bpr(*pair_scores(*self.mean(layers[: m.n_layers + 1]), asked)) / len(asked[0])
        loss: torch.Tensor = ranked + m.reg_weight * self.regularizer(asked)
        loss = loss + self._told_apart(layers, asked)
        self.backward(loss)
        return loss.detach()

    def _told_apart(self, layers: list[torch.Tensor], asked: Asked) -> torch.Tensor:
        """RecBole's losses of a batch's users and of the items they met, against layers and clusters."""
        m, (users, items, _) = self.model, asked
        (own_user, own_item), (user, item) = (
            (layers[which][: m.n_users], layers[which][m.n_users :]) for which in (0, self._apart)
        )
        apart = contrast(user, own_user, users, m.ssl_temp)
        of_items = contrast(item, own_item, items, m.ssl_temp)
        told: torch.Tensor = m.ssl_reg * (apart + m.alpha * of_items)
        if not self._clustered:
            return told
        near = contrast(own_user, m.user_centroids, users, m.ssl_temp, m.user_2cluster)
        near = near + contrast(own_item, m.item_centroids, items, m.ssl_temp, m.item_2cluster)
        clustered: torch.Tensor = m.proto_reg * near
        return told + clustered
