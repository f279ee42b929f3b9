"""Environments of other packages: made from a file of requirements, and again when that changes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path


def python_of(folder: Path, requirements: Path, make: Callable[[Path], None]) -> Path:
    """The interpreter of an environment, which is made now unless it is there.

    Args:
        make: makes the environment, whose interpreter is to be there then.
    """
    python, stamp = folder / "bin" / "python", folder / "requirements.sha256"
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if not (python.is_file() and stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted):
        make(python)
        stamp.write_text(wanted, encoding="utf-8")
    return python
