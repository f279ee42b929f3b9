"""Floating-point operations that an epoch needs at least, and how many a machine does a second.

Only matrix products and sums over embeddings are counted, and only for tokens that are there: no
padding, nothing that is computed and thrown away. A multiplication and an addition are two
operations. Backward costs twice the forward pass; validation is forward only and ranks all items.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Params = Mapping[str, int]
BACKWARD_AND_FORWARD = 3


@dataclass(frozen=True)
class Lengths:
    """The sequences of a part of a data set: L tokens each, at most MAX_ITEM_LIST_LENGTH."""

    samples: int
    tokens: int
    """Sum of L."""
    pairs: int
    """Sum of L (L + 1) / 2: what each token attends to, itself included."""


def epoch_flops(model: str, params: Params, train: Lengths, valid: Lengths, items: int) -> float:
    """Operations of one epoch: training, and one validation.

    Args:
        params: the model's parameters by RecBole's names.
        items: that are ranked, the padding item included.
    """
    forward = _FORWARD[model]
    validation = forward(params, valid, items)
    if model == "FPMC":  # trains on one positive and one negative item, ranks all
        validation = _fpmc_ranking(params, valid, items)
    return BACKWARD_AND_FORWARD * forward(params, train, items) + validation


def _fpmc(params: Params, part: Lengths, items: int) -> float:
    """Two inner products for the positive and two for the negative item."""
    return part.samples * 2 * 2 * 2 * params["embedding_size"]


def _fpmc_ranking(params: Params, part: Lengths, items: int) -> float:
    return part.samples * 2 * 2 * params["embedding_size"] * items


def _fossil(params: Params, part: Lengths, items: int) -> float:
    """The sum of a sequence, the weighted sum of its last items, the logits."""
    width = params["embedding_size"]
    return part.tokens * width + part.samples * 2 * width * (params["order_len"] + items)


def _gru(params: Params, part: Lengths) -> float:
    width, hidden = params["embedding_size"], params["hidden_size"]
    layers = params.get("num_layers", params.get("n_layers", 1))
    first = 2 * (width * 3 * hidden + hidden * 3 * hidden)
    others = (layers - 1) * 2 * (hidden * 3 * hidden + hidden * 3 * hidden)
    return part.tokens * (first + others)


def _gru4rec(params: Params, part: Lengths, items: int) -> float:
    """The GRU; the dense layer and the logits of the last state."""
    width, hidden = params["embedding_size"], params["hidden_size"]
    return _gru(params, part) + part.samples * (2 * hidden * width + 2 * width * items)


def _narm(params: Params, part: Lengths, items: int) -> float:
    """The GRU; for each state a_1, v_t and its part of the sum; a_2, b and the logits."""
    width, hidden = params["embedding_size"], params["hidden_size"]
    token = 2 * hidden * hidden + 2 * hidden + 2 * hidden
    sample = 2 * hidden * hidden + 2 * (2 * hidden) * width + 2 * width * items
    return _gru(params, part) + part.tokens * token + part.samples * sample


def _stamp(params: Params, part: Lengths, items: int) -> float:
    """For each item w1, w0 and its parts of two sums; w2, w3, two layers and the logits."""
    width = params["embedding_size"]
    token = 2 * width * width + 2 * width + 2 * width + width
    return part.tokens * token + part.samples * (4 * 2 * width * width + 2 * width * items)


def _sasrec(params: Params, part: Lengths, items: int) -> float:
    """All layers but the last for every token; of the last only keys and values, the rest once."""
    width, inner, layers = params["hidden_size"], params["inner_size"], params["n_layers"]
    token = 2 * (4 * width * width + 2 * width * inner)
    pair = 2 * 2 * width  # query times key, and its part of the weighted sum of values
    whole = (layers - 1) * (part.tokens * token + part.pairs * pair)
    last = part.tokens * 2 * 2 * width * width
    last += part.samples * 2 * (2 * width * width + 2 * width * inner) + part.tokens * pair
    return whole + last + part.samples * 2 * width * items


_FORWARD: dict[str, Callable[[Params, Lengths, int], float]] = {
    "FPMC": _fpmc,
    "FOSSIL": _fossil,
    "GRU4Rec": _gru4rec,
    "NARM": _narm,
    "STAMP": _stamp,
    "SASRec": _sasrec,
}


def matrix_rate(size: int = 1024, seconds: float = 1.0) -> float:
    """Operations a second of a float32 matrix product on one thread, best of some seconds."""
    import torch

    torch.set_num_threads(1)
    one, other = torch.rand(size, size), torch.rand(size, size)
    best, begun = float("inf"), time.perf_counter()
    while time.perf_counter() - begun < seconds:
        start = time.perf_counter()
        torch.mm(one, other)
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best
