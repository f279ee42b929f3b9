"""A configuration that was trained for a moment; small, picklable, free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

DEFAULTS, LARGE, SMALL = "defaults", "large", "small"
"""Configurations: where a search starts, and the corners of its space in cost; all others lie within."""
_KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("name", "path", "failure"), (str,)),
    **dict.fromkeys(("setup_seconds", "epoch_seconds", "validation_seconds"), (int, float)),
    "epochs": (int,),
    "finished": (bool,),
    "params": (dict,),
}


@dataclass(frozen=True)
class Point:
    """A configuration to probe."""

    name: str
    params: Mapping[str, Any]
    seed: int
    split_seed: int | None = None


@dataclass(frozen=True)
class Probe:
    """One configuration, trained for a moment."""

    name: str
    params: Mapping[str, Any]
    setup_seconds: float = 0.0
    """Loaders, model and trainer; models that are computed rather than trained do it all there."""
    epoch_seconds: float = 0.0
    """An epoch with its validation, as far as it was trained, the rest in proportion."""
    validation_seconds: float = 0.0
    epochs: int = 0
    """That were trained, whole or in part."""
    finished: bool = False
    """It was trained to its end: to its early stop, or to the most epochs."""
    path: str = ""
    """Whose code trained."""
    failure: str = ""
    """Why there are no numbers."""


@dataclass(frozen=True)
class Probes:
    """All that was measured of one study's model on its data."""

    ready_seconds: float
    """From the start of a worker to its first trial."""
    memory: int
    """Most bytes that the worker held at once."""
    gpu_memory: int | None = None
    """The same of a GPU."""
    cut: str = ""
    """The end of the measuring before all was measured."""
    taken: tuple[Probe, ...] = field(default=())

    @property
    def good(self) -> list[Probe]:
        """Those that have numbers."""
        return [probe for probe in self.taken if not probe.failure]

    def to_plain(self) -> dict[str, Any]:
        """For a file."""
        return asdict(self)

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Probes:
        """Those that a file holds.

        Raises:
            ValueError: it is nothing that `to_plain` gives.
        """
        taken = tuple(_probe(one) for one in plain.get("taken") or ())
        numbers = [plain.get(name) for name in ("ready_seconds", "memory", "gpu_memory")]
        if any(not isinstance(one, int | float) for one in numbers[:2]) or not taken:
            raise ValueError("no measurements")
        gpu = int(numbers[2]) if isinstance(numbers[2], int) else None
        return cls(float(numbers[0] or 0), int(numbers[1] or 0), gpu, str(plain.get("cut", "")), taken)


def _probe(plain: Any) -> Probe:
    if not isinstance(plain, dict) or plain.keys() != _KINDS.keys():
        raise ValueError("no probe")
    if any(not isinstance(plain[name], kinds) for name, kinds in _KINDS.items()):
        raise ValueError("no probe")
    return Probe(**plain)
