"""DSSM, whose scores alone are ours: a vector of each user and item, and the cosines of all of them."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.nn import functional

from recsweep.training.fast.context import ContextFamily
from recsweep.training.fast.scores import Matrix, Scores, rows_at_once
from recsweep.training.fast.table import Table


class Dssm(ContextFamily):
    """DSSM: the cosine of two towers, one over each side's features (Huang et al. 2013, CIKM)."""

    models = ("DSSM",)
    trains = False
    has_kernels = False
    untrained = "batch normalization over the batch: RecBole differs from itself after one rounding"

    def scores(self, table: Table) -> Iterator[tuple[torch.Tensor, Scores]]:
        m = self.model
        sides = self._both(table)
        own, other = (
            functional.normalize(layers(side.in_order(m)), dim=1)
            for side, layers in zip(sides, (m.user_mlp_layers, m.item_mlp_layers), strict=True)
        )
        for rows in torch.split(torch.arange(len(table)), rows_at_once(len(other))):
            users = table.users[rows.to(table.device)]
            yield rows, Matrix((own[users] @ other.t()).sigmoid_())
