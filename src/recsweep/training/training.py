"""One trial: train one configuration up to its best validation score.

A trial is a pure function of data, model, parameters, seed and code versions; it leaves no global
setting behind, and it never looks at the test split.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from recsweep.common.errors import TrialDiverged, TrialError
from recsweep.common.files import atomic_path, to_plain
from recsweep.recbole_api import model as recbole
from recsweep.recbole_api.config import TypedConfig
from recsweep.recbole_api.data import Split, make_loaders
from recsweep.recbole_api.settings import FAST
from recsweep.training.fast import trainer as fast

AfterEpoch = Callable[[int, float], None]
"""Called with the epoch (from 1) and its validation score; may raise to stop the trial."""


_ALL_DECIMALS = 16
_STORABLE: set[str] = set()
"""Models whose checkpoints were read back in this process: tried once, not at every trial."""


@dataclass
class Trained:
    """The outcome of one trial."""

    score: float
    metrics: dict[str, float]
    best_epoch: int
    epochs: int
    seconds: float
    path: str
    """Whose code trained: `compiled`, `torch`, or `recbole` with the reason."""
    best: dict[str, Any] = field(repr=False)
    """Checkpoint of the best epoch, on the CPU."""
    last: dict[str, Any] = field(repr=False)
    """Checkpoint of the last epoch, on the CPU."""


def train(
    settings: Mapping[str, Any],
    split: Split,
    device: torch.device,
    after_epoch: AfterEpoch = lambda epoch, score: None,
) -> Trained:
    """Train one configuration.

    Args:
        settings: a complete RecBole config (`recbole_api.settings.trial_settings`).
        split: the prepared data.
        device: where to train.
        after_epoch: called after each validation.

    Raises:
        TrialDiverged: the loss or the validation score became NaN or infinite.
        TrialError: the model would be pre-trained, and nothing would be validated.
    """
    started = time.perf_counter()
    with recbole.clean_globals(), tempfile.TemporaryDirectory(prefix="recsweep-") as scratch:
        config = TypedConfig(settings, device, Path(scratch))
        train_data, valid_data, _ = make_loaders(config, split)
        model = recbole.make_model(config, train_data)
        _require_validation(model, str(config["model"]))
        trainer = recbole.make_trainer(config, model)
        wanted = bool(settings.get(FAST, True))
        path, finish = fast.install(trainer, train_data, valid_data, wanted=wanted)
        watch = _Watch(trainer, after_epoch, bool(config["valid_metric_bigger"]))
        score, metrics = _fit(trainer, train_data, valid_data, watch)
        finish()
        _require_finite(score, "validation score", watch.epoch)
        # Models that are computed rather than trained report no epoch.
        last = recbole.weights(model), recbole.other_state(model)
        best = watch.best if watch.best is not None else last
        plain = to_plain(settings)
        return Trained(
            score=score,
            metrics={str(name): float(value) for name, value in (metrics or {}).items()},
            best_epoch=watch.best_epoch or 1,
            epochs=max(watch.epoch, 1),
            seconds=time.perf_counter() - started,
            path=str(path),
            best=recbole.checkpoint(trainer, *best, watch.best_epoch - 1, plain),
            last=recbole.checkpoint(trainer, *last, watch.epoch - 1, plain),
        )


def _require_validation(model: torch.nn.Module, name: str) -> None:
    stage = recbole.pretrains_only(model)
    if stage is not None:
        raise TrialError(
            f"{name} only pre-trains with train_stage: {stage}, and is never validated; "
            "a trial needs a score; set train_stage: finetune and pre_model_path under `fixed`"
        )


def _fit(
    trainer: Any, train_data: Any, valid_data: Any, watch: _Watch
) -> tuple[float, dict[str, Any] | None]:
    """The result of `recbole_api.model.fit`; a loss that is no number has an error of ours."""
    try:
        return recbole.fit(trainer, train_data, valid_data, watch)
    except ValueError as error:
        if "loss is nan" in str(error):
            raise TrialDiverged(f"the training loss is NaN in epoch {watch.epoch + 1}") from None
        raise


class _Watch:
    """Sees every epoch: keeps the best weights, ends a trial that diverged, passes the score on."""

    def __init__(self, trainer: Any, after_epoch: AfterEpoch, bigger: bool) -> None:
        self._trainer, self._after_epoch, self._bigger = trainer, after_epoch, bigger
        self.epoch = 0
        self.best_epoch = 0
        self.best: tuple[dict[str, torch.Tensor], dict[str, Any]] | None = None
        self._best_score = -math.inf if bigger else math.inf

    def __call__(self, index: int, score: float) -> None:
        self.epoch = index + 1
        _require_finite(self._trainer.train_loss_dict.get(index, 0.0), "training loss", self.epoch)
        _require_finite(score, "validation score", self.epoch)
        # RecBole's early stop takes an equal score as progress too.
        if score >= self._best_score if self._bigger else score <= self._best_score:
            self._best_score, self.best_epoch = score, self.epoch
            self.best = recbole.weights(self._trainer.model), recbole.other_state(self._trainer.model)
        self._after_epoch(self.epoch, float(score))


def _require_finite(value: float, what: str, epoch: int) -> None:
    if not math.isfinite(value):
        raise TrialDiverged(f"the {what} is {value} in epoch {epoch}")


def evaluate(
    settings: Mapping[str, Any], split: Split, device: torch.device, state: dict[str, Any]
) -> dict[str, float]:
    """Metrics of a trained configuration on the test split, in full. For winners only."""
    # Validation keeps RecBole's four decimals: by them it stops early, and an equal score is progress.
    settings = {**settings, "metric_decimal_place": _ALL_DECIMALS}
    with recbole.clean_globals(), tempfile.TemporaryDirectory(prefix="recsweep-") as scratch:
        config = TypedConfig(settings, device, Path(scratch))
        train_data, _, test_data = make_loaders(config, split)
        model = recbole.make_model(config, train_data)
        recbole.restore(model, state, device)
        trainer = recbole.make_trainer(config, model)
        trainer.eval_collector.data_collect(train_data)
        return recbole.evaluate(trainer, test_data)


def save_checkpoints(folder: Path, trained: Trained) -> bool:
    """Write the best and the last weights of a trial to its own folder.

    Returns:
        False where the model holds state that torch cannot read back as weights only (a few models
        that are computed rather than trained); nothing is kept then, and a winner is retrained.
    """
    model = trained.best["config"]["model"]
    for name, state in (("best", trained.best), ("last", trained.last)):
        with atomic_path(folder / f"{name}.pth") as temporary:
            torch.save(state, temporary)
        if model not in _STORABLE and load_checkpoint(folder, name) is None:
            for path in folder.glob("*.pth"):
                path.unlink()
            folder.rmdir()
            return False
    _STORABLE.add(model)
    return True


def load_checkpoint(folder: Path, name: str = "best") -> dict[str, Any] | None:
    """A checkpoint of ours, or None where there is none or it is not whole. Runs no code."""
    try:
        state: dict[str, Any] = torch.load(folder / f"{name}.pth", map_location="cpu", weights_only=True)
    except Exception:  # torch raises whatever a damaged file leads to
        return None
    return state
