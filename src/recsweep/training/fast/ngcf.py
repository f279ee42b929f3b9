"""NGCF: features of users and items, layer by layer from those of their neighbours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from recsweep.training.fast import losses
from recsweep.training.fast.graph import Graph
from recsweep.training.fast.graphs import Propagated, pair_scores, samples
from recsweep.training.fast.stream import Batch
from recsweep.training.fast.table import Table


class Ngcf(Propagated):
    """NGCF: layers that mix each node with its neighbours; all layers' features are multiplied."""

    models = ("NGCF",)

    def __init__(self, model: Any, kernels: Any | None, seed: int) -> None:
        super().__init__(model, kernels, seed)
        self._graph = Graph.of(model.norm_adj_matrix)

    def parameters(self) -> list[torch.nn.Parameter]:
        m = self.model
        dense = [part for layer in m.GNNlayers for part in (layer.linear, layer.interActTransform)]
        pairs = [(part.weight, part.bias) for part in dense]
        return [m.user_embedding.weight, m.item_embedding.weight, *(one for pair in pairs for one in pair)]

    def native_step(self, table: Table, batch: Batch) -> float:
        m, graph = self.model, self._graph
        loss: float = self.kernels.ngcf_step(  # type: ignore[union-attr]
            *(self.plain, self.gradients, graph.tensors, graph.twins, *samples(table, batch)),
            *(m.reg_weight, m.node_dropout, m.message_dropout, self.step_seed()),
        )
        return loss

    def torch_step(self, table: Table, batch: Batch) -> torch.Tensor:
        m, asked = self.model, samples(table, batch)
        user, item = self._features(m.training)
        ranked = losses.bpr(*pair_scores(user, item, asked)) / len(asked[0])
        norms = m.reg_loss(*(nodes[some] for nodes, some in zip((user, item, item), asked, strict=True)))
        loss: torch.Tensor = ranked + m.reg_weight * norms.squeeze()
        self.backward(loss)
        return loss.detach()

    def propagated(self) -> tuple[torch.Tensor, torch.Tensor]:
        if self.kernels is None:
            return self._features(False)
        nodes = self.kernels.ngcf_nodes(self.plain, self._graph.tensors)
        return nodes[: self.model.n_users], nodes[self.model.n_users :]

    def _features(self, dropped: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """[n_users, d] and [n_items, d], the features of all layers."""
        m = self.model
        product = self._dropped() if dropped and m.node_dropout else self._graph.__matmul__
        layers = [m.get_ego_embeddings()]
        for layer in m.GNNlayers:
            before = layers[-1]
            near = product(before)
            mixed = layer.linear(before + near) + layer.interActTransform(near * before)
            layers.append(functional.normalize(m.emb_dropout(functional.leaky_relu(mixed, 0.2)), dim=1))
        nodes = torch.cat(layers, dim=1)
        return nodes[: m.n_users], nodes[m.n_users :]

    def _dropped(self) -> Callable[[torch.Tensor], torch.Tensor]:
        """Products with a matrix whose entries RecBole drops, each on its own: it is no longer symmetric."""
        matrix = self.model.sparse_dropout(self.model.norm_adj_matrix)
        return lambda nodes: torch.sparse.mm(matrix, nodes)
