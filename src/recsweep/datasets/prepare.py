"""A split is prepared once and cached by its content; every trial and study that fits shares it.

The key holds the bytes of the files, every setting that shapes the split, and the versions of the
libraries that make it, so a stale split is never found. An entry is written beside its place and
moved there whole: of two processes that prepare it at once, one wins and both go on.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from recsweep.datasets.check import DataFiles
from recsweep.documents import load_document
from recsweep.errors import InputError
from recsweep.files import content_hash, file_hash, to_plain, write_yaml
from recsweep.provenance import versions
from recsweep.recbole_api.config import TypedConfig
from recsweep.recbole_api.data import Split, build_split, data_key, dump_split, load_split
from recsweep.recbole_api.model import clean_globals

FORMAT = 1
_VERSIONS = ("recbole", "numpy", "pandas", "torch")


@dataclass(frozen=True)
class Prepared:
    """A split and where it comes from."""

    split: Split
    key: str
    cached: bool


def split_key(settings: Mapping[str, Any], files: DataFiles) -> str:
    """Content hash of the split that a trial's settings ask for."""
    with tempfile.TemporaryDirectory() as scratch:
        config = TypedConfig(settings, torch.device("cpu"), Path(scratch))
    return _key(config, files)


def _key(config: TypedConfig, files: DataFiles) -> str:
    content = {
        "format": FORMAT,
        "files": dict(files.hashes),
        "settings": to_plain(data_key(config)),
        "versions": {name: version for name, version in versions().items() if name in _VERSIONS},
    }
    return content_hash(content)


def prepare(settings: Mapping[str, Any], files: DataFiles, cache: Path) -> Prepared:
    """The split for a trial's settings, from the cache or made now."""
    with clean_globals(), tempfile.TemporaryDirectory() as scratch:
        config = TypedConfig(settings, torch.device("cpu"), Path(scratch))
        key = _key(config, files)
        entry = cache / key[:32]
        found = _read(entry)
        if found is not None:
            return Prepared(found, key, cached=True)
        split = build_split(config)
    _write(entry, split, key)
    return Prepared(_read(entry) or split, key, cached=False)


def _read(entry: Path) -> Split | None:
    """A cached split, or None where there is none; a damaged one is removed."""
    if not entry.is_dir():
        return None
    objects, tensors = entry / "objects.pkl", entry / "tensors.pt"
    if not _is_whole(entry, objects, tensors):
        shutil.rmtree(entry, ignore_errors=True)
        return None
    # Mapped, not read: workers on one machine share the pages.
    stored = torch.load(tensors, weights_only=True, mmap=True, map_location="cpu")
    return load_split(objects.read_bytes(), stored)


def _is_whole(entry: Path, *parts: Path) -> bool:
    """Whether every part has the content that the manifest says."""
    try:
        hashes = load_document(entry / "manifest.yaml").data.get("hashes")
        return isinstance(hashes, dict) and all(file_hash(part) == hashes.get(part.name) for part in parts)
    except (InputError, OSError):
        return False


def _write(entry: Path, split: Split, key: str) -> None:
    description, tensors = dump_split(split)
    entry.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".preparing-", dir=entry.parent))
    try:
        (temporary / "objects.pkl").write_bytes(description)
        torch.save(tensors, temporary / "tensors.pt")
        hashes = {name: file_hash(temporary / name) for name in ("objects.pkl", "tensors.pt")}
        write_yaml(
            temporary / "manifest.yaml",
            {"key": key, "format": FORMAT, "statistics": split.statistics, "hashes": hashes},
        )
        try:
            os.rename(temporary, entry)
        except OSError:
            if not (entry / "manifest.yaml").is_file():  # not another process that was faster
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
