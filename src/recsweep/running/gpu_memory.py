"""A GPU where trials train: woken before it is needed; what they take of its memory, as torch counts."""

from __future__ import annotations

import gc
import threading
from contextlib import suppress

import torch

from recsweep.running.gpus import Memory

_AWAKE: set[torch.device] = set()


def wake(device: torch.device) -> None:
    """Let CUDA make its context and load its libraries while this process reads its data; once a process."""
    if device.type == "cuda" and device not in _AWAKE:
        _AWAKE.add(device)
        threading.Thread(target=_touch, args=(device,), daemon=True).start()


def _touch(device: torch.device) -> None:
    with suppress(RuntimeError):  # a GPU that does not work is told of by the trial that needs it
        some = torch.ones(8, 8, device=device)
        torch.mm(some, some)
        torch.cuda.synchronize(device)


def release(device: torch.device) -> None:
    """Give back what torch keeps for later tensors: other processes cannot use it."""
    if device.type == "cuda":
        gc.collect()  # RecBole's trainers refer to themselves, and hold tensors until collected
        torch.cuda.empty_cache()


def start(device: torch.device) -> None:
    """Begin to measure: what earlier trials left does not count."""
    release(device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def measured(device: torch.device) -> Memory | None:
    """Bytes taken since `start`; None for a device that is no GPU."""
    if device.type != "cuda":
        return None
    free, total = torch.cuda.mem_get_info(device)
    # Reserved rather than allocated: it is what the other processes on the GPU cannot have.
    return Memory(torch.cuda.max_memory_reserved(device), free + torch.cuda.memory_reserved(device), total)
