"""Tracebacks, whole, in files of their own that a line can name."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from recsweep.common.errors import disk_trouble
from recsweep.common.files import write_text
from recsweep.common.masking import mask_traceback


def keep_traceback(path: Path, error: BaseException, about: Mapping[str, Any]) -> Path | None:
    """Write an error with its traceback, and what it was about, into a file.

    Returns:
        The file; None where it could not be written for another reason than a full disk.

    Raises:
        SweepPaused: the disk is full.
    """
    head = {"time": datetime.now().isoformat(timespec="seconds"), **about}
    lines = [f"{name}: {value}" for name, value in head.items()]
    try:
        write_text(path, "\n".join([*lines, "", mask_traceback(error)]))
    except OSError as trouble:
        if (pause := disk_trouble(trouble)) is not None:
            raise pause from error
        return None
    return path
