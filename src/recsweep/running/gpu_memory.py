"""A trial's share of a GPU's memory, as torch counts it in the process that trains."""

from __future__ import annotations

import gc

import torch

from recsweep.running.gpus import Memory


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
