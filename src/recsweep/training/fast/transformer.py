"""SASRec: the last layer for the last position only, fused projections, trimmed sequences."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.nn import functional

from recsweep.training.fast.encoders import Encoder, linear_parameters
from recsweep.training.fast.packed import Lengths
from recsweep.training.fast.stream import Batch
from recsweep.training.fast.table import Table

_ACTIVATIONS = ("gelu", "relu", "swish", "tanh", "sigmoid")
_TOKENS = 1024
"""Items in a chunk of the compiled encoder: all it holds stays in the cache; see benchmarks/NOTES.md."""


class SasRec(Encoder):
    """SASRec: self-attention from left to right."""

    models = ("SASRec",)

    @classmethod
    def refuses(cls, model: Any) -> str | None:
        if model.hidden_act not in _ACTIVATIONS:
            return f"hidden_act {model.hidden_act}"
        return super().refuses(model)

    def parameters(self) -> list[torch.nn.Parameter]:
        m = self.model
        found = [m.item_embedding.weight, m.position_embedding.weight, *linear_parameters(m.LayerNorm)]
        for layer in m.trm_encoder.layer:
            a, f = layer.multi_head_attention, layer.feed_forward
            found += linear_parameters(a.query, a.key, a.value, a.dense, a.LayerNorm)
            found += linear_parameters(f.dense_1, f.dense_2, f.LayerNorm)
        return found

    def _shape(self) -> tuple[list[int], list[float]]:
        m = self.model
        sizes = [int(m.n_layers), int(m.n_heads), _ACTIVATIONS.index(m.hidden_act)]
        return sizes, [float(m.layer_norm_eps), float(m.hidden_dropout_prob), float(m.attn_dropout_prob)]

    def native_step(self, table: Table, batch: Batch) -> float:
        arguments = self.sequence_arguments(table, batch)
        loss: float = self.kernels.sasrec_step(*arguments, *self._shape(), self.step_seed(), _TOKENS)  # type: ignore[union-attr]
        return loss

    def native_encode(self, table: Table, rows: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.kernels.sasrec_encode(  # type: ignore[union-attr]
            self.plain, *table.picked(rows), *self._shape(), _TOKENS
        )
        return result

    def encode(self, sequences: torch.Tensor, lengths: Lengths, users: torch.Tensor) -> torch.Tensor:
        m = self.model
        places = m.position_embedding.weight[: sequences.shape[1]]
        x = m.dropout(m.LayerNorm(m.item_embedding(sequences) + places))
        *first, last = m.trm_encoder.layer
        for layer in first:
            x = feed_forward(layer.feed_forward, _attend(layer.multi_head_attention, x))
        x = _attend_last(last.multi_head_attention, x, lengths.there)
        return feed_forward(last.feed_forward, x)


def _attend(attention: Any, x: torch.Tensor) -> torch.Tensor:
    """All positions, each over those up to itself. Padding stands at the end, so none sees it."""
    rows, length, d = x.shape
    heads, size = attention.num_attention_heads, attention.attention_head_size
    joined = functional.linear(x, *joined_layers(attention.query, attention.key, attention.value))
    query, key, value = joined.view(rows, length, 3, heads, size).permute(2, 0, 3, 1, 4)
    drop = attention.attn_dropout
    share = drop.p if drop.training else 0.0
    if share == 0.0 or x.device.type != "cpu":
        context = functional.scaled_dot_product_attention(query, key, value, dropout_p=share, is_causal=True)
    else:  # on a CPU the fused kernel would draw its masks by torch's slow generator
        later = torch.full((length, length), -10000.0, device=x.device).triu_(1)
        weights = torch.softmax(query @ key.transpose(2, 3) / math.sqrt(size) + later, dim=3)
        context = drop(weights) @ value
    return output(attention, context.transpose(1, 2).reshape(rows, length, d), x)


def _attend_last(attention: Any, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """The last position of each sequence over all of it, [rows, d]."""
    rows, length, d = x.shape
    heads, size = attention.num_attention_heads, attention.attention_head_size
    last = x[torch.arange(rows, device=x.device), lengths - 1]
    joined = functional.linear(x, *joined_layers(attention.key, attention.value))
    key, value = joined.view(rows, length, 2, heads, size).permute(2, 0, 3, 1, 4)
    query = attention.query(last).view(rows, heads, 1, size)
    padding = torch.arange(length, device=x.device) >= lengths[:, None]
    scores = query @ key.transpose(2, 3) / math.sqrt(size) + (padding * -10000.0)[:, None, None]
    context = attention.attn_dropout(torch.softmax(scores, dim=3)) @ value
    return output(attention, context.reshape(rows, d), last)


def joined_layers(*layers: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights [all outputs, d] and biases [all outputs] of linear layers of one input as those of one."""
    return torch.cat([layer.weight for layer in layers]), torch.cat([layer.bias for layer in layers])


def output(attention: Any, context: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """RecBole's `MultiHeadAttention`, from what the heads found to its end.

    Args:
        attention: RecBole's layer.
        context: [..., d], what the heads found, side by side.
        x: [..., d], the input of the layer, which is added.

    Returns:
        [..., d].
    """
    result: torch.Tensor = attention.LayerNorm(attention.out_dropout(attention.dense(context)) + x)
    return result


def feed_forward(layer: Any, x: torch.Tensor) -> torch.Tensor:
    """RecBole's `FeedForward` of x [..., d]; torch's exact GELU is what RecBole writes out with `erf`."""
    hidden = layer.dense_1(x)
    name = layer.intermediate_act_fn.__name__
    hidden = functional.gelu(hidden) if name == "gelu" else layer.intermediate_act_fn(hidden)
    result: torch.Tensor = layer.LayerNorm(layer.dropout(layer.dense_2(hidden)) + x)
    return result
