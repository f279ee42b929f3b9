"""A trial in training: RecBole's objects of it, its state at an epoch's end, and how it is taken up again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from recsweep.common.errors import TrialError
from recsweep.common.files import to_plain
from recsweep.recbole_api import model as recbole
from recsweep.recbole_api.config import TypedConfig
from recsweep.recbole_api.data import Limit, Split, limited_loader, make_loaders
from recsweep.recbole_api.settings import FAST
from recsweep.training import randomness
from recsweep.training.attributes import Attributes
from recsweep.training.fast import trainer as fast
from recsweep.training.state import TrialState

_CPU = torch.device("cpu")


class Live:
    """Model, trainer and loaders of one trial, made as RecBole makes them.

    Args:
        settings: a complete RecBole config.
        split: the prepared data.
        device: where to train.
        scratch: a folder for whatever RecBole insists on writing.

    Raises:
        TrialError: the model would be pre-trained, and nothing would be validated.
    """

    def __init__(
        self, settings: Mapping[str, Any], split: Split, device: torch.device, scratch: Path
    ) -> None:
        self.settings: dict[str, Any] = to_plain(settings)
        self._device = device
        config = TypedConfig(settings, device, scratch)
        self._train, self._valid, _ = make_loaders(config, split)
        wanted = bool(settings.get(FAST, True))
        self.model = fast.make_model(config, self._train, wanted=wanted)
        _require_validation(self.model, str(config["model"]))
        self.bigger = bool(config["valid_metric_bigger"])
        self.trainer = recbole.make_trainer(config, self.model)
        self.path, self.steps = fast.install(self.trainer, self._train, self._valid, wanted=wanted)
        self._attributes = Attributes(self.model)
        self._validated: Mapping[str, Any] = {}
        self._watch_validations()

    def fit(self, after_epoch: Any) -> tuple[float, dict[str, Any] | None]:
        """Train to the end, from the epoch where this trial is: see `recbole_api.model.fit`."""
        return recbole.fit(self.trainer, self._train, self._valid, after_epoch)

    @property
    def batches(self) -> int:
        """Of an epoch."""
        return len(self._train)

    def limit(self, limit: Limit) -> None:
        """Let the batches of each epoch go through a function, which may leave some out."""
        self.steps.limit(limit)
        self._train = limited_loader(self._train, limit)

    def _watch_validations(self) -> None:
        """RecBole tells its callback the score alone: keep what else a validation came to."""
        validate = self.trainer._valid_epoch

        def watched(*given: Any, **named: Any) -> Any:
            score, self._validated = validate(*given, **named)
            return score, self._validated

        self.trainer._valid_epoch = watched

    def seen(self, index: int) -> dict[str, float]:
        """All metrics of the last validation, and the training loss of its epoch, which is counted from 0."""
        loss = self.trainer.train_loss_dict.get(index)
        found = {str(name): float(value) for name, value in (self._validated or {}).items()}
        return found | ({} if loss is None else {"loss": float(loss)})

    def weights(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """A copy of the weights, and of what belongs to them."""
        return recbole.weights(self.model), recbole.other_state(self.model)

    def checkpoint(
        self, weights: tuple[dict[str, torch.Tensor], dict[str, Any]], epoch: int, settings: dict[str, Any]
    ) -> dict[str, Any]:
        """The checkpoint of an epoch, counted from 1, with its weights and settings."""
        return recbole.checkpoint(self.trainer, *weights, epoch - 1, settings)

    def state(
        self, epoch: int, seconds: float, curve: Mapping[int, float], best: dict[str, Any] | None
    ) -> TrialState:
        """Its state, now that an epoch is over.

        Raises:
            TrialError: the model keeps something that cannot be written.
        """
        steps = self.steps.state()  # before the optimizer, which it brings up to date
        metrics = self.trainer.best_valid_result
        return TrialState(
            settings=self.settings,
            epoch=epoch,
            seconds=seconds,
            curve=[[index, score] for index, score in curve.items()],
            weights=recbole.weights(self.model),
            attributes=self._attributes.changed(),
            optimizers=recbole.optimizer_states(self.trainer),
            steps=steps,
            randomness=randomness.drawn(self._device, self._train, self._valid),
            early_stop={
                "cur_step": int(self.trainer.cur_step),
                "best_valid_score": float(self.trainer.best_valid_score),
                "best_valid_result": metrics and {str(name): float(one) for name, one in metrics.items()},
            },
            best=best,
        )

    def take_up(self, state: TrialState) -> None:
        """Go on from a state, with the settings that this trial was made with.

        Nothing may be drawn between this and `fit`.
        """
        recbole.restore(self.model, {"state_dict": state.weights}, self._device)
        self._attributes.put(state.attributes)
        recbole.restore_optimizers(self.trainer, state.optimizers)
        self.steps.go_on(state.steps)
        trainer, stop = self.trainer, state.early_stop
        trainer.cur_step, trainer.best_valid_score = stop["cur_step"], stop["best_valid_score"]
        trainer.best_valid_result = stop["best_valid_result"]
        over = trainer.cur_step > trainer.stopping_step  # RecBole looks at that only after a validation
        trainer.start_epoch = trainer.epochs if over else state.epoch
        randomness.draw_on(state.randomness, self._device, self._train, self._valid)


def shapes(settings: Mapping[str, Any], split: Split, scratch: Path) -> dict[str, tuple[Any, ...]]:
    """Shape and type of each of a model's weights under some settings."""
    config = TypedConfig(settings, _CPU, scratch)
    model = fast.make_model(config, make_loaders(config, split)[0], wanted=bool(settings.get(FAST, True)))
    return {name: (tuple(one.shape), one.dtype) for name, one in model.state_dict().items()}


def _require_validation(model: torch.nn.Module, name: str) -> None:
    stage = recbole.pretrains_only(model)
    if stage is not None:
        raise TrialError(
            f"{name} only pre-trains with train_stage: {stage}, and is never validated; "
            "a trial needs a score; set train_stage: finetune and pre_model_path under `fixed`"
        )
