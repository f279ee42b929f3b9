"""Rest between trials, so that a GPU cools down."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from recsweep.sweeps.config import CooldownConfig

GPU_DEFAULT_SECONDS = 60.0
_POLL_SECONDS = 1.0


@dataclass(frozen=True)
class Cooldown:
    """How long to rest, and why."""

    seconds: float
    until_celsius: float | None
    reason: str


def decide(config: CooldownConfig, device: str) -> Cooldown:
    """The rest for a device: what the config says, else 60 s with a GPU and none without."""
    if config.seconds is not None:
        return Cooldown(config.seconds, config.until_celsius, "as configured")
    if device.startswith("cuda"):
        return Cooldown(GPU_DEFAULT_SECONDS, config.until_celsius, "the default with a GPU")
    return Cooldown(0.0, None, "no GPU is used, and cooldown is for a GPU's heat")


def rest(
    cooldown: Cooldown,
    temperature: Callable[[], float | None],
    stop: Callable[[], bool],
    sleep: Callable[[float], None] = time.sleep,
) -> float:
    """Rest until the time is over, the GPU is cool, or `stop` says so.

    Args:
        temperature: the GPU's in degrees Celsius, or None where it cannot be read.

    Returns:
        Seconds rested.
    """
    rested = 0.0
    while rested < cooldown.seconds and not stop():
        limit = cooldown.until_celsius
        if limit is not None:
            now = temperature()
            if now is not None and now < limit:
                break
        pause = min(_POLL_SECONDS, cooldown.seconds - rested)
        sleep(pause)
        rested += pause
    return rested
