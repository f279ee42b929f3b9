"""Files at the place where checkpoints are sent: a folder, a bucket. The only importer of fsspec.

Whatever goes wrong is raised as fsspec raises it; who asks tries again. Credentials are found by fsspec and
its libraries; what they are is kept out of everything that is said.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from recsweep.common.masking import remember
from recsweep.common.place import is_folder

_SECRET_VARIABLES = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "GOOGLE_API_KEY")
_SECRET_OPTIONS = ("secret", "token", "password", "passwd", "key")


class Bucket:
    """Files by names with `/` in them, below a place.

    Args:
        depot: a folder or a URL (`common/place.py`).
    """

    def __init__(self, depot: str) -> None:
        self.depot = depot
        self._opened: tuple[Any, str] | None = None

    def _open(self) -> tuple[Any, str]:
        """Its file system, and the root in it."""
        if self._opened is None:
            import fsspec

            _keep_secrets(fsspec.config.conf)
            # A listing that was true a minute ago is worse than none; other processes write there too.
            options = {"use_listings_cache": False, "skip_instance_cache": True}
            system, root = fsspec.core.url_to_fs(self.depot, **options)
            self._opened = system, str(root).rstrip("/")
        return self._opened

    def names(self, folder: str) -> list[str]:
        """All files below a folder; none where there is no such folder."""
        system, root = self._open()
        system.invalidate_cache()
        with suppress(FileNotFoundError):
            return sorted(str(path).removeprefix(f"{root}/") for path in system.find(f"{root}/{folder}"))
        return []

    def read(self, name: str, most: int) -> bytes:
        """The first bytes of a file.

        Raises:
            FileNotFoundError: there is none.
        """
        system, root = self._open()
        with system.open(f"{root}/{name}", "rb", block_size=most, cache_type="none") as file:
            found: bytes = file.read(most)
        return found

    def put(self, source: Path, name: str) -> None:
        """Send a file, whole or not at all."""
        system, root = self._open()
        target = f"{root}/{name}"
        if not is_folder(self.depot):  # an object is there when all of it is
            system.put_file(str(source), target)
            return
        parent = target.rpartition("/")[0]
        temporary = f"{parent}/.{uuid.uuid4().hex}.part"
        system.makedirs(parent, exist_ok=True)
        try:
            system.put_file(str(source), temporary)
            system.mv(temporary, target)
        except BaseException:
            with suppress(Exception):
                system.rm_file(temporary)
            raise

    def get(self, name: str, target: Path) -> None:
        """Bring a file here."""
        system, root = self._open()
        system.get_file(f"{root}/{name}", str(target))

    def move(self, name: str, new: str) -> None:
        """Give a file another name; one of that name is replaced."""
        system, root = self._open()
        source, target = f"{root}/{name}", f"{root}/{new}"
        if is_folder(self.depot):
            system.makedirs(target.rpartition("/")[0], exist_ok=True)
            Path(source).replace(target)
            _drop_empty(Path(source), Path(root))
            return
        system.cp_file(source, target)
        system.rm_file(source)

    def remove(self, names: Iterable[str]) -> None:
        """Remove files, in this order; those that are not there are no trouble."""
        system, root = self._open()
        for name in names:
            with suppress(FileNotFoundError):
                system.rm_file(f"{root}/{name}")
            if is_folder(self.depot):
                _drop_empty(Path(f"{root}/{name}"), Path(root))


def _drop_empty(path: Path, root: Path) -> None:
    """Remove the folders that went empty with a file, up to one that is kept."""
    with suppress(OSError):
        for folder in path.parents:
            if folder == root:
                return
            folder.rmdir()


def _keep_secrets(config: Any) -> None:
    """Let nothing that is said hold a secret that fsspec was given."""
    for name in _SECRET_VARIABLES:
        if value := os.environ.get(name, ""):
            remember(value)
    for options in config.values() if isinstance(config, dict) else ():
        for name, value in options.items() if isinstance(options, dict) else ():
            if isinstance(value, str) and any(part in str(name).lower() for part in _SECRET_OPTIONS):
                remember(value)
