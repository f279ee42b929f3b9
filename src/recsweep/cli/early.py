"""The template of the workers, begun before anything is known of the sweep: its imports take the longest."""

from __future__ import annotations

from collections.abc import Sequence

from recsweep.common.cores import cores
from recsweep.running.templates import TEMPLATES

_TRAIN = ("tune", "evidence", "worker")
_ONLY_SAY = {"-h", "--help", "--dry-run"}


def begin(words: Sequence[str]) -> None:
    """Begin it beside a command's own imports; `prepare_workers` ends it where nothing is to be trained.

    Args:
        words: the command as it was typed, without the program.
    """
    if words and words[0] in _TRAIN and not _ONLY_SAY.intersection(words) and cores() > 1:
        TEMPLATES.get()
