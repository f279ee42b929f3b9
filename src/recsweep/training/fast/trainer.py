"""Puts a fast path into RecBole's trainer, or says why not.

RecBole's `fit` stays: epochs, early stop, callbacks. An epoch's batches are computed here, a validation's
ranks in `validation`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from recsweep.recbole_api import model as recbole
from recsweep.recbole_api.data import Limit
from recsweep.recbole_api.settings import FAST, FAST_NEGATIVES
from recsweep.training.fast import families, losses, native, precision, validation
from recsweep.training.fast.base import Family
from recsweep.training.fast.dropout import Masks, use_fast_dropout
from recsweep.training.fast.optimizer import Stepper, make_stepper
from recsweep.training.fast.recbole_scores import RecboleScores
from recsweep.training.fast.stream import Stream, draws_negatives, unsupported_negatives
from recsweep.training.fast.table import Table


@dataclass(frozen=True)
class Path:
    """How a trial was computed."""

    name: str
    """`compiled`, `torch`, or `recbole`."""
    reason: str | None = None
    """Why it is RecBole's own code, or what a setting changed, or could not."""

    def __str__(self) -> str:
        return self.name if self.reason is None else f"{self.name} ({self.reason})"


class Steps:
    """The steps of a trial; RecBole's own need nothing, and leave everything as it should be."""

    draws_negatives = False
    """They draw them here, not RecBole's loader."""

    def limit(self, limit: Limit) -> None:
        """Let the batches of each epoch go through a function; RecBole's own come from a loader."""

    def close(self) -> None:
        """Leave model and optimizer as RecBole's own training would."""

    def state(self) -> dict[str, Any]:
        """All that is kept from batch to batch; the optimizer is left as RecBole's own would be."""
        return {}

    def go_on(self, state: dict[str, Any]) -> None:
        """Go on from there, with the weights and the optimizer as they are now."""


def install(trainer: Any, train_data: Any, valid_data: Any, *, wanted: bool) -> tuple[Path, Steps]:
    """Replace what a trainer does in an epoch and a validation, where that is proven to be equal.

    Args:
        trainer: RecBole's trainer of one trial, with its model; changed in place.
        train_data: the trial's training loader.
        valid_data: its validation loader.
        wanted: the trial's `fast` setting.

    Returns:
        The path taken, and its steps, which are closed after the training.
    """
    path, steps = _installed(trainer, train_data, valid_data, wanted)
    if not trainer.config[FAST_NEGATIVES]:
        return path, steps
    if path.name == "recbole":
        told = f"{path.reason}; its own negatives, fast_negatives: true does not apply"
    elif steps.draws_negatives:
        told = "fast_negatives"
    else:
        told = "no negatives, fast_negatives: true does not apply"
    return Path(path.name, told), steps


def _installed(trainer: Any, train_data: Any, valid_data: Any, wanted: bool) -> tuple[Path, Steps]:
    if not wanted:
        return Path("recbole", "fast: false"), Steps()
    reason = unsupported(trainer, train_data)
    family = _make_family(trainer) if reason is None else _scoring(trainer, train_data)
    ranked = validation.install(trainer, family, valid_data)
    if family is None or not family.trains:
        return Path("recbole", reason), Steps()
    if family.computes:
        steps = _Once(family, train_data, in_full=not ranked)
        trainer._train_epoch = steps.train
        return Path(family.path), steps
    epochs = _Epochs(trainer, family, train_data)
    trainer._train_epoch = epochs.train
    return Path(family.path), epochs


def unsupported(trainer: Any, train_data: Any) -> str | None:
    """Why no family computes a trial, or None."""
    model = trainer.model
    name = type(model).__name__
    if not type(model).__module__.startswith("recbole.model."):
        return f"{name} is none of RecBole's own models"
    family = families.served().get(name)
    if type(trainer).__name__ not in (family or Family).trainers:
        return f"{name} has a trainer of its own"
    if family is None:
        return families.refused().get(name, f"{name} has no fast path")
    settings = _setting_against(name, family, trainer.config, train_data)
    refused = settings or family.refuses(model) or family.refuses_data(model, train_data)
    return refused or family.refuses_training(trainer)


def _setting_against(name: str, family: type[Family], config: Any, train_data: Any) -> str | None:
    """The setting of a trial that keeps a model from its family, or None."""
    if config["transform"] not in (None, family.transforms.get(name)):
        return f"transform: {config['transform']}"
    if not config["single_spec"]:
        return "several GPUs for one trial"
    if config["worker"]:  # processes that load batches draw negatives and masks by seeds of their own
        return f"worker: {config['worker']}"
    return unsupported_negatives(train_data, family.pointwise, family.several_negatives)


def make_model(config: Any, train_data: Any, *, wanted: bool) -> Any:
    """The model of a trial, as RecBole makes it; of a computed family, one that is still to be computed.

    Args:
        config: of the trial.
        train_data: its training loader.
        wanted: the trial's `fast` setting.
    """
    name = str(config["model"])
    family = families.served().get(name) if wanted else None
    if family is None or not family.computes:
        return recbole.make_model(config, train_data)
    if _setting_against(name, family, config, train_data) is None:
        model = recbole.bare_model(config, train_data)
        if family.refuses(model) is None and family.blank(model, config, train_data._dataset):
            return model.to(config["device"])
    return recbole.make_model(config, train_data)


def restored(config: Any, train_data: Any, state: dict[str, Any], device: torch.device) -> Any:
    """A model with what a checkpoint holds; what is computed and not held there is computed again."""
    model = make_model(config, train_data, wanted=config[FAST] is not False)
    recbole.restore(model, state, device)
    family = families.served().get(str(config["model"]))
    if family is not None and family.computes:
        family(model, native.kernels(), int(config["seed"])).compute()
    return model


def scoring_family(trainer: Any, train_data: Any, loader: Any) -> Family:
    """The family that scores all items for a trained model: the one that serves it, or RecBole's own code.

    Args:
        trainer: RecBole's, with the model.
        train_data: its training loader.
        loader: of the part of the split that is like what is scored.
    """
    if trainer.config[FAST] is False:
        return RecboleScores(trainer, loader)
    if unsupported(trainer, train_data) is None:
        return _make_family(trainer)
    return _scoring(trainer, train_data) or RecboleScores(trainer, loader)


def _scoring(trainer: Any, train_data: Any) -> Family | None:
    """The family that scores a model that RecBole trains, or None."""
    model, config = trainer.model, trainer.config
    made = families.scored().get(type(model).__name__)
    if made is None or not type(model).__module__.startswith("recbole.model."):
        return None
    if config["transform"] is not None or not config["single_spec"]:
        return None
    refused = made.refuses(model) or made.refuses_data(model, train_data)
    return None if refused else _make_family(trainer)


def _make_family(trainer: Any) -> Family:
    model, seed = trainer.model, int(trainer.config["seed"])
    made = {**families.served(), **families.scored()}[type(model).__name__]
    on_cpu = trainer.device.type == "cpu"
    compiled = native.kernels() if on_cpu and made.has_kernels and not trainer.enable_amp else None
    masks = Masks(seed, native.kernels()) if on_cpu and compiled is None and made.trains else None
    if masks is not None:
        use_fast_dropout(model, masks)
    family = made(model, compiled, seed)
    family.masks = masks
    family.scaler = precision.scaler(trainer)
    mine, all_of_them = {id(p) for p in family.weights}, {id(p) for p in model.parameters()}
    if mine != all_of_them:
        raise AssertionError(f"the fast path of {type(model).__name__} does not know all of its parameters")
    return family


class _Once(Steps):
    """The one epoch of a computed model: it is computed, and generators go on as by RecBole's batches.

    Args:
        in_full: RecBole's own code scores by the model.
    """

    def __init__(self, family: Family, train_data: Any, *, in_full: bool) -> None:
        self._family, self._stream, self._in_full = family, Stream(train_data), in_full

    def train(
        self, train_data: Any, epoch_idx: int, loss_func: Any = None, show_progress: bool = False
    ) -> float:
        """As RecBole's, whose loss is 0."""
        self._family.compute(in_full=self._in_full)
        for _ in self._stream.epoch():
            pass
        return 0.0


class _Epochs(Steps):
    """`Trainer._train_epoch`, on a family."""

    def __init__(self, trainer: Any, family: Family, train_data: Any) -> None:
        self._trainer, self._family = trainer, family
        self._table = Table.of(train_data, trainer.device)
        self._stream = Stream(train_data, hashed=bool(trainer.config[FAST_NEGATIVES]))
        self.draws_negatives = draws_negatives(train_data)
        self._passes = family.passes(trainer)
        # by optimizer, of which several passes may have the same
        self._steppers = {id(one.optimizer): make_stepper(one.optimizer, family) for one in self._passes}
        self._limit: Limit = lambda batches, number: iter(batches)

    def limit(self, limit: Limit) -> None:
        self._limit = limit

    def train(
        self, train_data: Any, epoch_idx: int, loss_func: Any = None, show_progress: bool = False
    ) -> float:
        """One epoch; the sum of the batches' losses.

        Raises:
            ValueError: the loss is NaN, in RecBole's words.
        """
        self._family.begin(epoch_idx)
        total = 0.0
        for one in self._passes:
            self._trainer.optimizer = one.optimizer
            self._family.turn(one)
            # On a GPU this is the one time in a pass that the CPU waits.
            loss = losses.a_number(float(self._walk(self._steppers[id(one.optimizer)], len(train_data))))
            total += loss if one.counted else 0.0
        return total

    def _walk(self, stepper: Stepper, number: int) -> torch.Tensor | float:
        """One pass through the data; the sum of its losses."""
        total: torch.Tensor | float = 0.0
        for batch in self._limit(self._family.batches(self._stream, self._table), number):
            with precision.autocast(self._table.device, mixed=bool(self._trainer.enable_amp)):
                loss = self._family.step(self._table, batch)
            if self._trainer.clip_grad_norm:
                stepper.unscale()  # RecBole clips what is still scaled
                torch.nn.utils.clip_grad_norm_(
                    self._trainer.model.parameters(), **self._trainer.clip_grad_norm
                )
            stepper.step()
            total = total + loss
        return total

    def close(self) -> None:
        for stepper in self._steppers.values():
            stepper.close()

    def state(self) -> dict[str, Any]:
        for stepper in self._steppers.values():
            stepper.close()
        return self._family.state()

    def go_on(self, state: dict[str, Any]) -> None:
        for stepper in self._steppers.values():
            stepper.go_on()
        if state:  # else RecBole's own code has trained until here
            self._family.go_on(state)
