"""The ensemble of a data set in words: what it brought over the best model alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recsweep.common.errors import InputError
from recsweep.common.files import counted
from recsweep.sweeps.documents import load_document


def ensemble_words(file: Path) -> str:
    """A sentence or two on the ensemble of a file; empty where there is none.

    Args:
        file: what `recsweep ensemble` wrote.
    """
    if not file.is_file():
        return ""
    try:
        found = load_document(file).data
        single, metric = found["best_single"], str(found["metric"])
        members, chosen = len(found["members"]), _beside(found["validation"], single["validation"])
        tests = found["test"].get(metric), (single.get("test") or {}).get(metric)
    except (InputError, KeyError, TypeError, AttributeError):
        return ""  # whoever changed it does not want it told
    shown = metric.upper() if metric.islower() else metric
    words = f"An ensemble of {counted(members, 'model')}, fused by {found['fusion']}, comes to "
    if None not in tests:
        words += f"{_beside(*tests)} {shown} on test. "
    return f"{words}{chosen} {shown} on validation, by which it was chosen."


def _beside(value: Any, single: Any) -> str:
    together, alone = float(value), float(single)
    return f"{together:.4f} ({together - alone:+.4f} over the best model alone)"
