"""Mixed precision: which 16-bit type a device computes in, and whether its losses are scaled."""

from __future__ import annotations

from typing import Any

import torch


def half(device: torch.device) -> torch.dtype:
    """bfloat16 where the device computes in it, which has the range of float32; else float16."""
    if device.type != "cuda" or torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.bfloat16
    return torch.float16


def autocast(device: torch.device, *, mixed: bool) -> torch.autocast:
    """The context that a batch's loss is computed in."""
    return torch.autocast(device.type, dtype=half(device), enabled=mixed)


def scaler(trainer: Any) -> torch.amp.GradScaler | None:
    """A scale for the losses of a trial, where its small gradients would be lost in float16; else None."""
    scaled = trainer.enable_amp and trainer.enable_scaler and half(trainer.device) == torch.float16
    return torch.amp.GradScaler(trainer.device.type) if scaled else None
