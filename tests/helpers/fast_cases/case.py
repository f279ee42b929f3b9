"""A case of the gate: a model without dropout, and what else of it must be tried."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from helpers.fast import FAST_PATHS, TORCH


@dataclass(frozen=True)
class Case:
    """A model without dropout, and what else of its parameters must be tried."""

    params: dict[str, Any]
    losses: tuple[str | None, ...] = ("CE", "BPR")
    """None: the model knows one loss and has no parameter for it."""
    variants: dict[str, dict[str, Any]] = field(default_factory=dict)
    paths: tuple[str, ...] = FAST_PATHS
    undetermined: tuple[str, ...] = ()
    """Endings of parameters that no output depends on: their gradients are nothing but rounding."""
    learns: bool = True
    """False for a model that is computed: settings of a training change nothing in it."""
    without: tuple[str, ...] = ()
    """Of what is tried of every model with kernels, that which the path refuses."""


SIZE = {"embedding_size": 16}
SIZES = {f"size-{size}": {"embedding_size": size} for size in (10, 50, 64)}


def on_torch(params: dict[str, Any], *losses: str | None, undetermined: tuple[str, ...] = ()) -> Case:
    """A model without compiled kernels."""
    return Case(params, losses or ("CE", "BPR"), paths=(TORCH,), undetermined=undetermined)
