"""BERT4Rec: what is masked decides where the last layer and the loss look; trimmed, fused projections.

RecBole's transform draws the masks from Python's `random`; it is called with the same batches, so that the
masks are the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch.nn import functional

from recsweep.recbole_api.data import interaction
from recsweep.training.fast import losses
from recsweep.training.fast.encoders import chunk_bounds
from recsweep.training.fast.products import ProductFamily
from recsweep.training.fast.stream import Batch, Stream, sent
from recsweep.training.fast.table import Table, required
from recsweep.training.fast.transformer import feed_forward, joined_layers, output

_VALUES_AT_ONCE = 1 << 18
"""Numbers in the embeddings of one part of a batch, padding included: they stay in the cache."""


@dataclass(frozen=True)
class Masked:
    """Sequences with masked places, on the CPU, where RecBole makes them."""

    sequences: torch.Tensor
    """[rows, width]."""
    places: torch.Tensor
    """[rows, masks], ascending, behind padding with 0. RecBole's loss leaves out a mask at place 0 too."""
    positives: torch.Tensor
    """[rows, masks], the items under the masks."""
    negatives: torch.Tensor
    """[rows, masks]."""

    def part(self, rows: torch.Tensor, longest: int) -> Masked:
        """Some rows, without the columns that are padding in all of them.

        Args:
            rows: [part] int64, places in this object.
            longest: the longest of their sequences.
        """
        places = self.places[rows]
        first = places.shape[1] - int((places > 0).any(0).sum())
        columns = (self.positives[rows, first:], self.negatives[rows, first:])
        return Masked(self.sequences[rows, :longest], places[:, first:], *columns)


class Masking:
    """RecBole's `MaskItemSequence` on row numbers.

    Args:
        loader: RecBole's loader, whose transform is called.
    """

    def __init__(self, loader: Any) -> None:
        self._transform, self._dataset, self._step = loader.transform, loader._dataset, int(loader.step)
        fields = self._dataset.inter_feat.interaction
        names = (self._transform.ITEM_SEQ, self._transform.ITEM_SEQ_LEN)
        self._columns = {name: fields[name].cpu() for name in names}

    def __call__(self, rows: torch.Tensor) -> Masked:
        """Draw the masks of a batch, of the rows [batch] of the loader's data set."""
        t = self._transform
        batch = interaction({name: values[rows] for name, values in self._columns.items()})
        done = t(self._dataset, batch)
        names = (t.MASK_ITEM_SEQ, t.MASK_INDEX, t.POS_ITEMS, t.NEG_ITEMS)
        return Masked(*(done[name] for name in names))

    def draw_all(self) -> None:
        """Draw masks for all rows and forget them, as RecBole's validation does before it scores."""
        rows = torch.arange(len(self._dataset))
        for begin in range(0, len(rows), self._step):
            self(rows[begin : begin + self._step])


class Bert4Rec(ProductFamily):
    """BERT4Rec: self-attention in both directions; no compiled kernels."""

    models = ("BERT4Rec",)
    transforms: ClassVar = {"BERT4Rec": "mask_itemseq"}
    has_kernels = False

    def __init__(self, model: Any, kernels: Any | None, seed: int) -> None:
        super().__init__(model, kernels, seed)
        self._maskings: dict[Any, Masking] = {}

    def _masking(self, loader: Any) -> Masking:
        if loader not in self._maskings:
            self._maskings[loader] = Masking(loader)
        return self._maskings[loader]

    def batches(self, stream: Stream, table: Table) -> Iterator[Batch]:
        """Masks are drawn for the samples in RecBole's order, so that batches are not sorted."""
        masking = self._masking(stream.loader)
        for batch in stream.epoch():
            yield Batch(batch.rows, None, extra=masking(batch.rows))

    def draw_as_validation(self, loader: Any) -> None:
        self._masking(loader).draw_all()

    def torch_step(self, table: Table, batch: Batch) -> torch.Tensor:
        masked: Masked = batch.extra
        total = torch.zeros((), device=table.device)
        targets = int((masked.places > 0).sum())
        if targets == 0:
            return total / 0  # RecBole's loss too is not a number
        for rows, longest in self._parts(table, batch.rows, masked.places):
            loss = self._loss(table, masked.part(rows, longest)) / targets
            self.backward(loss)
            total += loss.detach()
        return total

    def _parts(
        self, table: Table, rows: torch.Tensor, places: torch.Tensor | None
    ) -> Iterator[tuple[torch.Tensor, int]]:
        """Places of rows that have a target, longest sequences first, and the longest length of each part."""
        lengths = required(table.lengths)[rows]
        order = torch.argsort(lengths, descending=True, stable=True)
        if places is not None:
            order = order[(places > 0).any(1)[order]]
        ordered = lengths[order].tolist()
        bounds = [(0, len(ordered))]
        if table.device.type == "cpu":
            # Each part fills a gradient of all items: there are few parts where there are many items.
            items, width = self.model.item_embedding.weight.shape
            bounds = chunk_bounds(ordered, max(_VALUES_AT_ONCE // width, items // 4))
        for begin, end in bounds:
            yield order[begin:end], ordered[begin]

    def _loss(self, table: Table, part: Masked) -> torch.Tensor:
        """RecBole's loss, summed over the targets."""
        wanted = torch.nonzero(part.places.flatten() > 0).squeeze(1)
        columns = (part.positives.flatten()[wanted], part.negatives.flatten()[wanted])
        positives, negatives, *given = sent(table, *columns, part.sequences, part.places, wanted)
        hidden = self._encode(*given)
        items, bias = self.candidates()
        if self.model.loss_type == "CE":
            # The bias is one more dimension, in which every query is 1.
            ones = hidden.new_ones(len(hidden), 1)
            joined = torch.cat([items, bias[:, None]], dim=1)
            return losses.cross_entropy(torch.cat([hidden, ones], dim=1), joined, positives)
        embedding = self.model.item_embedding
        better = (hidden * embedding(positives)).sum(1) + bias[positives]
        worse = (hidden * embedding(negatives)).sum(1) + bias[negatives]
        return -torch.log(1e-14 + torch.sigmoid(better - worse)).sum()

    def _encode(self, sequences: torch.Tensor, places: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        """[wanted, d].

        Args:
            sequences: [rows, longest].
            places: [rows, queries], where the last layer looks.
            wanted: of these places, flat, the ones that count.
        """
        m = self.model
        positions = m.position_embedding.weight[: sequences.shape[1]]
        x = m.dropout(m.LayerNorm(m.item_embedding(sequences) + positions))
        real = sequences != 0
        *first, last = m.trm_encoder.layer
        for layer in first:
            attention = layer.multi_head_attention
            x = feed_forward(layer.feed_forward, output(attention, _context(attention, x, x, real), x))
        attention = last.multi_head_attention
        queries = x.gather(1, places[:, :, None].expand(-1, -1, x.shape[2]))
        context = _context(attention, queries, x, real).flatten(0, 1)[wanted]
        x = feed_forward(last.feed_forward, output(attention, context, queries.flatten(0, 1)[wanted]))
        result: torch.Tensor = m.output_ln(m.output_gelu(m.output_ffn(x)))
        return result

    def queries(self, table: Table, rows: torch.Tensor) -> torch.Tensor:
        """As RecBole's `reconstruct_test_data`: a mask behind the last item, then without the first one."""
        lengths = required(table.lengths)[rows]
        result = self._plain[0].new_empty(len(rows), self.model.hidden_size)
        for part, longest in self._parts(table, rows, None):
            last = (lengths[part] - 1)[:, None].to(table.device)
            sequences = functional.pad(required(table.sequences)[rows[part].to(table.device)], (-1, 1))
            sequences = sequences[:, :longest].scatter(1, last, self.model.mask_token)
            every = torch.arange(len(part), device=table.device)
            result[part.to(table.device)] = self._encode(sequences, last, every).to(result.dtype)
        return result

    def candidates(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self.model.item_embedding.weight[: self.model.n_items], self.model.output_bias


def _context(attention: Any, queries: torch.Tensor, x: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """The answers to queries [rows, queries, d] from the real ones of x [rows, longest, d]."""
    rows, length, d = x.shape
    heads, size = attention.num_attention_heads, attention.attention_head_size
    layers = [attention.key, attention.value]
    if queries is x:
        layers.append(attention.query)
    joined = functional.linear(x, *joined_layers(*layers)).view(rows, length, len(layers), heads, size)
    key, value, *found = joined.permute(2, 0, 3, 1, 4)
    query = found[0] if found else attention.query(queries).view(rows, -1, heads, size).transpose(1, 2)
    drop = attention.attn_dropout
    share = drop.p if drop.training else 0.0
    mask = real[:, None, None]
    if share == 0.0 or x.device.type != "cpu":
        context = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=share)
    else:  # on a CPU the fused kernel would draw its masks by torch's slow generator
        scores = query @ key.transpose(2, 3) / math.sqrt(size) + torch.where(mask, 0.0, -10000.0)
        context = drop(torch.softmax(scores, dim=3)) @ value
    return context.transpose(1, 2).reshape(rows, -1, d)
