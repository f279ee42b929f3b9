"""Checkpoints of studies that are renamed or removed: a store knows of none, they lie among the outputs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

from recsweep.checkpoints.units import STATES, clear
from recsweep.study.record import StudyRecord


def weights_of(record: StudyRecord, roots: Iterable[Path]) -> list[Path]:
    """The folders that hold weights of a study's trials.

    Args:
        roots: folders of outputs in which they may be.
    """
    return [folder for folder in _folders(record, roots) if any(folder.glob("trial-*"))]


def take_along(old: StudyRecord, new: StudyRecord, roots: Iterable[Path]) -> None:
    """Move a study's checkpoints to where they are looked for under its new name; what is there stays."""
    every = list(roots)
    for source, target in zip(_folders(old, every), _folders(new, every), strict=True):
        if source == target:
            continue
        for folder in (*sorted(source.glob("trial-*")), *source.glob(STATES)):
            target.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(OSError):  # weights are trained again where they are missed
                folder.rename(target / folder.name)


def forget_states(record: StudyRecord, roots: Iterable[Path]) -> None:
    """Remove the states of a study's trials in training: nobody goes on from them any more."""
    for folder in _folders(record, roots):
        for slot in (folder / STATES).glob("slot-*"):
            clear(slot)
        with contextlib.suppress(OSError):
            (folder / STATES).rmdir()


def _folders(record: StudyRecord, roots: Iterable[Path]) -> list[Path]:
    return [record.outputs_below(root).checkpoints(*record.folder_names) for root in roots]
