"""The device of a trial, and whether it is there. torch is imported by those who train, or apart."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from recsweep.common.errors import UserError

if TYPE_CHECKING:
    import torch

_PATIENCE_SECONDS = 120.0
_ASK = "import sys; from recsweep.common import devices; print(devices.trouble(sys.argv[1]) or '')"


def is_named(wanted: str) -> bool:
    """True where a device is asked for that may not be there; `auto` takes what there is."""
    return wanted not in ("auto", "cpu")


@cache
def require(wanted: str) -> None:
    """Refuse a device that is not there, before anything is opened for it. Imports no torch here.

    A process of its own asks torch, and only where a device is named. Where it cannot answer, workers will.

    Raises:
        UserError: torch sees no such device.
    """
    if not is_named(wanted):
        return
    source = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, (source, os.environ.get("PYTHONPATH"))))
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", _ASK, wanted],
            capture_output=True,
            text=True,
            check=False,
            timeout=_PATIENCE_SECONDS,
            env={**os.environ, "PYTHONPATH": path},
        )
    except (OSError, subprocess.TimeoutExpired):
        return
    said = done.stdout.strip().splitlines()
    if done.returncode == 0 and said:
        raise UserError(said[-1])


def trouble(wanted: str) -> str | None:
    """Why torch cannot train on a device, in one line; None where it can."""
    import torch

    kind, _, _ = wanted.partition(":")
    if kind == "mps" and not torch.backends.mps.is_available():
        return "device: mps was asked for, but torch sees no GPU of a Mac; use device: auto, or another torch"
    if kind != "cuda":
        return None
    if not torch.cuda.is_available():
        built = "a CPU build" if torch.version.cuda is None else f"built for CUDA {torch.version.cuda}"
        return (
            f"device: {wanted} was asked for, but torch sees no GPU; this torch is {built}; "
            "use device: auto, or see the README on CUDA builds"
        )
    return None


def resolve_device(wanted: str) -> torch.device:
    """`auto`: CUDA where there is one. `cuda:1` and the like are taken as they are.

    Raises:
        UserError: `cuda` or `mps` was asked for and is not there.
    """
    import torch

    reason = trouble(wanted)
    if reason is not None:
        raise UserError(reason)
    if ":" in wanted or wanted == "mps":
        return torch.device(wanted)
    return torch.device("cuda" if torch.cuda.is_available() and wanted != "cpu" else "cpu")
