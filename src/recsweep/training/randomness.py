"""The random generators that a trial draws from: those of its process, and those of its loaders."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch


def drawn(device: torch.device, *loaders: Any) -> dict[str, Any]:
    """How far all generators are, as tensors and plain numbers."""
    version, words, gauss = random.getstate()
    kind, keys, *rest = np.random.get_state()
    return {
        "python": [version, torch.tensor(words, dtype=torch.int64), gauss],
        "numpy": [kind, torch.from_numpy(np.asarray(keys, dtype=np.int64)), *map(float, rest)],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
        "loaders": {name: generator.get_state() for name, generator in _generators(loaders)},
    }


def draw_on(found: dict[str, Any], device: torch.device, *loaders: Any) -> None:
    """Let all generators go on from there."""
    version, words, gauss = found["python"]
    random.setstate((version, tuple(words.tolist()), gauss))
    kind, keys, position, has_gauss, cached = found["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), int(position), int(has_gauss), cached))
    torch.set_rng_state(found["torch"])
    if device.type == "cuda" and found["cuda"] is not None:
        torch.cuda.set_rng_state(found["cuda"], device)
    for name, generator in _generators(loaders):
        generator.set_state(found["loaders"][name])


def _generators(loaders: tuple[Any, ...], prefix: str = "") -> Iterator[tuple[str, torch.Generator]]:
    """The generator of each loader, and of those that it is made of (RecBole's for knowledge graphs)."""
    for number, loader in enumerate(loaders):
        name = f"{prefix}{number}"
        generator = vars(loader).get("generator")
        if isinstance(generator, torch.Generator):
            yield name, generator
        inner = [part for part in vars(loader).values() if isinstance(part, torch.utils.data.DataLoader)]
        yield from _generators(tuple(inner), f"{name}.")
