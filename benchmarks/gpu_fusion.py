"""A step of gpu.py: several trials as one model with a leading dimension of trials.

Trials of one study see the same batches and the same negatives, so those of equal shapes can be one model
whose parameters have a dimension more, with a learning rate of its own for each: horizontal fusion (HFTA:
Wang et al., MLSys 2021). An operation then does the work of all, and launches are paid once. The fused side
is RecBole's own loss under `torch.func.vmap`, with an Adam whose rates are a column; it is measured against
the torch path, a trial at a time. Both are given batches that are there.
"""

from __future__ import annotations

import contextlib
import itertools
import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch.func import functional_call, grad_and_value, stack_module_state, vmap
from torch.utils._python_dispatch import TorchDispatchMode

import gpu_training
from gpu_options import Options, Row, failure
from recsweep.common.devices import resolve_device
from recsweep.recbole_api import model as recbole
from recsweep.recbole_api.config import TypedConfig
from recsweep.recbole_api.data import Split, make_loaders
from recsweep.training.live import Live

MODELS = ["BPR", "FPMC", "STAMP", "NeuMF", "MultiVAE"]
"""Small ones, whose operations can have a dimension more; recurrent layers and sparse matrices cannot."""
TRIALS, SMALL_TRIALS = (1, 2, 4, 8), (1, 2)
ROUNDS, SMALL_ROUNDS = 3, 1
BATCHES, SMALL_BATCHES = 8, 3
"""Of a round."""
NEAR = 1e-4
"""By which the losses of a fused trial and of one alone may differ, relative."""


_Found = tuple[float, int]
"""Seconds and operations of a batch."""


class _Counted(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Operations, each at least one launch on a GPU."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.count += 1
        return func(*args, **(kwargs or {}))


class _Loss(torch.nn.Module):
    """RecBole's loss as a module's output, so that its parameters can be given."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Any) -> torch.Tensor:
        loss: torch.Tensor = self.model.calculate_loss(batch)
        return loss


class Fused:
    """Trials as one model: parameters [trials, ...], with Adam's two moments, and a rate for each.

    Args:
        models: RecBole's, of equal shapes.
        rates: a learning rate for each.
    """

    def __init__(self, models: list[Any], rates: list[float]) -> None:
        parameters, self._buffers = stack_module_state([_Loss(model) for model in models])
        self._parameters = {name: value.detach() for name, value in parameters.items()}
        self._values = list(self._parameters.values())
        self._means = [torch.zeros_like(value) for value in self._values]
        self._squares = [torch.zeros_like(value) for value in self._values]
        self._one, self._steps = _Loss(models[0]), 0
        column = torch.tensor(rates, device=self._values[0].device)
        self._rates = [column.view(-1, *[1] * (value.dim() - 1)) for value in self._values]

    def step(self, batch: Any) -> torch.Tensor:
        """One step of all; their losses [trials]."""

        def loss(parameters: dict[str, Any], buffers: dict[str, Any]) -> torch.Tensor:
            found: torch.Tensor = functional_call(self._one, (parameters, buffers), (batch,))
            return found

        every = vmap(grad_and_value(loss), randomness="different")
        gradients, losses = every(self._parameters, self._buffers)
        self._adam([gradients[name] for name in self._parameters])
        found: torch.Tensor = losses
        return found

    def _adam(self, gradients: list[torch.Tensor]) -> None:
        """Kingma and Ba 2015, for all parameters at once, as torch's `foreach` has it."""
        self._steps += 1
        torch._foreach_lerp_(self._means, gradients, 0.1)
        torch._foreach_mul_(self._squares, 0.999)
        torch._foreach_addcmul_(self._squares, gradients, gradients, 0.001)
        below = torch._foreach_sqrt(self._squares)
        torch._foreach_div_(below, (1 - 0.999**self._steps) ** 0.5)
        torch._foreach_add_(below, 1e-8)
        change = torch._foreach_div(self._means, below)
        torch._foreach_div_(change, 1 - 0.9**self._steps)
        torch._foreach_mul_(change, self._rates)
        torch._foreach_sub_(self._values, change)


def fusion(options: Options) -> Iterator[Row]:
    """Each model alone, and as one of several."""
    device = resolve_device(options.device)
    if device.type == "cpu":
        torch.set_num_threads(1)  # the other core has a worker of its own
    with gpu_training.data(options) as trial:
        for model in options.chosen(MODELS):
            try:
                yield _row(model, *trial(model), device, options)
            except Exception as error:  # whatever it is, the next model is to run
                yield Row((model, *["-"] * (len(TRIALS) + 4), failure(error)), bad=True)


def _row(model: str, settings: dict[str, Any], split: Split, device: torch.device, options: Options) -> Row:
    counts = SMALL_TRIALS if options.small else TRIALS
    number = SMALL_BATCHES if options.small else BATCHES
    batches, models = _made(settings, split, device, number, max(counts))
    differs = _difference(models, batches[0])
    turns: list[dict[int, _Found]] = []
    for _ in range(SMALL_ROUNDS if options.small else ROUNDS):
        alone = _alone(settings, split, device, number)
        turns.append({0: alone} | {count: _fused(models[:count], batches, device) for count in counts})
    each = {count: statistics.median(turn[count][0] for turn in turns) / max(count, 1) for count in turns[0]}
    operations = {count: str(found[1]) for count, found in turns[0].items()}
    cells = [f"{1000 * each[count]:.2f}" if count in each else "-" for count in (0, *TRIALS)]
    times = f"{each[0] / each[max(counts)]:.2f}"
    return Row(
        (model, operations[0], operations[max(counts)], *cells, times, f"{differs:.0e}"),
        bad=not differs < NEAR,
    )


def _made(
    settings: dict[str, Any], split: Split, device: torch.device, number: int, count: int
) -> tuple[list[Any], list[Any]]:
    """RecBole's batches on the device, and models that differ in their first weights."""
    with tempfile.TemporaryDirectory() as scratch:
        config = TypedConfig(settings, device, Path(scratch))
        train, _, _ = make_loaders(config, split)
        batches = [batch.to(device) for batch in itertools.islice(train, number)]
        models = []
        for seed in range(count):
            recbole.seed_everything(seed)
            models.append(recbole.make_model(config, train).to(device).train())
    return batches, models


def _difference(models: list[Any], batch: Any) -> float:
    """The greatest relative difference of a fused trial's loss from that of its model alone.

    Without dropout, whose masks are drawn for each trial.
    """
    for model in models:
        model.eval()
    with torch.no_grad():
        ours = Fused(models, [0.001] * len(models)).step(batch)
        theirs = torch.stack([model.calculate_loss(batch) for model in models])
    for model in models:
        model.train()
    return float(((ours - theirs) / theirs).abs().max())


def _fused(models: list[Any], batches: list[Any], device: torch.device) -> _Found:
    """A batch of all models as one."""
    many = Fused(models, [0.001 * (1 + 0.1 * position) for position in range(len(models))])
    found: list[_Found] = []
    for batch in _watched(batches, device, found):
        many.step(batch)
    return found[0]


def _alone(settings: dict[str, Any], split: Split, device: torch.device, number: int) -> _Found:
    """A batch of one trial, by the torch path."""
    found: list[_Found] = []

    def limited(batches: Iterable[Any], whole: int) -> Iterator[Any]:
        return _watched(list(itertools.islice(batches, number)), device, found)

    def after(*given: Any) -> None:
        raise gpu_training.Enough

    with (
        tempfile.TemporaryDirectory() as scratch,
        recbole.clean_globals(),
        gpu_training.torch_path(),
        contextlib.suppress(gpu_training.Enough),
    ):
        live = Live(settings, split, device, Path(scratch))
        live.steps.limit(limited)
        live.fit(after)
    return found[0]


def _watched(batches: list[Any], device: torch.device, found: list[_Found]) -> Iterator[Any]:
    """Batches for a loop of steps: one to warm up, one to count operations, and those that are timed."""
    again = itertools.cycle(batches)
    yield next(again)
    with _Counted() as counted:
        yield next(again)
    _wait(device)
    begun = time.perf_counter()
    yield from itertools.islice(again, len(batches))
    _wait(device)
    found.append(((time.perf_counter() - begun) / len(batches), counted.count))


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
