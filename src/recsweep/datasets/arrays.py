"""Arrays in one plain file: their bytes one after the other. Mapped, not read; nothing in it is run."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

_ALIGNED = 64
_TYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
        *(torch.float16, torch.bfloat16, torch.float32, torch.float64),
    )
}


def write_arrays(path: Path, arrays: Sequence[torch.Tensor]) -> tuple[list[dict[str, Any]], str]:
    """Write the bytes of arrays.

    Returns:
        For each array its `type`, `shape`, and where it starts (`at`): what `read_arrays` needs. And its
        SHA-256.
    """
    index: list[dict[str, Any]] = []
    digest = hashlib.sha256()
    with path.open("wb") as file:

        def write(part: bytes | memoryview) -> None:
            file.write(part)
            digest.update(part)

        for array in arrays:
            plain = array.detach().cpu().contiguous()
            name = str(plain.dtype).removeprefix("torch.")
            if name not in _TYPES:
                raise TypeError(f"an array of {name} has no plain form")
            write(bytes(-file.tell() % _ALIGNED))
            index.append({"type": name, "shape": list(plain.shape), "at": file.tell()})
            if plain.numel():  # NumPy's empty arrays have a stride of 0, of which there is no view
                write(plain.reshape(-1).view(torch.uint8).numpy().data)
    return index, digest.hexdigest()


def read_arrays(path: Path, index: Any) -> list[torch.Tensor]:
    """The arrays of a file, mapped: processes on one machine share the pages, and none changes the file.

    Raises:
        ValueError: the index is not one, or names what lies outside the file.
    """
    if not isinstance(index, list):
        raise ValueError("an index of arrays is a list")
    size = path.stat().st_size
    whole: Any = torch.UntypedStorage.from_file(str(path), False, size) if size else b""
    return [_array(whole, size, entry) for entry in index]


def _array(whole: Any, size: int, entry: Any) -> torch.Tensor:
    if not isinstance(entry, dict) or entry.keys() != {"type", "shape", "at"}:
        raise ValueError("an array has `type`, `shape` and `at`")
    dtype = _TYPES.get(entry["type"]) if isinstance(entry["type"], str) else None
    shape, start = entry["shape"], entry["at"]
    if dtype is None or not isinstance(shape, list) or not all(_is_count(n) for n in (*shape, start)):
        raise ValueError(f"no array is like {entry}")
    end = start + math.prod(shape) * dtype.itemsize
    if end > size or start % _ALIGNED:
        raise ValueError(f"an array of {shape} does not lie at {start} of {size} bytes")
    if end == start:
        return torch.empty(shape, dtype=dtype)
    # A storage of its own: what keeps one array does not keep, or save, all of them.
    return torch.empty(0, dtype=torch.uint8).set_(whole[start:end]).view(dtype).reshape(shape)


def _is_count(number: Any) -> bool:
    return type(number) is int and number >= 0
