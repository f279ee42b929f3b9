"""Clusters without faiss: NCL's k-means alone is replaced, on RecBole's code and on fast paths alike."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import torch

from recsweep.recbole_api import compat


def _dealt(model: Any, rows: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows dealt to the clusters in turns: whose, and the unit vectors of the means, do not jump.

    Where k-means says which centre is nearer, one rounding may change the answer.
    """
    values = torch.as_tensor(rows)
    which = torch.arange(len(values)) % model.k
    sums = torch.zeros(model.k, values.shape[1]).index_add_(0, which, values)
    return torch.nn.functional.normalize(sums, dim=1).to(model.device), which.to(model.device)


@contextlib.contextmanager
def dealt_clusters() -> Iterator[None]:
    """Meanwhile NCL needs no faiss."""
    compat.apply()
    from recbole.model.general_recommender.ncl import NCL

    with patch.object(NCL, "run_kmeans", _dealt):
        yield
