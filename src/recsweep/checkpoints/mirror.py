"""A study's checkpoints where they are sent: the same folders and names as on this machine.

Each step can be done again, by any process: what lies there is left, what is missing is sent, data before
their manifest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from recsweep.checkpoints.bucket import Bucket
from recsweep.checkpoints.manifest import MOST_BYTES, Manifest
from recsweep.checkpoints.units import MANIFEST, Unit, units
from recsweep.common.files import atomic_path

_DIGITS = 16
"""Of a definition's hash, in the name of a study's folder at a place that several stores may share."""


def prefix_of(own: Path, definition: str) -> str:
    """The part of a place that is a study's own.

    Args:
        own: the study's folder below that of all checkpoints.
        definition: the hash of all that decides what its trials compute.
    """
    return f"{own.as_posix()}/{definition[:_DIGITS]}"


class Mirror:
    """One study's part of a place.

    Args:
        bucket: the place.
        folder: the study's checkpoints on this machine.
        prefix: the study's own at the place.
    """

    def __init__(self, bucket: Bucket, folder: Path, prefix: str) -> None:
        self._bucket, self._folder, self._prefix = bucket, folder, prefix

    @property
    def depot(self) -> str:
        """Where the study's checkpoints are, in full."""
        return f"{self._bucket.depot}/{self._prefix}"

    def names(self, folder: str = "") -> list[str]:
        """The files there, below a folder of the study's."""
        found = self._bucket.names(f"{self._prefix}/{folder}".rstrip("/"))
        return [name.removeprefix(f"{self._prefix}/") for name in found]

    def send(self, unit: Unit) -> None:
        """Send a checkpoint that is not there yet; one that was removed here meanwhile is none any more."""
        manifest = unit.manifest()
        if manifest is None or unit.is_sent(self.depot):
            return
        try:
            for path in (*(unit.folder / name for name in manifest.files), unit.path):
                self._bucket.put(path, f"{self._prefix}/{self._name(path)}")
        except FileNotFoundError:
            if unit.path.is_file():
                raise
            return
        unit.mark_sent(self.depot)

    def follow(self, folder: Path, keep: int, sending: Callable[[Unit | None], None]) -> None:
        """Send what is in a folder, which nobody else writes to, and keep the last ones there.

        The last one goes first. Where they are made faster than they are sent, it is no longer the last one
        when it arrives; it stays there all the same until others have arrived.

        Args:
            keep: how many are to stay.
            sending: is told which one is to stay here while it is sent; None: none is any more.
        """
        for _ in range(max(1, len(units(folder)))):
            left = [unit for unit in units(folder) if not unit.is_sent(self.depot)]
            for unit in left[-1:]:
                sending(unit)
                try:
                    self.send(unit)
                finally:
                    sending(None)
            self.prune(folder, keep)
            if len(left) <= 1:
                return

    def prune(self, folder: Path, keep: int) -> None:
        """Remove all but the last ones of a folder there, and what is left of others."""
        found = self.names(self._name(folder))
        whole = [Path(name).stem for name in found if name.endswith(MANIFEST)]
        kept = set(sorted(whole)[-keep:])
        self.remove(name for name in found if Path(name).stem not in kept)

    def clear(self, folder: Path) -> None:
        """Remove all of a folder there."""
        self.remove(self.names(self._name(folder)))

    def forget(self, unit: Unit) -> None:
        """Remove one of them there."""
        stem = self._name(unit.folder / unit.name)
        self.remove((f"{stem}{MANIFEST}", f"{stem}.pt"))

    def remove(self, names: Iterable[str]) -> None:
        """Remove files there, manifests first: what is left of a checkpoint is none."""
        ordered = sorted(names, key=lambda name: (not name.endswith(MANIFEST), name))
        self._bucket.remove(f"{self._prefix}/{name}" for name in ordered)

    def move(self, prefix: str) -> None:
        """Let all of it be another part of the place, data before their manifests."""
        for name in sorted(self.names(), key=lambda name: (name.endswith(MANIFEST), name)):
            self._bucket.move(f"{self._prefix}/{name}", f"{prefix}/{name}")

    def manifests(self, folder: Path) -> list[tuple[Unit, Manifest | None]]:
        """The checkpoints there that belong into a folder, each with its manifest, or None: it is torn."""
        found = [name for name in self.names(self._name(folder)) if name.endswith(MANIFEST)]
        named = [(Unit(folder, Path(name).name.removesuffix(MANIFEST)), name) for name in found]
        return [(unit, self._read(name)) for unit, name in named]

    def fetch(self, unit: Unit, manifest: Manifest) -> str:
        """Bring a checkpoint here.

        Returns:
            What is wrong with it, where something is; then it is not here.
        """
        for name in manifest.files:
            with atomic_path(unit.folder / name) as temporary:
                self._bucket.get(f"{self._prefix}/{self._name(unit.folder)}/{name}", temporary)
        if wrong := manifest.damage(unit.folder):
            for name in manifest.files:
                (unit.folder / name).unlink(missing_ok=True)
            return wrong
        unit.write(manifest)
        unit.mark_sent(self.depot)
        return ""

    def _read(self, name: str) -> Manifest | None:
        try:
            return Manifest.of(self._bucket.read(f"{self._prefix}/{name}", MOST_BYTES))
        except FileNotFoundError:  # removed a moment ago
            return None

    def _name(self, path: Path) -> str:
        return path.relative_to(self._folder).as_posix()
