"""The studies that are to be sent."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Wanted:
    """Some studies of a sweep.

    Attributes:
        sweep: its name.
        studies: their names in the store, where they may not be yet.
        root: the folder of all outputs.
        depot: where the sweep sends its checkpoints; empty where they stay below `root`.
        not_new: those of which a tracker is sent nothing, if nothing of them was ever sent there.
    """

    sweep: str
    studies: tuple[str, ...]
    root: Path
    depot: str
    not_new: frozenset[str] = frozenset()
