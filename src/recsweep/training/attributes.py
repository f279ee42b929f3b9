"""Attributes that a model keeps beside its weights, and changes while it is trained.

RecBole's models count their steps, keep what they propagated last, redraw graphs and clusters, as plain
attributes that no state dict has. Which ones a model changes is found by comparison with how it was made:
so what its settings have given it stays that of its settings.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from recsweep.common.errors import TrialError
from recsweep.recbole_api.model import copied_to

_TORCHS = frozenset(vars(torch.nn.Module())) | {"_flat_weights", "_flat_weight_refs"}
_SCALARS = (bool, int, float, str, type(None))
_ARRAY = "numpy array"


class Attributes:
    """The attributes of a model and its layers.

    Args:
        model: as it was made, before it is trained.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        self._model = model
        self._device = next((weight.device for weight in model.parameters()), torch.device("cpu"))
        # What is marked stays referenced: another object may not get the address of one that is gone.
        self._made = {name: (_mark(value), value, list(_tensors(value))) for name, _, _, value in self._all()}

    def _all(self) -> Iterator[tuple[str, torch.nn.Module, str, Any]]:
        for prefix, layer in self._model.named_modules():
            for attribute, value in vars(layer).items():
                if attribute not in _TORCHS and not isinstance(value, torch.nn.Parameter):
                    yield f"{prefix}:{attribute}", layer, attribute, value

    def changed(self) -> dict[str, Any]:
        """A copy on the CPU of all that has changed, by name.

        Raises:
            TrialError: something has changed that cannot be written.
        """
        found: dict[str, Any] = {}
        for name, _, _, value in self._all():
            if name in self._made and self._made[name][0] == _mark(value):
                continue
            there = any(tensor.device != torch.device("cpu") for tensor in _tensors(value))
            found[name] = {"value": self._written(name, value), "there": there}
        return found

    def _written(self, name: str, value: Any) -> Any:
        if isinstance(value, _SCALARS):
            return value
        if isinstance(value, torch.Tensor):
            return copied_to(value, torch.device("cpu"), always=True)
        if isinstance(value, np.generic):
            return value.item()
        if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
            return {_ARRAY: torch.from_numpy(value.copy())}
        if type(value) in (list, tuple):
            return type(value)(self._written(name, item) for item in value)
        if type(value) is dict:
            return {key: self._written(name, item) for key, item in value.items()}
        raise TrialError(
            f"{type(self._model).__name__} keeps {name.strip(':')}, a {type(value).__name__}, from epoch to "
            "epoch; it cannot be written without code; train this model in one piece"
        )

    def put(self, changed: dict[str, Any]) -> None:
        """Give a fresh model what another one had changed."""
        layers = dict(self._model.named_modules())
        for name, one in changed.items():
            prefix, attribute = name.rsplit(":", 1)
            value = _read(one["value"], self._device if one["there"] else torch.device("cpu"))
            before = getattr(layers[prefix], attribute, None)
            if isinstance(before, torch.Tensor) and _fits(before, value):
                before.copy_(value)  # others may look at the same tensor
            else:
                setattr(layers[prefix], attribute, value)


def _fits(before: torch.Tensor, value: Any) -> bool:
    if not isinstance(value, torch.Tensor) or before.layout != torch.strided or before.requires_grad:
        return False
    return (before.shape, before.dtype, before.device) == (value.shape, value.dtype, value.device)


def _read(value: Any, device: torch.device) -> Any:
    if isinstance(value, torch.Tensor):
        return value.to(device, copy=True)
    if isinstance(value, dict):
        if value.keys() == {_ARRAY}:
            return value[_ARRAY].numpy().copy()
        return {key: _read(item, device) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_read(item, device) for item in value)
    return value


def _mark(value: Any) -> Any:
    """Something that is another one when a value has become another one."""
    if isinstance(value, _SCALARS):
        return type(value), value
    if isinstance(value, torch.Tensor):
        return id(value), value._version
    if isinstance(value, np.ndarray):
        return id(value), zlib.crc32(value.tobytes()) if value.dtype.kind in "biuf" else 0
    if type(value) in (list, tuple):
        return type(value), tuple(_mark(item) for item in value)
    if type(value) is dict:
        return dict, tuple((_mark(key), _mark(item)) for key, item in value.items())
    return id(value)


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, list | tuple | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _tensors(item)
