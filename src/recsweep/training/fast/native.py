"""Access to the compiled kernels; None where they were not built, or are switched off."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import torch

from recsweep.training.fast import gemm
from recsweep.training.fast.build import library

SWITCH = "RECSWEEP_NATIVE"
"""Environment variable: `0` takes the Python path although compiled kernels are there."""


@cache
def kernels() -> Any | None:
    """The namespace of the compiled operators, or None."""
    if os.environ.get(SWITCH) == "0" or not library().is_file():
        return None
    torch.ops.load_library(str(library()))  # type: ignore[no-untyped-call]
    torch.ops.recsweep.use_products(gemm.chosen(library().parent))
    return torch.ops.recsweep
