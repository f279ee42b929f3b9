"""Families of models that are computed: RecBole's constructor works, and its epoch only passes.

RecBole computes such a model when it is made, and then goes through an epoch of batches that nobody looks at.
Here the model is made empty, and computed in its one epoch, from what all trials on the data share.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

import torch

from recsweep.training.fast.base import Family
from recsweep.training.fast.grams import Array, dense
from recsweep.training.fast.scores import Matrix, Scores, rows_at_once
from recsweep.training.fast.table import Table

KEPT_BYTES = 1 << 28
"""A matrix up to this size is kept in checkpoints; a larger one is computed again where it is needed."""


class Computed(Family):
    """A family whose model has nothing that is learnt by gradients.

    `blank` puts into an empty model all that RecBole's constructor would, but for what takes time; `compute`
    adds that, in the first epoch. Random numbers are drawn in RecBole's order: those of its constructor by
    `compute`, then those of an epoch. A model that RecBole's constructor has made, or that a checkpoint has
    filled, is computed already, and `compute` leaves it.

    What is computed stands under RecBole's names, in a form that its own `predict` and `full_sort_predict`
    take, so that RecBole can validate and test such a model too. `other_parameter_name` says what of it goes
    into a checkpoint: what follows from the data alone does not.
    """

    trainers: ClassVar[tuple[str, ...]] = ("TraditionalTrainer",)
    pointwise: ClassVar[bool] = True
    computes: ClassVar[bool] = True

    def __init__(self, model: Any, kernels: Any | None, seed: int) -> None:
        super().__init__(model, kernels, seed)
        self._dense: tuple[Any, Array] | None = None

    @property
    @abstractmethod
    def computed(self) -> bool:
        """There is nothing left to compute."""

    def compute(self, *, in_full: bool = True) -> None:
        if not self.computed:
            self.work()
        if in_full:
            self.complete()

    def work(self) -> None:
        """Compute a model that is blank."""
        raise NotImplementedError

    def complete(self) -> None:
        """Add to what `work` computed all that RecBole's own code needs besides."""

    @abstractmethod
    def scored(self, users: torch.Tensor) -> torch.Tensor:
        """Scores [users, n_items], float32, of these users: int64, on the CPU."""

    def dense_of(self, matrix: Any) -> Array:
        """A similarity as an array, float32; made once for a matrix that is asked for again."""
        if self._dense is None or self._dense[0] is not matrix:
            self._dense = matrix, dense(matrix)
        return self._dense[1]

    def keep_dense(self, matrix: Any, array: Array) -> None:
        """Say what a similarity is as an array."""
        self._dense = matrix, array

    def by_item(self, matrix: Any) -> Any:
        """Interactions by item, CSR [items, users]; of the matrix that all trials share the kept ones."""
        shared = getattr(self.model, "shared", None)
        return shared.columns if shared is not None else matrix.T.tocsr()

    def scores(self, table: Table) -> Iterator[tuple[torch.Tensor, Scores]]:
        step = rows_at_once(int(self.model.n_items))
        for begin in range(0, len(table), step):
            rows = table.rows(begin, begin + step)
            users = table.users[rows.to(table.device)].cpu()
            yield rows, Matrix(self.scored(users).to(table.device))
