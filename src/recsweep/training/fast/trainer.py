"""Puts a fast path into RecBole's trainer, or says why not.

RecBole's `fit` stays: epochs, early stop, callbacks. An epoch's batches and a validation's ranks are
computed here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from recsweep.training.fast import native, ranking
from recsweep.training.fast.base import Family
from recsweep.training.fast.bert import Bert4Rec, Masking
from recsweep.training.fast.dropout import Masks, use_fast_dropout
from recsweep.training.fast.factorized import Bpr, Fpmc
from recsweep.training.fast.memory import Fossil, Stamp
from recsweep.training.fast.optimizer import make_stepper
from recsweep.training.fast.recurrent import Gru4Rec, Narm
from recsweep.training.fast.sequences import REFUSED, Sequences
from recsweep.training.fast.stream import Batch, Stream, Table, placed, unsupported_negatives
from recsweep.training.fast.transformer import SasRec

FAMILIES: dict[str, type[Family]] = {
    name: family
    for family in (Fpmc, Bpr, Stamp, Fossil, Gru4Rec, Narm, SasRec, Bert4Rec, Sequences)
    for name in family.models
}
_TRANSFORMS = {"SHAN": "inverse_itemseq", "BERT4Rec": "mask_itemseq"}
"""Of the batches, by RecBole's loader: those that a fast path does itself."""


@dataclass(frozen=True)
class Path:
    """How a trial was computed."""

    name: str
    """`compiled`, `torch`, or `recbole`."""
    reason: str | None = None
    """Why it is RecBole's own code."""

    def __str__(self) -> str:
        return self.name if self.reason is None else f"{self.name} ({self.reason})"


def install(
    trainer: Any, train_data: Any, valid_data: Any, *, wanted: bool
) -> tuple[Path, Callable[[], None]]:
    """Replace what a trainer does in an epoch and a validation, where that is proven to be equal.

    Args:
        trainer: RecBole's trainer of one trial, with its model; changed in place.
        train_data: the trial's training loader.
        valid_data: its validation loader.
        wanted: the trial's `fast` setting.

    Returns:
        The path taken, and what to call after the training.
    """
    reason = "fast: false" if not wanted else unsupported(trainer, train_data)
    if reason is not None:
        return Path("recbole", reason), lambda: None
    family = _make_family(trainer)
    epochs = _Epochs(trainer, family, train_data)
    trainer._train_epoch = epochs.train
    if ranking.rankable(trainer, valid_data):
        trainer.evaluate = _Validation(trainer, family, valid_data).evaluate
    return Path(family.path), epochs.close


def unsupported(trainer: Any, train_data: Any) -> str | None:
    """Why a trial stays with RecBole's code, or None."""
    model, config = trainer.model, trainer.config
    name = type(model).__name__
    if type(trainer).__name__ != "Trainer" or not type(model).__module__.startswith("recbole.model."):
        return f"{name} has a trainer of its own"
    if name not in FAMILIES:
        return REFUSED.get(name, f"{name} has no fast path")
    if config["transform"] not in (None, _TRANSFORMS.get(name)):
        return f"transform: {config['transform']}"
    if not config["single_spec"]:
        return "several GPUs for one trial"
    if config["worker"]:  # processes that load batches draw negatives and masks by seeds of their own
        return f"worker: {config['worker']}"
    return unsupported_negatives(train_data) or FAMILIES[name].refuses(model)


def _make_family(trainer: Any) -> Family:
    model, seed = trainer.model, int(trainer.config["seed"])
    made = FAMILIES[type(model).__name__]
    on_cpu = trainer.device.type == "cpu"
    compiled = native.kernels() if on_cpu and made.has_kernels and not trainer.enable_amp else None
    if on_cpu and compiled is None:
        use_fast_dropout(model, Masks(seed, native.kernels()))
    family = made(model, compiled, seed)
    if trainer.enable_amp and trainer.enable_scaler:
        family.scaler = torch.amp.GradScaler(trainer.device.type)
    mine, all_of_them = {id(p) for p in family.weights}, {id(p) for p in model.parameters()}
    if mine != all_of_them:
        raise AssertionError(f"the fast path of {type(model).__name__} does not know all of its parameters")
    return family


class _Epochs:
    """`Trainer._train_epoch`, on a family."""

    def __init__(self, trainer: Any, family: Family, train_data: Any) -> None:
        self._trainer, self._family = trainer, family
        self._table = Table.of(train_data, trainer.device)
        self._stream = Stream(train_data)
        if isinstance(family, Bert4Rec):
            family.masking = Masking(train_data)
        self._stepper = make_stepper(trainer.optimizer, family)

    def train(
        self, train_data: Any, epoch_idx: int, loss_func: Any = None, show_progress: bool = False
    ) -> float:
        """One epoch; the sum of the batches' losses.

        Raises:
            ValueError: the loss is NaN, in RecBole's words.
        """
        self._trainer.model.train()
        total: torch.Tensor | float = 0.0
        for batch in self._batches():
            with torch.autocast(self._table.device.type, enabled=bool(self._trainer.enable_amp)):
                loss = self._family.step(self._table, batch)
            if isinstance(loss, float) and math.isnan(loss):
                break_on_nan()
            if self._trainer.clip_grad_norm:
                self._clip()
            self._stepper.step()
            total = total + loss
        # On a GPU this is the one time in an epoch that the CPU waits.
        result = float(total)
        if math.isnan(result):
            break_on_nan()
        return result

    def _batches(self) -> Iterator[Batch]:
        if isinstance(self._family, Bert4Rec):
            return self._stream.epoch()  # masks are drawn for the samples in RecBole's order
        return placed(self._stream.epoch(), self._table)

    def _clip(self) -> None:
        self._stepper.unscale()  # RecBole clips what is still scaled
        torch.nn.utils.clip_grad_norm_(self._trainer.model.parameters(), **self._trainer.clip_grad_norm)

    def close(self) -> None:
        """Leave model and optimizer as RecBole's own training would."""
        self._stepper.close()


def break_on_nan() -> None:
    """As RecBole's trainer does."""
    raise ValueError("Training loss is nan")


class _Validation:
    """`Trainer.evaluate` on the validation loader, by ranks; on anything else, RecBole's."""

    def __init__(self, trainer: Any, family: Family, valid_data: Any) -> None:
        self._trainer, self._family, self._loader = trainer, family, valid_data
        self._table = Table.of(valid_data, trainer.device)
        self._recbole = trainer.evaluate
        self._masking = Masking(valid_data) if isinstance(family, Bert4Rec) else None

    @torch.no_grad()
    def evaluate(
        self,
        eval_data: Any,
        load_best_model: bool = True,
        model_file: Any = None,
        show_progress: bool = False,
    ) -> Any:
        """As RecBole's: metrics by name."""
        if eval_data is not self._loader or load_best_model:
            return self._recbole(eval_data, load_best_model, model_file, show_progress)
        self._trainer.model.eval()
        collector = self._trainer.eval_collector
        found = ranking.hits(self._family, self._table, max(collector.topk))
        if found is None:
            return self._recbole(eval_data, load_best_model, model_file, show_progress)
        if self._masking is not None:
            self._masking.draw_all()
        collector.data_struct.update_tensor("rec.topk", found)
        return self._trainer.evaluator.evaluate(collector.get_data_struct())
