"""A trained model that scores all items: made as RecBole makes it, with the weights of a checkpoint."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from recsweep.recbole_api import model as recbole
from recsweep.recbole_api.config import TypedConfig
from recsweep.recbole_api.data import Split, make_loaders
from recsweep.training.fast.base import Family
from recsweep.training.fast.trainer import restored, scoring_family


@dataclass(frozen=True)
class TrainedModel:
    """All that is needed to have a trained model again."""

    settings: Mapping[str, Any]
    """The complete RecBole config that its weights were trained with."""
    split: Split
    state: Mapping[str, Any] = field(repr=False)
    """Its checkpoint."""
    source: str = "restored"
    """`restored` or `retrained`."""


@dataclass(frozen=True)
class Scorer:
    """A trained model, ready to score."""

    family: Family
    split: Split
    loader: Any
    """RecBole's, of the test data."""
    device: torch.device
    valid: Any = None
    """That of the validation data."""

    @property
    def is_sequential(self) -> bool:
        """True where it scores a sequence of items, and not a user."""
        return bool(self.loader.is_sequential)


@contextmanager
def scoring(trained: TrainedModel, device: torch.device) -> Iterator[Scorer]:
    """A trained model in memory, without gradients."""
    with recbole.clean_globals(), tempfile.TemporaryDirectory(prefix="recsweep-") as scratch, torch.no_grad():
        config = TypedConfig(trained.settings, device, Path(scratch))
        train, valid, test = make_loaders(config, trained.split)
        model = restored(config, train, dict(trained.state), device)
        model.eval()
        family = scoring_family(recbole.make_trainer(config, model), train, test)
        yield Scorer(family, trained.split, test, device, valid)
