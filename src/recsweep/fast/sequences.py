"""Every other sequential model that was proven: RecBole's own loss, over parts of a batch.

Most of RecBole's time goes to padding and to arrays that fit no cache. Here a batch is sorted by length
and cut; each part ends with its longest sequence, and its loss counts by its share of the batch. What a
model bears was found by comparison with RecBole, model by model; see `tests/test_sequences_generic.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from recsweep.fast.base import Family, chunk_bounds
from recsweep.fast.stream import Batch, Table
from recsweep.recbole_api.data import interaction


@dataclass(frozen=True)
class Recipe:
    """What a model's loss bears without becoming another one."""

    trim: bool
    """Padding at the end changes nothing: it may be left out."""
    cut: bool
    """The loss is a mean over the samples (plus what depends on weights alone)."""
    values: int = 1 << 20


ALLOWED = {
    "CORE": Recipe(trim=True, cut=True),
    "Caser": Recipe(trim=False, cut=True),
    "FDSA": Recipe(trim=True, cut=True),
    "GCSAN": Recipe(trim=True, cut=True),
    "GRU4RecCPR": Recipe(trim=True, cut=True),
    "GRU4RecF": Recipe(trim=True, cut=True),
    "HGN": Recipe(trim=False, cut=False),
    "HRM": Recipe(trim=False, cut=True),
    "LightSANs": Recipe(trim=False, cut=True),
    "NPE": Recipe(trim=False, cut=True),
    "NextItNet": Recipe(trim=False, cut=True),
    "RepeatNet": Recipe(trim=False, cut=True),
    "SASRecCPR": Recipe(trim=True, cut=True),
    "SASRecF": Recipe(trim=True, cut=True),
    "SHAN": Recipe(trim=False, cut=False),
    "SINE": Recipe(trim=False, cut=True),
    "SRGNN": Recipe(trim=True, cut=True),
    "TransRec": Recipe(trim=False, cut=False),
}
REFUSED: dict[str, str] = {}


class Sequences(Family):
    """A model whose `calculate_loss` and `full_sort_predict` are RecBole's."""

    models = tuple(ALLOWED)

    def __init__(self, model: Any, kernels: Any | None, seed: int) -> None:
        super().__init__(model, None, seed)
        for weight in self.weights:
            weight.grad = None
        self.recipe = ALLOWED[type(model).__name__]

    def parameters(self) -> list[torch.nn.Parameter]:
        return list(self.model.parameters())

    def native_step(self, table: Table, batch: Batch) -> float:
        raise NotImplementedError

    def queries(self, table: Table, rows: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    def candidates(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        raise NotImplementedError

    def torch_step(self, table: Table, batch: Batch) -> torch.Tensor:
        total = torch.zeros((), device=table.device)
        for places in self._parts(table, batch.rows):
            negatives = None if batch.negatives is None else batch.negatives[places]
            part = self._interaction(table, batch.rows[places], negatives)
            loss = self.model.calculate_loss(part) * (len(places) / len(batch.rows))
            loss = loss.sum()  # a few losses are of shape [1]
            loss.backward()
            total += loss.detach()
        return total

    def _parts(self, table: Table, rows: torch.Tensor) -> Iterator[torch.Tensor]:
        lengths = table.lengths[rows]
        if not self.recipe.cut or table.device.type != "cpu":
            yield torch.arange(len(rows))
            return
        width = table.sequences.shape[1]
        tokens = self.recipe.values // 64
        if self.recipe.trim:
            order = torch.argsort(lengths, descending=True, stable=True)
            bounds = chunk_bounds(lengths[order].tolist(), tokens)
        else:
            order = torch.arange(len(rows))
            bounds = chunk_bounds([width] * len(rows), tokens)
        for a, b in bounds:
            yield order[a:b]

    def _interaction(self, table: Table, rows: torch.Tensor, negatives: torch.Tensor | None) -> Any:
        m, lengths = self.model, table.lengths[rows]
        on = rows.to(table.device)
        sequences = table.sequences[on]
        if self.recipe.trim:
            sequences = sequences[:, : int(lengths.max())].contiguous()
        fields = {
            m.USER_ID: table.users[on],
            m.ITEM_ID: table.items[on],
            m.ITEM_SEQ: sequences,
            m.ITEM_SEQ_LEN: lengths.to(table.device),
        }
        if hasattr(m, "INVERSE_ITEM_SEQ"):
            fields[m.INVERSE_ITEM_SEQ] = inverse(sequences, fields[m.ITEM_SEQ_LEN])
        if negatives is not None:
            fields[m.NEG_ITEM_ID] = negatives.to(table.device)
        return interaction(fields)

    def scored(self, table: Table) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        rows = torch.arange(len(table))
        order = torch.argsort(table.lengths, descending=True, stable=True) if self.recipe.trim else rows
        step = max(1, min(256, (1 << 22) // self.model.n_items))
        if type(self.model).__name__ == "TransRec":
            step = max(1, (1 << 22) // (self.model.n_items * self.model.embedding_size))
        for begin in range(0, len(table), step):
            rows = order[begin : begin + step]
            yield rows, self.model.full_sort_predict(self._interaction(table, rows, None))


def inverse(sequences: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    width = sequences.shape[1]
    places = torch.arange(width, device=sequences.device) - (width - lengths[:, None])
    return sequences.gather(1, places.clamp(min=0)) * (places >= 0)
