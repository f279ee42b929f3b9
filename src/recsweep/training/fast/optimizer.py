"""The optimizer's step: torch's Adam in one pass, any other of RecBole's learners as it is."""

from __future__ import annotations

from typing import Any

import torch

from recsweep.training.fast.base import Family


def make_stepper(optimizer: Any, family: Family) -> Stepper:
    """The fastest way to do the steps of RecBole's optimizer.

    Adam (Kingma and Ba 2015) as torch computes it: on the compiled kernel, or by torch's fused one. Any other
    optimizer, several groups of parameters and `amsgrad` stay as they are.
    """
    group = optimizer.param_groups[0]
    if type(optimizer) is not torch.optim.Adam or len(optimizer.param_groups) != 1 or group["amsgrad"]:
        return Stepper(optimizer, family.scaler)
    if family.kernels is not None:
        return _CompiledAdam(optimizer, family)
    group["fused"], group["foreach"] = True, False
    return Stepper(optimizer, family.scaler)


class Stepper:
    """Updates the parameters from their gradients, and clears those."""

    def __init__(self, optimizer: Any, scaler: torch.amp.GradScaler | None = None) -> None:
        self._optimizer, self._scaler = optimizer, scaler

    def unscale(self) -> None:
        """Bring the gradients to their true size, before they are clipped."""
        if self._scaler is not None:
            self._scaler.unscale_(self._optimizer)

    def step(self) -> None:
        """One update."""
        if self._scaler is None:
            self._optimizer.step()
        else:
            self._scaler.step(self._optimizer)
            self._scaler.update()
        self._optimizer.zero_grad(set_to_none=False)

    def close(self) -> None:
        """Leave the optimizer's state as torch's own steps would have left it."""

    def go_on(self) -> None:
        """Step on from the state that the optimizer now has."""


class _CompiledAdam(Stepper):
    """`torch.optim.Adam` on the compiled kernel; the state is kept where torch keeps it."""

    def __init__(self, optimizer: Any, family: Family) -> None:
        super().__init__(optimizer)
        self._kernels, self._steps = family.kernels, 0
        group = optimizer.param_groups[0]
        mine = {id(one) for one in group["params"] if one.requires_grad and one.grad is not None}
        pairs = [pair for pair in zip(family.weights, family.plain, strict=True) if id(pair[0]) in mine]
        self._weights, self._plain = [weight for weight, _ in pairs], [plain for _, plain in pairs]
        self._numbers = (
            *(float(group["lr"]), *map(float, group["betas"])),
            *(float(group["eps"]), float(group["weight_decay"])),
        )
        self._first = [torch.zeros_like(weight) for weight in self._plain]
        self._second = [torch.zeros_like(weight) for weight in self._plain]

    def step(self) -> None:
        self._steps += 1
        gradients = [weight.grad for weight in self._weights]
        state = (self._plain, gradients, self._first, self._second)
        self._kernels.adam_step(*state, *self._numbers, self._steps)  # type: ignore[union-attr]

    def close(self) -> None:
        moments = zip(self._weights, self._first, self._second, strict=True)
        for weight, first, second in moments:
            step = torch.tensor(float(self._steps))
            self._optimizer.state[weight] = {"step": step, "exp_avg": first, "exp_avg_sq": second}

    def go_on(self) -> None:
        for index, weight in enumerate(self._weights):
            found = self._optimizer.state.get(weight)
            if found:
                self._first[index].copy_(found["exp_avg"])
                self._second[index].copy_(found["exp_avg_sq"])
                self._steps = int(found["step"])
