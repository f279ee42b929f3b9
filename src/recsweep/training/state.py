"""The state of a trial in training at an epoch's end: all that the next epoch depends on, in one file.

The file is torch's, and read as weights only: nothing in it is code.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch

from recsweep.common.files import atomic_path

_FORMAT, _FORM = "recsweep trial state", 1


@dataclass(frozen=True)
class TrialState:
    """A trial as it stood when an epoch was over. Tensors are copies on the CPU."""

    settings: dict[str, Any]
    """The complete RecBole config that it was trained with, plain."""
    epoch: int
    """From 1; the next one is trained."""
    seconds: float
    """That it took until then."""
    curve: list[list[Any]]
    """Epoch and score of each validation."""
    weights: dict[str, torch.Tensor]
    attributes: dict[str, Any]
    """All that the model keeps beside its weights and has changed (`attributes.Attributes`)."""
    optimizers: dict[str, Any]
    """By the trainer's name for each: its class, the state of its parameters."""
    steps: dict[str, Any]
    """All that a fast path keeps from batch to batch; empty on RecBole's own."""
    randomness: dict[str, Any]
    """The random generators of the process, and those of the loaders."""
    early_stop: dict[str, Any]
    """RecBole's counters, and the metrics of the best validation."""
    best: dict[str, Any] | None
    """The best epoch until then: its number, score, weights, other state and settings."""
    of: str = ""
    """Whose it is, for whoever keeps it."""

    def save(self, path: Path) -> None:
        """Write it, whole or not at all."""
        content = {field.name: getattr(self, field.name) for field in fields(self)}
        with atomic_path(path) as temporary:
            torch.save({"format": _FORMAT, "form": _FORM, **content}, temporary)

    @classmethod
    def load(cls, path: Path) -> TrialState | None:
        """The state that `save` wrote; None where there is none, or it is not whole. Runs no code."""
        try:
            with zipfile.ZipFile(path) as members:
                if members.testzip() is not None:  # torch itself does not look at the checksums
                    return None
            found = torch.load(path, map_location="cpu", weights_only=True)
        except Exception:  # torch and zipfile raise whatever a damaged file leads to
            return None
        if not isinstance(found, dict) or (found.get("format"), found.get("form")) != (_FORMAT, _FORM):
            return None
        names = [field.name for field in fields(cls)]
        return cls(**{name: found[name] for name in names}) if all(name in found for name in names) else None
