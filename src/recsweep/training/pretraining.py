"""The stages before the one that is validated, of the models that have them: S3Rec, RaCT.

RecBole has a run of its own for each stage, which hands on its weights in a file. Here they belong to the
trial: they are trained first, within its time and its epochs, and kept in the cache by all that decides them.
The trainer's parameters (the learning rate and so on) are in them those of the study's defaults, not the
trial's, and their seed is that of the split; so all trials of a study go on from one pre-training, unless
they differ in parameters of the model, which are parameters of its stages too.
"""

from __future__ import annotations

import fcntl
import hashlib
import math
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from recsweep.common.errors import TrialDiverged
from recsweep.common.files import atomic_path, content_hash, to_plain
from recsweep.recbole_api import catalog
from recsweep.recbole_api import model as recbole
from recsweep.recbole_api.config import TypedConfig
from recsweep.recbole_api.data import Split, make_loaders
from recsweep.recbole_api.settings import LAST_STAGE, PRETRAINING, STAGE
from recsweep.recbole_api.windows import stored_parts

FOLDER = "pretrained"
_EPOCHS = "pretrain_epochs"
# All that the stages do not depend on.
_LATER = (PRETRAINING, STAGE, "metrics", "topk", "valid_metric", "stopping_step", "eval_step", "epochs")
_PLACES = ("data_path", "checkpoint_dir", "eval_batch_size", "show_progress")


@dataclass(frozen=True)
class Pretrained:
    """The weights that a trial's last stage begins with."""

    weights: dict[str, torch.Tensor]
    epochs: int
    """That were trained for them here and now; 0 where they were there."""


def pretrained(
    settings: Mapping[str, Any], split: Split, device: torch.device, cache: Path | None
) -> Pretrained | None:
    """The weights after the stages before the last one, from the cache or trained now.

    Args:
        settings: the complete RecBole config of a trial.
        split: the prepared data.
        device: where to train.
        cache: the folder that keeps them; None to keep none.

    Returns:
        None for a model without such stages, which is nearly every one.

    Raises:
        TrialDiverged: the loss of a stage became NaN or infinite.
    """
    stages = catalog.stages(str(settings["model"]))
    if not stages or settings.get(STAGE) != LAST_STAGE:
        return None
    own = {**settings, **settings.get(PRETRAINING, {})}
    if cache is None:
        return _trained(own, stages, split, device)
    key = content_hash(to_plain({"settings": _deciding(own), "data": _data_hash(split)}))
    path = cache / FOLDER / f"{key}.pth"
    path.parent.mkdir(parents=True, exist_ok=True)
    with _alone(path.with_suffix(".lock")):
        if (found := _read(path)) is not None:
            return Pretrained(found, 0)
        made = _trained(own, stages, split, device)
        with atomic_path(path) as temporary:
            torch.save(made.weights, temporary)
        return made


def _deciding(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in (*_LATER, *_PLACES)}


def _data_hash(split: Split) -> str:
    """Of the training data, and of what is known of the items."""
    found = hashlib.sha256()
    for rows in (split.parts[0].inter_feat, split.whole.item_feat):
        for name, column in sorted(rows.interaction.items()) if rows is not None else ():
            found.update(name.encode())
            for part in stored_parts(column):
                found.update(part.contiguous().numpy().tobytes())
    return found.hexdigest()


def _trained(
    settings: dict[str, Any], stages: tuple[str, ...], split: Split, device: torch.device
) -> Pretrained:
    weights: dict[str, torch.Tensor] | None = None
    epochs = 0
    for stage in stages:
        with recbole.clean_globals(), tempfile.TemporaryDirectory(prefix="recsweep-") as scratch:
            config = TypedConfig({**settings, STAGE: stage}, device, Path(scratch))
            train, _, _ = make_loaders(config, split)
            model = recbole.make_model(config, train)
            if weights is not None:
                model.load_state_dict(weights)
            trainer = recbole.make_trainer(config, model)
            for epoch in range(int(config[_EPOCHS])):  # as RecBole's `pretrain`, which also writes files
                _require_finite(recbole.train_epoch(trainer, train, epoch), stage, epoch)
                epochs += 1
            weights = recbole.weights(model)
    return Pretrained(weights or {}, epochs)


def _require_finite(loss: float, stage: str, epoch: int) -> None:
    if not math.isfinite(loss):
        raise TrialDiverged(f"the training loss is {loss} in epoch {epoch + 1} of {stage}")


def _read(path: Path) -> dict[str, torch.Tensor] | None:
    """Weights that were kept; None where there are none, or no whole ones."""
    try:
        found: dict[str, torch.Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # torch raises whatever a damaged file leads to
        return None
    return found


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Let one process after the other train: the next one finds what the first one kept."""
    with path.open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
