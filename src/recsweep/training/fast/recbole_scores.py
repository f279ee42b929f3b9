"""Any model's scores as RecBole computes them, for more users at once: validation where nothing better is.

RecBole's validation takes so many users at once that their scores make up `eval_batch_size`, a handful, and
goes through Python for each of them. Its own function is called here for hundreds, once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from recsweep.training.fast.base import Family
from recsweep.training.fast.scores import Matrix, Scores
from recsweep.training.fast.table import Table

_ON_CPU, _ON_GPU = 1 << 18, 1 << 22
"""Scores of one call, 1 and 16 MiB in float32: they stay in a processor's cache, and fill a GPU."""

PAIRS_AT_ONCE = 1 << 16
"""Pairs that are put together at once, each with all its columns; scored in batches of RecBole's size."""


def scores_at_once(device: torch.device) -> int:
    """Scores that one call of RecBole's own code is asked for on a device."""
    return _ON_CPU if device.type == "cpu" else _ON_GPU


class RecboleScores(Family):
    """RecBole's `full_sort_predict`, or its `predict` for all pairs where a model has no other.

    Args:
        trainer: RecBole's, of this trial.
        loader: of the validation data.
    """

    has_kernels = False
    trains = False
    by_recbole = True

    def __init__(self, trainer: Any, loader: Any) -> None:
        super().__init__(trainer.model, None, 0)
        self._trainer, self._data = trainer, loader._dataset
        self._items = int(self._data.item_num)
        at_once = scores_at_once(trainer.device)
        self._rows = max(at_once // self._items, 1)
        if loader.is_sequential:  # RecBole's batches are no smaller
            self._rows = min(self._rows, int(loader.step))
        elif _scores_pairs(trainer.model):
            self._rows = max(min(at_once, PAIRS_AT_ONCE) // self._items, 1)

    def scores(self, table: Table) -> Iterator[tuple[torch.Tensor, Scores]]:
        trainer = self._trainer
        if trainer.item_tensor is None:  # as RecBole's `evaluate` does before it scores
            trainer.item_tensor = self._data.get_item_feature().to(trainer.device)
        trainer.tot_item_num = self._items
        for begin in range(0, len(table), self._rows):
            rows = table.rows(begin, begin + self._rows)
            asked = table.columns(rows)  # type: ignore[misc]
            yield rows, Matrix(trainer._full_sort_batch_eval((asked, None, None, None))[1])


def _scores_pairs(model: Any) -> bool:
    """A model without `full_sort_predict`: every user is put together with every item."""
    return str(type(model).full_sort_predict.__qualname__).startswith("AbstractRecommender.")
