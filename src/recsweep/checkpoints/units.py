"""Checkpoints in a folder of this machine: each a manifest, its files, and a mark of where it was sent."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from recsweep.checkpoints.manifest import MOST_BYTES, Manifest
from recsweep.common.files import write_text

MANIFEST, SENT = ".json", ".sent"
STATES = "resume"
"""The folder of a study's states of trials in training; their weights lie beside it."""


@dataclass(frozen=True)
class Unit:
    """One checkpoint, which may be there or not."""

    folder: Path
    name: str
    """Of its manifest, without its ending."""

    @property
    def path(self) -> Path:
        """The file of the manifest."""
        return self.folder / f"{self.name}{MANIFEST}"

    def manifest(self) -> Manifest | None:
        """Its manifest; None where there is none, or it is not whole."""
        try:
            with self.path.open("rb") as file:
                return Manifest.of(file.read(MOST_BYTES))
        except OSError:
            return None

    def write(self, manifest: Manifest) -> None:
        """Make it one, now that its files are written."""
        write_text(self.path, manifest.text())

    def is_sent(self, depot: str) -> bool:
        """True where it lies at a place, as far as this machine knows."""
        try:
            return self._mark.read_text(encoding="utf-8") == depot
        except (OSError, UnicodeDecodeError):
            return False

    def mark_sent(self, depot: str) -> None:
        """Note that it was sent to a place; where that cannot be noted it is sent again."""
        with suppress(OSError):
            if self.path.is_file():
                write_text(self._mark, depot)

    def remove(self) -> None:
        """Remove it, its manifest first: what is left of it after a kill is no checkpoint."""
        manifest = self.manifest()
        for path in (self.path, self._mark, *(self.folder / name for name in (manifest or _NONE).files)):
            with suppress(OSError):
                path.unlink(missing_ok=True)

    @property
    def _mark(self) -> Path:
        return self.folder / f"{self.name}{SENT}"


_NONE = Manifest("", "", {}, "", 0, 0, 0, 0.0, "")


def units(folder: Path) -> list[Unit]:
    """The checkpoints in a folder, by name."""
    try:
        names = sorted(path.name for path in folder.iterdir() if path.name.endswith(MANIFEST))
    except OSError:
        return []
    return [Unit(folder, name.removesuffix(MANIFEST)) for name in names if not name.startswith(".")]


def clear(folder: Path) -> None:
    """Remove all checkpoints of a folder, what is left of others, and it, if nothing else is in it."""
    for unit in units(folder):
        unit.remove()
    with suppress(OSError):
        for path in folder.iterdir():
            if path.suffix in (".pt", SENT) or path.name.startswith("."):
                path.unlink(missing_ok=True)
        folder.rmdir()
