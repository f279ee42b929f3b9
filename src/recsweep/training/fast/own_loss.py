"""Every other sequential model that was proven: RecBole's own loss and scores, without the waste.

Where a model masks the padding, a batch is sorted by length and cut: each part ends with its longest
sequence, fits a cache, and counts by its share of the batch. Where padding counts, or the loss is no mean
over samples, a batch stays whole. What each model bears was found by comparison with RecBole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from recsweep.recbole_api.data import interaction
from recsweep.training.fast.base import Family
from recsweep.training.fast.encoders import chunk_bounds
from recsweep.training.fast.scores import Matrix, Scores
from recsweep.training.fast.stream import Batch
from recsweep.training.fast.table import Table, required

_VALUES_AT_ONCE = 1 << 18
"""Numbers in the embeddings of one part, padding included: what a layer holds at once stays in the cache."""
_SCORES_AT_ONCE = 1 << 22
"""Scores of a validation that are in memory at once, with what a model makes of each: 16 MiB in float32."""
_ROWS_AT_ONCE = 256
"""Rows of a validation that are scored at once, where that memory would bear more."""


@dataclass(frozen=True)
class Recipe:
    """The changes that a model bears without becoming another one."""

    trim: bool = False
    """Padding changes nothing and the loss is a mean over samples (and what depends on weights alone)."""
    scores_of: str | None = None
    """The attribute that multiplies the memory of RecBole's scores, where it makes more than one a pair."""
    transform: str | None = None
    """Of RecBole's loader, which is done here."""


ALLOWED = {
    "CORE": Recipe(trim=True),
    "FDSA": Recipe(trim=True),
    "GCSAN": Recipe(trim=True),
    "GRU4RecF": Recipe(trim=True),
    "HRM": Recipe(),  # pools over padding
    "LightSANs": Recipe(),  # attends to padding
    "NPE": Recipe(),  # sums the embedding of padding too
    "RepeatNet": Recipe(),  # attends to padding
    "SASRecF": Recipe(trim=True),
    # The norm of a whole batch's embeddings; validation counts from the padded end.
    "SHAN": Recipe(transform="inverse_itemseq"),
    "SRGNN": Recipe(trim=True),
    "TransRec": Recipe(scores_of="embedding_size"),  # the norm of a whole batch's embeddings
}
"""Without `trim` the gain is in the batches, the optimizer, dropout and the validation."""

REFUSED = {
    "Caser": "no gain: convolutions over the padded width",
    "DIEN": "batch normalization over the batch",
    "DIN": "batch normalization over the batch",
    "FEARec": "a contrastive loss over the batch",
    "GRU4RecCPR": "no gain: reads the end of the padded width",
    "GRU4RecKG": "needs a knowledge graph; not compared with RecBole",
    "HGN": "no gain: gates over the padded width",
    "KSR": "needs a knowledge graph; not compared with RecBole",
    "NextItNet": "no gain: convolutions over the padded width",
    "SASRecCPR": "no gain: reads the end of the padded width",
    "SINE": "no gain: attention to the padded width",
}
"""Why the other sequential models stay with RecBole's code."""


class OwnLoss(Family):
    """A model whose `calculate_loss` and `full_sort_predict` are RecBole's; no compiled kernels."""

    models = tuple(ALLOWED)
    refused = REFUSED
    transforms: ClassVar = {name: recipe.transform for name, recipe in ALLOWED.items() if recipe.transform}
    has_kernels = False

    def __init__(self, model: Any, kernels: Any | None, seed: int) -> None:
        super().__init__(model, kernels, seed)
        for weight in self.weights:
            weight.grad = None  # no step for weights that the loss does not reach, as with RecBole
        self._trim = ALLOWED[type(model).__name__].trim
        wide = ALLOWED[type(model).__name__].scores_of
        scores = model.n_items * (1 if wide is None else getattr(model, wide))
        self._rows_at_once = max(1, min(_ROWS_AT_ONCE, _SCORES_AT_ONCE // scores))
        self._item_dropout = _share_item_dropout(model)
        _use_tensors(model)

    @classmethod
    def refuses(cls, model: Any) -> str | None:
        if getattr(model, "joint_train", False):
            return "joint_train: a loss over pairs of a batch's samples"
        return None

    def torch_step(self, table: Table, batch: Batch) -> torch.Tensor:
        total = torch.zeros((), device=table.device)
        if self._item_dropout is not None:
            self._item_dropout.renew()
        for rows, places, negatives in self._parts(table, batch):
            part = self._interaction(table, rows, places, negatives)
            # A few losses have the shape [1].
            loss = self.model.calculate_loss(part).sum() * (len(rows) / len(batch.rows))
            self.backward(loss)
            total += loss.detach()
        return total

    def scores(self, table: Table) -> Iterator[tuple[torch.Tensor, Scores]]:
        order = table.rows(0, len(table))
        if self._trim:
            order = torch.argsort(required(table.lengths), descending=True, stable=True)
        for begin in range(0, len(table), self._rows_at_once):
            rows = order[begin : begin + self._rows_at_once]
            scores = self.model.full_sort_predict(self._interaction(table, rows, rows.to(table.device), None))
            yield rows, Matrix(scores.view(len(rows), -1))

    def _parts(
        self, table: Table, batch: Batch
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]]:
        """Rows on the CPU, rows where the table is, negatives there; whole on a GPU.

        The cut depends on shapes alone, so that a trial can be repeated.
        """
        rows, negatives = batch.rows, batch.negatives
        if batch.places is not None:
            yield rows, batch.places, batch.placed_negatives
            return
        if not self._trim:
            yield rows, rows, negatives
            return
        lengths = required(table.lengths)[rows]
        order = torch.argsort(lengths, descending=True, stable=True)
        items, width = self.model.item_embedding.weight.shape
        # Each part fills a gradient of all items: there are few parts where there are many items.
        tokens = max(_VALUES_AT_ONCE // width, items // 4)
        for begin, end in chunk_bounds(lengths[order].tolist(), tokens):
            part = order[begin:end]
            yield rows[part], rows[part], None if negatives is None else negatives[part]

    def _interaction(
        self, table: Table, rows: torch.Tensor, places: torch.Tensor, negatives: torch.Tensor | None
    ) -> Any:
        """The columns that these models read; trimmed, where a model bears it, to the longest sequence."""
        m, lengths, sequences = self.model, required(table.lengths)[rows], required(table.sequences)[places]
        if self._trim:
            sequences = sequences[:, : int(lengths.max())].contiguous()
        fields = {m.USER_ID: table.users[places], m.ITEM_ID: table.items[places], m.ITEM_SEQ: sequences}
        fields[m.ITEM_SEQ_LEN] = table.lengths_there[places]
        if negatives is not None:
            fields[m.NEG_ITEM_ID] = negatives
        if hasattr(m, "INVERSE_ITEM_SEQ"):
            fields[m.INVERSE_ITEM_SEQ] = padded_in_front(sequences, fields[m.ITEM_SEQ_LEN])
        return interaction(fields)


class _OncePerBatch(nn.Module):
    """Dropout whose mask all parts of a batch share, as they would in a whole batch."""

    def __init__(self, dropout: nn.Module) -> None:
        super().__init__()
        self._dropout = dropout
        self._mask: torch.Tensor | None = None

    def renew(self) -> None:
        """Begin a batch."""
        self._mask = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or not self._dropout.p:
            return x
        if self._mask is None:
            self._mask = self._dropout(torch.ones_like(x)).detach()
        return x * self._mask


def _share_item_dropout(model: Any) -> _OncePerBatch | None:
    """CORE drops from the embeddings of all items, once for a batch."""
    if type(model).__name__ != "CORE":
        return None
    model.item_dropout = _OncePerBatch(model.item_dropout)
    shared: _OncePerBatch = model.item_dropout
    return shared


def _use_tensors(model: Any) -> None:
    """Put exact tensor operations where RecBole goes through sequences in Python, item by item."""
    name = type(model).__name__
    if name == "HRM":
        # The maximum is taken over the last few items alone, the mean over all.
        last = model.high_order if model.pooling_type_layer_1 == "max" else model.max_seq_length
        model.inverse_seq_item = lambda items, lengths: padded_in_front(items, lengths)[:, -last:]
    elif name == "GCSAN":
        model._get_slice = session_graph
    elif name == "SRGNN":
        model._get_slice = lambda sequences: (*session_graph(sequences), sequences.gt(0))


def padded_in_front(sequences: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Sequences [rows, width] with their padding moved from the end to the front.

    Args:
        sequences: [rows, width] int64, 0 where there is padding.
        lengths: [rows] int64, without padding.
    """
    width = sequences.shape[1]
    places = torch.arange(width, device=sequences.device) - (width - lengths[:, None])
    return sequences.gather(1, places.clamp(min=0)) * (places >= 0)


def session_graph(sequences: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """RecBole's `_get_slice`: who follows whom in each sequence of [rows, width].

    Returns:
        The node of each position [rows, width]; shares of incoming, then of outgoing edges
        [rows, width, 2 * width]; the item of each node, padding included [rows, width].
    """
    rows, width = sequences.shape
    ordered, order = sequences.sort(dim=1)
    number = (ordered[:, 1:] != ordered[:, :-1]).long().cumsum(1)
    number = torch.cat([number.new_zeros(rows, 1), number], dim=1)
    nodes = torch.zeros_like(sequences).scatter_(1, number, ordered)
    places = torch.zeros_like(sequences).scatter_(1, order, number)
    edges = places[:, :-1] * width + places[:, 1:]
    real = (sequences[:, 1:] != 0).float()
    graph = torch.zeros(rows, width * width, device=sequences.device).scatter_(1, edges, real)
    graph = graph.view(rows, width, width)
    incoming = graph.transpose(1, 2) / graph.sum(1).clamp(min=1)[:, :, None]
    outgoing = graph / graph.sum(2).clamp(min=1)[:, :, None]
    return places, torch.cat([incoming, outgoing], dim=2), nodes
