"""NVML, asked for what NVIDIA's driver knows of GPUs. Its only importer."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

_Answer = TypeVar("_Answer")


@contextmanager
def _library() -> Iterator[Any]:
    """The library, ready; None without it, without a driver or without a device."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # NVML has an error class for each
        yield None
        return
    try:
        yield pynvml
    finally:
        pynvml.nvmlShutdown()


def _asked(question: Callable[[Any], _Answer]) -> _Answer | None:
    """The answer to a question; None where NVML has none."""
    with _library() as nvml:
        if nvml is None:
            return None
        try:
            return question(nvml)
        except nvml.NVMLError:
            return None


def gpu_temperature() -> float | None:
    """The temperature in degrees Celsius of our hottest GPU; None without NVML or without a GPU."""

    def hottest(nvml: Any) -> float | None:
        handles = [nvml.nvmlDeviceGetHandleByIndex(i) for i in visible(nvml.nvmlDeviceGetCount())]
        kind = nvml.NVML_TEMPERATURE_GPU
        return max((float(nvml.nvmlDeviceGetTemperature(h, kind)) for h in handles), default=None)

    return _asked(hottest)


def gpu_joules(uuid: str) -> tuple[float, int] | None:
    """The joules that a GPU has taken since its driver was loaded, and the processes that compute there now.

    Args:
        uuid: as the driver calls it: `GPU-…`.
    """

    def taken(nvml: Any) -> tuple[float, int]:
        handle = nvml.nvmlDeviceGetHandleByUUID(uuid)
        processes = len(nvml.nvmlDeviceGetComputeRunningProcesses(handle))
        return nvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000, processes

    return _asked(taken)


def visible(count: int) -> list[int]:
    """The numbers of the GPUs that this process may use, of so many that there are.

    A scheduler names them by `CUDA_VISIBLE_DEVICES`; where that names them otherwise than by number, all.
    """
    words = os.environ.get("CUDA_VISIBLE_DEVICES", "").replace(" ", "").split(",")
    named = [int(word) for word in words if word.isascii() and word.isdigit()]
    if len(named) < len(words):
        return list(range(count))
    return [number for number in named if number < count]
