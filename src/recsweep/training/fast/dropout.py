"""Dropout that is fast on every CPU.

torch draws a CPU's dropout masks one element after another from its Mersenne Twister, 12 to 19 ns each,
which is a quarter of a transformer's batch. Here the masks come from the compiled hash (0.3 ns) or, without
kernels, from NumPy's SFC64 (3 ns). They are as random, and not the same numbers: with dropout the results
of two paths agree as two seeds do. On a GPU torch's own is used.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

_LEVELS = 1 << 16
"""Shares that can be told apart without kernels: a mask takes 16 bits an element."""


class FastDropout(nn.Module):
    """Stands for `nn.Dropout`; holds no parameter and no buffer.

    Args:
        p: share of elements that become 0; without kernels it is rounded to 1/65536.
        masks: where the random numbers come from, one for all layers of a trial.
    """

    def __init__(self, p: float, masks: Masks) -> None:
        super().__init__()
        self.p, self._masks = p, masks

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or self.p == 0.0:
            return x
        return self._masks.drop(x, self.p)


class Masks:
    """The random numbers of a trial's dropout masks.

    Args:
        seed: of the trial.
        kernels: the compiled operators, or None.
    """

    def __init__(self, seed: int, kernels: Any | None) -> None:
        self._seed, self._kernels, self._drawn = seed, kernels, 0
        self._generator = np.random.Generator(np.random.SFC64(seed))

    def state(self) -> dict[str, Any]:
        """How far the masks are, as plain numbers."""
        found = self._generator.bit_generator.state
        words = [int(word) for word in found["state"]["state"]]
        rest = {name: int(found[name]) for name in ("has_uint32", "uinteger")}
        return {"drawn": self._drawn, "words": words, **rest}

    def go_on(self, state: dict[str, Any]) -> None:
        """Draw on from there."""
        self._drawn = state["drawn"]
        words = np.array(state["words"], dtype=np.uint64)
        rest = {name: state[name] for name in ("has_uint32", "uinteger")}
        self._generator.bit_generator.state = {"bit_generator": "SFC64", "state": {"state": words}, **rest}

    def drop(self, x: torch.Tensor, p: float) -> torch.Tensor:
        """A copy of x with a share of p set to 0 and the rest scaled by 1 / (1 - p)."""
        self._drawn += 1
        result: torch.Tensor
        if self._kernels is not None and x.dtype == torch.float32:
            result = _Compiled.apply(  # type: ignore[no-untyped-call]
                x, p, self._kernels, self._seed, self._drawn
            )
        else:
            result = x * self._mask(x, p)
        return result

    def _mask(self, x: torch.Tensor, p: float) -> torch.Tensor:
        threshold = round(p * _LEVELS)
        if threshold >= _LEVELS:
            return torch.zeros_like(x)
        numbers = np.frombuffer(self._generator.bytes(2 * x.numel()), dtype=np.uint16)
        kept = torch.from_numpy(numbers >= threshold).view(x.shape)
        return kept.to(x.dtype).mul_(_LEVELS / (_LEVELS - threshold))


class _Compiled(torch.autograd.Function):
    """The mask is a function of seed, stream and element: the backward pass draws it again."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, p: float, kernels: Any, seed: int, stream: int) -> torch.Tensor:
        ctx.arguments = (p, seed, stream)
        ctx.kernels = kernels
        result: torch.Tensor = kernels.dropout(x, p, seed, stream)
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None, None, None]:
        return ctx.kernels.dropout(gradients[0], *ctx.arguments), None, None, None, None


def use_fast_dropout(model: nn.Module, masks: Masks) -> None:
    """Put `FastDropout` where a model has `nn.Dropout`; its state and parameters stay as they are."""
    for name, child in model.named_children():
        if type(child) is nn.Dropout:
            replacement = FastDropout(child.p, masks)
            replacement.train(child.training)
            setattr(model, name, replacement)
        else:
            use_fast_dropout(child, masks)
