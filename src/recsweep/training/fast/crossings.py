"""AutoInt and DCN-v2, whose scores alone are ours; no other way to RecBole's steps of a training is equal.

What a pair's features do with one another is no sum or product of two sides: all pairs go through it, a few
at a time. Features are looked up, and projected for the first time, once for each user and item.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from itertools import pairwise
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from recsweep.training.fast.context import ContextFamily, Embedded, unpaired
from recsweep.training.fast.pairs import Sides

_VALUES_AT_ONCE = 1 << 24
"""Numbers of all pairs that torch computes at once: 64 MiB in float32."""


class _Crossing(ContextFamily):
    """A family that scores, and does not train."""

    trains = False

    def __init__(self, model: Any, kernels: Any | None, seed: int) -> None:
        super().__init__(model, kernels, seed)
        self._features: tuple[torch.Tensor, torch.Tensor] | None = None
        """Embeddings of users and of items [number, features, d], of the validation at hand."""

    @property
    def _embedded(self) -> tuple[torch.Tensor, torch.Tensor]:
        if self._features is None:
            raise ValueError("scores are asked for before the sides are made")
        return self._features

    def add_beyond(self, scores: torch.Tensor, users: torch.Tensor) -> None:
        if self.kernels is not None:
            self.add_compiled(scores, users)
            return
        own, other = self._embedded
        each = len(other) * (own.shape[1] + other.shape[1]) * self.width()
        order = torch.tensor(self._slots(), device=scores.device).argsort()
        for part in torch.split(torch.arange(len(users)), max(1, _VALUES_AT_ONCE // each)):
            mine, theirs = own[users[part]][:, None], other[None]
            shape = (len(part), len(other), -1, -1)
            pairs = torch.cat([mine.expand(shape), theirs.expand(shape)], dim=2).flatten(0, 1)
            scores[part] += self.crossed(pairs[:, order]).view(len(part), -1)

    @abstractmethod
    def width(self) -> int:
        """Numbers of a feature in the widest layer."""

    @abstractmethod
    def crossed(self, x: torch.Tensor) -> torch.Tensor:
        """[pairs]: a part of the logits, of embeddings [pairs, features, d] in RecBole's order."""

    @abstractmethod
    def add_compiled(self, scores: torch.Tensor, users: torch.Tensor) -> None:
        """Add that part to the scores [users, n_items], by the kernel."""


class AutoInt(_Crossing):
    """AutoInt: features attend to one another, beside a tower over all of them (Song et al. 2019, CIKM)."""

    models = ("AutoInt",)
    untrained = "not proven equal: parameters differ by more than the tolerance with weight decay"

    @classmethod
    def refuses(cls, model: Any) -> str | None:
        return super().refuses(model) or (None if len(model.self_attns) else "n_layers: 0")

    def _joined(self, found: Embedded) -> Sides:
        m = self.model
        self._features = found.users, found.items
        tower = self._tower(found, m.mlp_layers, m.deep_predict_layer.weight)
        bias = found.bias + m.deep_predict_layer.bias + m.attn_fc.bias
        return replace(unpaired(replace(found, bias=bias)), tower=tower)

    def width(self) -> int:
        return 4 * int(self.model.attention_size)

    def crossed(self, x: torch.Tensor) -> torch.Tensor:
        m = self.model
        found = m.att_embedding(x).transpose(0, 1)
        for attention in m.self_attns:
            found, _ = attention(found, found, found, need_weights=False)
        found = found.transpose(0, 1)
        if m.has_residual:
            found = found + m.v_res_embedding(x)
        scored: torch.Tensor = functional.relu(found).flatten(1) @ m.attn_fc.weight[0]
        return scored

    def add_compiled(self, scores: torch.Tensor, users: torch.Tensor) -> None:
        m, (own, other) = self.model, self._embedded
        own = own[users]
        first, *others = m.self_attns
        layers = [first.out_proj.weight, first.out_proj.bias]
        for layer in others:
            layers += [layer.in_proj_weight, layer.in_proj_bias, layer.out_proj.weight, layer.out_proj.bias]
        last = m.attn_fc.weight.view(-1, m.attention_size)[self._slots()]
        self.kernels.attention_scores(  # type: ignore[union-attr]
            *(scores, self._seen(own), _by_column(self._seen(other))),
            *(self._rest(own), _by_column(self._rest(other))),
            *([one.detach() for one in layers], first.num_heads, last.t().contiguous()),
        )

    def _seen(self, features: torch.Tensor) -> torch.Tensor:
        """Queries, keys and values of the first attention [number, features, 3 d]."""
        first = self.model.self_attns[0]
        return functional.linear(self.model.att_embedding(features), first.in_proj_weight, first.in_proj_bias)

    def _rest(self, features: torch.Tensor) -> torch.Tensor:
        """Added behind the last attention [number, features, d]."""
        m = self.model
        if m.has_residual:
            found: torch.Tensor = m.v_res_embedding(features)
            return found
        return features.new_zeros(*features.shape[:2], m.attention_size)


class DcnV2(_Crossing):
    """DCN-v2: features times layers of themselves, beside a tower or below it (Wang et al. 2021, WWW)."""

    models = ("DCNV2",)
    untrained = "batch normalization over the batch: RecBole differs from itself after one rounding"

    def __init__(self, model: Any, kernels: Any | None, seed: int) -> None:
        super().__init__(model, kernels, seed)
        self._deep: Any = ()
        """Dense layers of the validation at hand."""

    @classmethod
    def refuses(cls, model: Any) -> str | None:
        return super().refuses(model) or ("mixed: True" if model.mixed else None)

    def _joined(self, found: Embedded) -> Sides:
        m = self.model
        self._features = users, items = found.users, found.items
        none, last, tower = found.of_users[:0], m.predict_layer.weight, None
        self._deep = _folded(m.mlp_layers)
        if m.structure == "parallel":
            tower = self._tower(found, self._deep, last[:, m.in_feature_num :])
        return Sides(users[:, 0, :0], items[:, 0, :0], m.predict_layer.bias, none, none, tower)

    def width(self) -> int:
        widest: int = max(self.model.embedding_size, *self.model.mlp_hidden_size)
        return 3 * widest

    def _last(self) -> torch.Tensor:
        """[width]: the last weights of what was crossed, or of the layers above."""
        weight: torch.Tensor = self.model.predict_layer.weight[0]
        return weight[: self.model.in_feature_num] if self.model.structure == "parallel" else weight

    def crossed(self, x: torch.Tensor) -> torch.Tensor:
        m = self.model
        first = found = x.flatten(1)
        for weight, bias in zip(m.cross_layer_w, m.bias, strict=True):
            found = first * functional.linear(found, weight, bias[:, 0]) + found
        if m.structure == "stacked":
            for layer in self._deep:
                found = functional.relu(layer(found))
        return found @ self._last()

    def add_compiled(self, scores: torch.Tensor, users: torch.Tensor) -> None:
        m, (own, other) = self.model, self._embedded
        stacked, order = m.structure == "stacked", self._order(own.shape[2])
        back = torch.arange(m.in_feature_num) if order is None else order.argsort()
        cross, deep = [], []
        for weight, bias in zip(m.cross_layer_w, m.bias, strict=True):
            cross += [weight.detach()[back][:, back].contiguous(), bias.detach()[back, 0].contiguous()]
        if stacked:
            deep = [part.detach() for layer in self._deep for part in (layer.weight, layer.bias)]
            deep[0] = deep[0][:, back].contiguous()
        last = self._last().detach() if stacked else self._last().detach()[back]
        self.kernels.crossed_scores(  # type: ignore[union-attr]
            scores, own[users].flatten(1), other.flatten(1).contiguous(), cross, deep, last.contiguous()
        )


def _by_column(x: torch.Tensor) -> torch.Tensor:
    """[features, d, number] of [number, features, d]."""
    return x.permute(1, 2, 0).contiguous()


def _folded(layers: Any) -> nn.Sequential:
    """The dense layers of RecBole's `MLPLayers` in evaluation, batch normalization within them."""
    fuse: Any = nn.utils.fuse_linear_bn_eval
    pairs = pairwise(layers.mlp_layers)
    return nn.Sequential(*(fuse(*pair) for pair in pairs if isinstance(pair[0], nn.Linear)))
