"""LightGCN, SGL: embeddings that are propagated over the graph of users and items, one negative a sample."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn import functional

from recsweep.training.fast import losses
from recsweep.training.fast.graph import Graph, Interactions
from recsweep.training.fast.products import ProductFamily
from recsweep.training.fast.stream import Batch, needed
from recsweep.training.fast.table import Table

Asked = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Users, items met and items not met, [samples] int64 each."""
_LEAST_TEMPERATURE = 0.0125
"""exp(1 / 0.0125), summed over thousands, is still a float32."""


class Propagated(ProductFamily):
    """Scores are products of what comes out of a graph; RecBole's model keeps that until its next loss."""

    def step(self, table: Table, batch: Batch) -> torch.Tensor | float:
        self.model.restore_user_e = self.model.restore_item_e = None
        return super().step(table, batch)

    def queries(self, table: Table, rows: torch.Tensor) -> torch.Tensor:
        users, _ = self._kept()
        return users[table.users[rows.to(table.device)]]

    def candidates(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        _, items = self._kept()
        return items, None

    def propagated(self) -> tuple[torch.Tensor, torch.Tensor]:
        """[n_users, d] and [n_items, d]: what is multiplied to score items."""
        raise NotImplementedError

    def _kept(self) -> tuple[torch.Tensor, torch.Tensor]:
        m = self.model
        if m.restore_user_e is None or m.restore_item_e is None:
            m.restore_user_e, m.restore_item_e = self.propagated()
        return m.restore_user_e, m.restore_item_e


class Summed(Propagated):
    """Embeddings whose mean over the layers of a graph is multiplied."""

    graph: Graph

    def parameters(self) -> list[torch.nn.Parameter]:
        return [self.model.user_embedding.weight, self.model.item_embedding.weight]

    def propagated(self) -> tuple[torch.Tensor, torch.Tensor]:
        m = self.model
        if self.kernels is None:
            return self.mean(self.layers([self.graph] * m.n_layers))
        nodes = self.kernels.graph_mean(self.plain, self.graph.tensors, m.n_layers)
        return nodes[: m.n_users], nodes[m.n_users :]

    def layers(self, graphs: list[Graph]) -> list[torch.Tensor]:
        """The embeddings [nodes, d], and behind them those of each layer."""
        found = [torch.cat([*self.weights])]
        for graph in graphs:
            found.append(graph @ found[-1])
        return found

    def mean(self, layers: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """The mean over some layers: of users, and of items."""
        nodes = torch.stack(layers, dim=1).mean(dim=1)
        return nodes[: self.model.n_users], nodes[self.model.n_users :]

    def regularizer(self, asked: Asked, **how: Any) -> torch.Tensor:
        """RecBole's norms of the embeddings of a batch."""
        m, (users, positive, negative) = self.model, asked
        embeddings = m.user_embedding(users), m.item_embedding(positive), m.item_embedding(negative)
        norms: torch.Tensor = m.reg_loss(*embeddings, **how)
        return norms.squeeze()


class LightGcn(Summed):
    """LightGCN."""

    models = ("LightGCN",)

    def __init__(self, model: Any, kernels: Any | None, seed: int) -> None:
        super().__init__(model, kernels, seed)
        self.graph = Graph.of(model.norm_adj_matrix)

    def native_step(self, table: Table, batch: Batch) -> float:
        m = self.model
        loss: float = self.kernels.lightgcn_step(  # type: ignore[union-attr]
            *(self.plain, self.gradients, self.graph.tensors, *samples(table, batch)),
            *(m.n_layers, m.reg_weight, bool(m.require_pow)),
        )
        return loss

    def torch_step(self, table: Table, batch: Batch) -> torch.Tensor:
        m, asked = self.model, samples(table, batch)
        user, item = self.mean(self.layers([self.graph] * m.n_layers))
        ranked = losses.bpr(*pair_scores(user, item, asked)) / len(asked[0])
        loss: torch.Tensor = ranked + m.reg_weight * self.regularizer(asked, require_pow=m.require_pow)
        self.backward(loss)
        return loss.detach()


class Sgl(Summed):
    """SGL: two graphs with nodes or edges left out, drawn for each epoch; a node's two means agree."""

    models = ("SGL",)

    def __init__(self, model: Any, kernels: Any | None, seed: int) -> None:
        super().__init__(model, kernels, seed)
        self.graph = Graph.of(model.train_graph)
        self._users, self._items = (part.long().to(model.device) for part in (model._user, model._item))
        self._interactions = Interactions.of(self._users, self._items, model.n_users, model.n_items)
        self._views: list[list[Graph]] = []

    @classmethod
    def refuses(cls, model: Any) -> str | None:
        return refused_temperature("ssl_tau", model.ssl_tau)

    def begin(self, epoch: int) -> None:
        """Graphs by the numbers that RecBole's `train` draws."""
        torch.nn.Module.train(self.model)
        self._views = [self._view(), self._view()]

    def _view(self) -> list[Graph]:
        """The graphs of the layers."""
        if self.model.type == "RW":
            return [self._interactions.graph(self._kept_edges()) for _ in range(self.model.n_layers)]
        kept = self._kept_nodes() if self.model.type == "ND" else self._kept_edges()
        return [self._interactions.graph(kept)] * self.model.n_layers

    def _kept_edges(self) -> torch.Tensor:
        m, edges = self.model, len(self._users)
        chosen = m.rand_sample(edges, size=int(edges * (1 - m.drop_ratio)), replace=False)
        kept = np.zeros(edges, dtype=bool)
        kept[chosen] = True
        return torch.from_numpy(kept).to(m.device)

    def _kept_nodes(self) -> torch.Tensor:
        m, kept = self.model, []
        for nodes in (m.n_users, m.n_items):
            here = np.ones(nodes, dtype=bool)
            here[m.rand_sample(nodes, size=int(nodes * m.drop_ratio), replace=False)] = False
            kept.append(torch.from_numpy(here).to(m.device))
        return kept[0][self._users] & kept[1][self._items]

    def native_step(self, table: Table, batch: Batch) -> float:
        m = self.model
        loss: float = self.kernels.sgl_step(  # type: ignore[union-attr]
            *(self.plain, self.gradients, self.graph.tensors, *map(self._tensors, self._views)),
            *samples(table, batch),
            *(m.n_layers, m.reg_weight, m.ssl_weight, m.ssl_tau),
        )
        return loss

    def _tensors(self, graphs: list[Graph]) -> list[torch.Tensor]:
        several = graphs if self.model.type == "RW" else graphs[:1]
        return [tensor for graph in several for tensor in graph.tensors]

    def torch_step(self, table: Table, batch: Batch) -> torch.Tensor:
        m, asked = self.model, samples(table, batch)
        better, worse = pair_scores(*self.mean(self.layers([self.graph] * m.n_layers)), asked)
        one, other = (self.mean(self.layers(view)) for view in self._views)
        apart = sum(contrast(*part, m.ssl_tau) for part in zip(one, other, asked[:2], strict=True))
        loss: torch.Tensor = -functional.logsigmoid(better - worse).sum() + m.ssl_weight * apart
        loss = loss + m.reg_weight * self.regularizer(asked)
        self.backward(loss)
        return loss.detach()


def contrast(
    one: torch.Tensor,
    others: torch.Tensor,
    nodes: torch.Tensor,
    temperature: float,
    right: torch.Tensor | None = None,
) -> torch.Tensor:
    """InfoNCE (van den Oord et al. 2018): each node of a batch told from all others, by cosines.

    Args:
        one: [n, d].
        others: [m, d].
        nodes: [batch] int64.
        temperature: what cosines are divided by.
        right: [n] int64, the row of `others` that is right for each node; None: its own.

    Returns:
        The sum over the batch of -log softmax, without dimensions.
    """
    asked = functional.normalize(one[nodes], dim=1) / temperature
    targets = nodes if right is None else right[nodes]
    return losses.cross_entropy(asked, functional.normalize(others, dim=1), targets)


def refused_temperature(name: str, temperature: float) -> str | None:
    """Why there is no fast path at a temperature: below, RecBole's sums of exponentials overflow."""
    return None if temperature > _LEAST_TEMPERATURE else f"{name} {temperature}"


def samples(table: Table, batch: Batch) -> Asked:
    """Users, items that they met, and items that they did not, where the table is.

    Raises:
        ValueError: the batch has no negatives.
    """
    rows, negatives = batch.there
    return table.users[rows], table.items[rows], needed(negatives)


def pair_scores(user: torch.Tensor, item: torch.Tensor, asked: Asked) -> tuple[torch.Tensor, torch.Tensor]:
    """[samples] each: products of users with items that they met, and with those that they did not."""
    users, positive, negative = asked
    own = user[users]
    return (own * item[positive]).sum(1), (own * item[negative]).sum(1)
