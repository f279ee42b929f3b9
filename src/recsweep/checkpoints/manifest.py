"""The manifest of a checkpoint: what it is of, and the checksum of each of its files.

It is written last. A checkpoint is there where its manifest is, and whole where the sums agree.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from recsweep.common.files import file_hash, to_plain

_FORMAT, _FORM = "recsweep checkpoint", 1
MOST_BYTES = 1 << 20
"""Of a manifest; what is larger is none."""
_FILE = re.compile(r"[\w][\w.-]{0,99}\.(pt|pth)")
_SUM = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Identity:
    """All that two trials have in common of which one can go on from the other's checkpoint."""

    study: str
    """Its name, for people."""
    definition: str
    """Hash of all that decides what its trials compute."""
    versions: Mapping[str, str]
    commit: str
    """The state of recsweep's own code."""


@dataclass(frozen=True)
class Manifest:
    """A checkpoint, described."""

    study: str
    definition: str
    versions: dict[str, str]
    commit: str
    slot: int
    attempt: int
    epoch: int
    """The one that was over."""
    score: float
    """Of its validation; of weights, the trial's own."""
    written: str
    """When, for people."""
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    """`bytes` and `sha256` of each file beside it, by its name."""

    def text(self) -> str:
        """As it is written."""
        return json.dumps({"format": _FORMAT, "form": _FORM, **to_plain(asdict(self))}, indent=2) + "\n"

    @classmethod
    def of(cls, text: str | bytes) -> Manifest | None:
        """The one that `text` wrote; None for anything else, a part of it included."""
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            return None
        if not isinstance(found, dict) or (found.get("format"), found.get("form")) != (_FORMAT, _FORM):
            return None
        names = [one.name for one in fields(cls)]
        if not all(name in found and _fits(name, found[name]) for name in names):
            return None
        return cls(**{name: found[name] for name in names})

    def foreign(self, own: Identity) -> str:
        """Why it is none of a trial's own; empty where it is one."""
        if self.definition != own.definition:
            return "it is of a study with another definition"
        for name in sorted({*self.versions, *own.versions}):
            theirs, ours = self.versions.get(name, "none"), own.versions.get(name, "none")
            if theirs != ours:
                return f"it was written with {name} {theirs}, and {ours} is here"
        return "" if self.commit == own.commit else "it was written by another state of recsweep's code"

    def damage(self, folder: Path) -> str:
        """The fault of its files in a folder; empty where they are whole."""
        for name, facts in self.files.items():
            try:
                if (folder / name).stat().st_size != facts["bytes"]:
                    return f"{name} is not whole"
                if file_hash(folder / name) != facts["sha256"]:
                    return f"the SHA-256 of {name} differs"
            except OSError as error:
                return f"{name} cannot be read ({error.strerror})"
        return ""


def facts_of(path: Path) -> dict[str, Any]:
    """The facts of a file, as a manifest has them."""
    return {"bytes": path.stat().st_size, "sha256": file_hash(path)}


def _fits(name: str, value: Any) -> bool:
    if name == "files":
        return isinstance(value, dict) and bool(value) and all(map(_is_file, value, value.values()))
    if name == "versions":
        return isinstance(value, dict) and all(isinstance(one, str) for one in value.values())
    if name in ("slot", "attempt", "epoch"):
        return type(value) is int and value >= 0
    return isinstance(value, int | float) if name == "score" else isinstance(value, str)


def _is_file(name: str, facts: Any) -> bool:
    if not _FILE.fullmatch(name) or not isinstance(facts, dict):
        return False
    size, digest = facts.get("bytes"), facts.get("sha256")
    return type(size) is int and size >= 0 and isinstance(digest, str) and bool(_SUM.fullmatch(digest))
