"""Which library makes the kernels' matrix products: measured once at set-up, and kept beside the kernels.

The choice stays as long as they do, so that a trial can be repeated: another library takes sums in another
order, which changes the last digits of float32.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

LIBRARIES = ("own", "mkl", "onednn")
"""Our own products (`native/products.h`), and the two libraries that come with torch."""
SWITCH = "RECSWEEP_GEMM"
"""Environment variable: one of `LIBRARIES` takes the place of what was measured."""
_FILE = "products.json"
_SECONDS = 0.3
_GAIN = 1.05
"""A library takes the place of our own products where it is faster by this much: less is noise."""


def measure(kernels: Any, folder: Path) -> None:
    """Keep in a folder how fast each library is on this processor.

    Args:
        kernels: the namespace of the compiled operators.
        folder: where the library of the kernels is.
    """
    import torch

    rates, threads = {}, torch.get_num_threads()
    torch.set_num_threads(1)  # as the kernels call them: each thread multiplies for itself
    for name in LIBRARIES:
        with contextlib.suppress(RuntimeError):  # torch's build has no such library
            rates[name] = round(kernels.rate_products(name, _SECONDS) / 1e9, 1)
    torch.set_num_threads(threads)
    (folder / _FILE).write_text(json.dumps(rates), encoding="utf-8")


def rates(folder: Path) -> dict[str, float]:
    """GFLOP/s of each library on one thread, as measured at set-up; empty where nobody has measured."""
    try:
        found: dict[str, float] = json.loads((folder / _FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def chosen(folder: Path) -> str:
    """The library for the kernels of a folder: the environment's word, or what was the fastest."""
    wanted = os.environ.get(SWITCH)
    if wanted in LIBRARIES:
        return wanted
    found = rates(folder)
    own = found.get("own", 0.0)
    best = max(found, key=lambda name: found[name], default="own")
    return best if found.get(best, 0.0) > own * _GAIN else "own"


def told(folder: Path) -> str:
    """The choice in words, with what was measured."""
    measured = ", ".join(f"{name} {rate:g}" for name, rate in rates(folder).items())
    return f"{chosen(folder)} ({measured} GFLOP/s on one core)" if measured else chosen(folder)
