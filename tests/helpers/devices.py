"""A second device on a machine that has none: what was read from a file stays apart until it is moved."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from recsweep.recbole_api.windows import Windows


class MixedDevices(RuntimeError):
    """What CUDA says when one operand is on the CPU and the other is not."""


def tensors_in(value: Any) -> Iterator[torch.Tensor]:
    """All tensors of nested lists, tuples and mappings."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from tensors_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from tensors_in(item)


class StandInDevice(TorchFunctionMode):
    """Refuses to compute with tensors of a checkpoint beside others until `.to(device)` was said.

    A tensor counts as the file's by its memory, so that views of it count too, and so does what is computed
    from such tensors alone. `copy_` may go from one device to another, as in torch, and a single number may
    stand beside anything.
    """

    def __init__(self, checkpoint: dict[str, Any]) -> None:
        super().__init__()
        self._kept = [tensor for tensor in tensors_in(checkpoint) if tensor.numel()]
        self._memory = {tensor.untyped_storage().data_ptr() for tensor in self._kept}

    def is_the_files(self, tensor: torch.Tensor) -> bool:
        """Whether nobody has moved it."""
        if isinstance(tensor, Windows):  # data, and without memory of its own
            return False
        return tensor.layout is torch.strided and tensor.untyped_storage().data_ptr() in self._memory

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given = list(tensors_in([list(args), kwargs]))
        apart = [tensor for tensor in given if self.is_the_files(tensor)]
        name = getattr(func, "__name__", "")
        if not apart:
            return func(*args, **kwargs)
        if name == "to" and any(isinstance(part, torch.device) for part in (*args[1:], *kwargs.values())):
            return func(*args, **kwargs).clone()
        together = any(tensor.dim() and not self.is_the_files(tensor) for tensor in given)
        if together and name not in ("copy_", "is_same_size", "_has_compatible_shallow_copy_type"):
            raise MixedDevices(f"{name}: tensors should be either on cpu or on the same device")
        result = func(*args, **kwargs)
        for tensor in tensors_in(result) if not together else ():
            if tensor.numel() and tensor.layout is torch.strided:
                self._kept.append(tensor)
                self._memory.add(tensor.untyped_storage().data_ptr())
        return result
