"""GRU4Rec and NARM: a recurrence that never runs over padding, and dense layers where the loss looks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.utils.rnn import PackedSequence

from recsweep.training.fast.encoders import Encoder, linear_parameters
from recsweep.training.fast.packed import Lengths, Packing
from recsweep.training.fast.stream import Batch
from recsweep.training.fast.table import Table

_TOKENS = 3200
"""Items in a chunk of the compiled recurrence; measured, see benchmarks/NOTES.md."""


class _Recurrent(Encoder):
    operators: str
    dropouts: Sequence[float]

    def native_step(self, table: Table, batch: Batch) -> float:
        operator = getattr(self.kernels, f"{self.operators}_step")
        arguments = self.sequence_arguments(table, batch)
        loss: float = operator(*arguments, list(self.dropouts), self.step_seed(), _TOKENS)
        return loss

    def native_encode(self, table: Table, rows: torch.Tensor) -> torch.Tensor:
        operator = getattr(self.kernels, f"{self.operators}_encode")
        result: torch.Tensor = operator(self.plain, *table.picked(rows), _TOKENS)
        return result

    def _run(self, gru: Any, sequences: torch.Tensor, packing: Packing) -> tuple[torch.Tensor, torch.Tensor]:
        """All outputs, packed [items, hidden], and the last one of each sequence, [rows, hidden]."""
        items = sequences[packing.rows, packing.steps]
        embedded = self.model.emb_dropout(self.model.item_embedding(items))
        outputs, last = gru(PackedSequence(embedded, packing.sizes))
        return outputs.data, last[-1]


def _layers(gru: Any) -> list[torch.nn.Parameter]:
    return [
        getattr(gru, f"weight_{kind}_l{layer}") for layer in range(gru.num_layers) for kind in ("ih", "hh")
    ]


class Gru4Rec(_Recurrent):
    """GRU4Rec: the last state, projected."""

    models = ("GRU4Rec",)
    operators = "gru4rec"

    def parameters(self) -> list[torch.nn.Parameter]:
        m = self.model
        self.dropouts = [float(m.emb_dropout.p)]
        return [m.item_embedding.weight, *_layers(m.gru_layers), *linear_parameters(m.dense)]

    def encode(self, sequences: torch.Tensor, lengths: Lengths, users: torch.Tensor) -> torch.Tensor:
        _, last = self._run(self.model.gru_layers, sequences, Packing.of(lengths))
        result: torch.Tensor = self.model.dense(last)
        return result


class Narm(_Recurrent):
    """NARM: the last state and an attention over all states."""

    models = ("NARM",)
    operators = "narm"

    def parameters(self) -> list[torch.nn.Parameter]:
        m = self.model
        self.dropouts = [float(m.emb_dropout.p), float(m.ct_dropout.p)]
        return [m.item_embedding.weight, *_layers(m.gru), *linear_parameters(m.a_1, m.a_2, m.v_t, m.b)]

    def encode(self, sequences: torch.Tensor, lengths: Lengths, users: torch.Tensor) -> torch.Tensor:
        m, packing = self.model, Packing.of(lengths)
        outputs, last = self._run(m.gru, sequences, packing)
        # v_t has no bias, so RecBole's mask on the gate is a mask on the weight.
        weights = m.v_t(torch.sigmoid(m.a_1(outputs) + packing.spread(m.a_2(last))))
        local = packing.sums(weights * outputs)
        result: torch.Tensor = m.b(m.ct_dropout(torch.cat([local, last], dim=1)))
        return result
