"""The common part of encoders: a sequence becomes a vector, which is multiplied by item embeddings."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch

from recsweep.training.fast import losses
from recsweep.training.fast.packed import Lengths
from recsweep.training.fast.products import ProductFamily
from recsweep.training.fast.stream import Batch, needed
from recsweep.training.fast.table import Table, required

CROSS_ENTROPY, BPR = 1, 2
_KINDS = {"CE": CROSS_ENTROPY, "BPR": BPR}
TOKENS = 12_800
"""Items in a chunk of sequences, padding included: the Python path's balance of memory and overhead."""


class Encoder(ProductFamily):
    """A model that turns a sequence into a vector and multiplies it by item embeddings."""

    fixed_width: ClassVar[bool] = False
    """True where padding counts, so that sequences may not be trimmed."""

    @classmethod
    def refuses(cls, model: Any) -> str | None:
        return None if model.loss_type in _KINDS else f"loss_type {model.loss_type}"

    @property
    def kind(self) -> int:
        """The loss, by its number in the kernels."""
        return _KINDS[self.model.loss_type]

    @abstractmethod
    def encode(self, sequences: torch.Tensor, lengths: Lengths, users: torch.Tensor) -> torch.Tensor:
        """[rows, d] by torch operations.

        Args:
            sequences: [rows, longest], trimmed unless `fixed_width`.
            lengths: of the rows.
            users: [rows].
        """

    @abstractmethod
    def native_encode(self, table: Table, rows: torch.Tensor) -> torch.Tensor:
        """[rows, d] by the compiled kernels, without dropout."""

    def regularization(
        self, table: Table, places: torch.Tensor, targets: torch.Tensor, hidden: torch.Tensor
    ) -> torch.Tensor | None:
        """The part of the loss that needs a whole batch; only models that are not cut into chunks have it.

        Args:
            table: the training data.
            places: [rows], the batch's rows where the table is.
            targets: [rows].
            hidden: [rows, d], what `encode` gave.

        Returns:
            A number without dimensions, which is added to the mean of the losses; None: there is none.
        """
        return None

    def torch_step(self, table: Table, batch: Batch) -> torch.Tensor:
        total = torch.zeros((), device=table.device)
        share = 1.0 / len(batch.rows)
        for rows, places, negatives in self._chunks(table, batch):
            hidden = self._encode(table, rows, places)
            targets = table.items[places]
            loss = self._loss(targets, negatives, hidden) * share
            extra = self.regularization(table, places, targets, hidden)
            if extra is not None:
                loss = loss + extra
            self.backward(loss)
            total += loss.detach()
        return total

    def _chunks(
        self, table: Table, batch: Batch
    ) -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]]:
        """Rows on the CPU, rows where the table is, negatives there; longest sequence first.

        On a CPU in chunks of sequences of like lengths; whole on a GPU, and where the width counts.
        """
        if batch.places is not None:
            return [(batch.rows, batch.places, batch.placed_negatives)]
        lengths = required(table.lengths)[batch.rows]
        order = torch.argsort(lengths, descending=True, stable=True)
        rows = batch.rows[order]
        negatives = None if batch.negatives is None else batch.negatives[order]
        if self.fixed_width:
            return [(rows, rows, negatives)]
        bounds = chunk_bounds(lengths[order].tolist(), TOKENS)
        return [(rows[a:b], rows[a:b], None if negatives is None else negatives[a:b]) for a, b in bounds]

    def _encode(self, table: Table, rows: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """Rows sorted by length, longest first; on the CPU, and where the table is."""
        lengths = Lengths(required(table.lengths)[rows], table.lengths_there[places])
        picked = required(table.sequences)[places]
        if not self.fixed_width:
            picked = picked[:, : lengths.longest]
        return self.encode(picked, lengths, table.users[places])

    def _loss(
        self, targets: torch.Tensor, negatives: torch.Tensor | None, hidden: torch.Tensor
    ) -> torch.Tensor:
        items, _ = self.candidates()
        if self.kind == CROSS_ENTROPY:
            return losses.cross_entropy(hidden, items, targets)
        embedding = self.model.item_embedding
        better = (hidden * embedding(targets)).sum(1)
        worse = (hidden * embedding(needed(negatives))).sum(1)
        return losses.bpr(better, worse)

    def queries(self, table: Table, rows: torch.Tensor) -> torch.Tensor:
        if self.kernels is not None:
            return self.native_encode(table, rows)
        order = torch.argsort(required(table.lengths)[rows], descending=True, stable=True)
        encoded = self._encode(table, rows[order], rows[order].to(table.device))
        return torch.empty_like(encoded).index_copy_(0, order.to(table.device), encoded)

    def candidates(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        return self.model.item_embedding.weight, None

    def sequence_arguments(self, table: Table, batch: Batch) -> tuple[Any, ...]:
        """The first arguments of every kernel of a sequence model: weights, gradients, data, rows, loss."""
        return (
            self.plain,
            self.gradients,
            *table.picked(batch.rows),
            table.items[batch.rows],
            batch.negatives,
            self.kind,
        )


def chunk_bounds(lengths: Sequence[int], tokens: int) -> list[tuple[int, int]]:
    """Cut a batch into runs of at most `tokens` items with their padding, and of one sequence at least.

    Args:
        lengths: of the sequences, the longest one first, each at least 1.
        tokens: items, padding included.

    Returns:
        Where each run begins, and where it ends.
    """
    bounds, begin = [], 0
    while begin < len(lengths):
        end = min(len(lengths), begin + max(1, tokens // lengths[begin]))
        bounds.append((begin, end))
        begin = end
    return bounds


def linear_parameters(*layers: Any) -> list[torch.nn.Parameter]:
    """Weight and bias (where there is one) of each layer."""
    return [p for layer in layers for p in (layer.weight, getattr(layer, "bias", None)) if p is not None]
