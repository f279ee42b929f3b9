"""A split is prepared once and cached by its content; every trial and study that fits shares it.

The key holds the bytes of the files, every setting that shapes the split, and the versions of the
libraries that make it, so a stale split is never found. An entry is written beside its place and
moved there whole: of two processes that prepare it at once, one wins and both go on.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from recsweep.common.errors import InputError
from recsweep.common.files import content_hash, file_hash, to_plain, umask, write_yaml
from recsweep.common.provenance import versions
from recsweep.common.scratch import PREPARING, own_name
from recsweep.datasets import count, own_parts
from recsweep.datasets.arrays import read_arrays, write_arrays
from recsweep.datasets.check import look_at
from recsweep.datasets.facts import Interactions, repeats
from recsweep.datasets.files import DataFiles
from recsweep.datasets.parts import split_named
from recsweep.datasets.protocols import split_facts
from recsweep.datasets.tables import Reading, Tables
from recsweep.recbole_api.config import TypedConfig
from recsweep.recbole_api.data import Split, build_split, data_key, split_seed
from recsweep.recbole_api.labels import confirm_labels
from recsweep.recbole_api.model import clean_globals
from recsweep.recbole_api.stored import dump_split, load_split
from recsweep.sweeps.documents import load_document

FORMAT = 4
READER = 1
"""Another number for a reader that makes other rows of the same files."""
_MANIFEST = "manifest.yaml"
_SPLIT, _ARRAYS = _PARTS = ("split.json", "arrays.bin")
# Another user's folder, or a file where a folder should be: the split is then used without being kept.
_NOT_OURS = {errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENOTDIR}
_VERSIONS = ("recbole", "numpy", "pandas", "torch")
# What a file leads to that is not what it should be.
_UNUSABLE = (
    InputError,
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    RuntimeError,
    ArithmeticError,
)


@dataclass(frozen=True)
class Prepared:
    """A split and where it comes from."""

    split: Split
    key: str
    cached: bool
    kept: bool = True
    """False where the cache could not be written: the next process makes the split again."""


def split_key(settings: Mapping[str, Any], files: DataFiles) -> str:
    """Content hash of the split that a trial's settings ask for."""
    with tempfile.TemporaryDirectory() as scratch:
        config = TypedConfig(settings, torch.device("cpu"), Path(scratch))
    return _key(config, files)


def remarks(settings: Mapping[str, Any], files: DataFiles) -> list[str]:
    """Remarks on the files that a trial's settings read; they are read for it."""
    with clean_globals(), tempfile.TemporaryDirectory() as scratch:
        config = TypedConfig(settings, torch.device("cpu"), Path(scratch))
        return look_at(open_tables(config, files.hashes))


def _key(config: TypedConfig, files: DataFiles) -> str:
    content = {
        "format": FORMAT,
        "reader": READER,
        "files": dict(files.hashes),
        "settings": to_plain(data_key(config)),
        "versions": {name: version for name, version in versions().items() if name in _VERSIONS},
    }
    return content_hash(content)


def prepare(
    settings: Mapping[str, Any],
    files: DataFiles,
    cache: Path,
    in_memory: Mapping[str, Prepared] | None = None,
    tell: Callable[[str], None] = lambda remark: None,
    read: Tables | None = None,
) -> Prepared:
    """The split for a trial's settings: one that is in memory, from the cache, or made now.

    Args:
        in_memory: splits that were made or read before, by their keys.
        tell: is told what may not be meant in the files of a split that is made.
        read: the tables of the files where they were read and looked at; nothing is told of them again.

    Raises:
        UserError: the model learns from labels, and all of them are the same.
    """
    with clean_globals(), tempfile.TemporaryDirectory() as scratch:
        config = TypedConfig(settings, torch.device("cpu"), Path(scratch))
        key = _key(config, files)
        if in_memory is not None and key in in_memory:
            confirm_labels(config, in_memory[key].split)
            return replace(in_memory[key], cached=True)
        for entry in _places(cache, key):
            found = _read(entry, key)
            if found is not None:
                confirm_labels(config, found)
                return Prepared(found, key, cached=True)
        if read is not None and read.are_those_of(Path(config["data_path"]), Reading.of(config.__getitem__)):
            tables = read
        else:
            tables = open_tables(config, files.hashes)
            for remark in look_at(tables):
                tell(remark)
        with ThreadPoolExecutor(1) as beside:  # NumPy counts while the split is made and written
            facts = beside.submit(_facts, config, tables)
            parts = own_parts.of_rows(tables, split_seed(config))
            split = build_split(config, tables, partial(own_parts.confirm, tables, parts), parts)
            confirm_labels(config, split)
            written = _write(cache, split, key, facts.result)
            split = replace(split, facts=facts.result())
    stored = _read(written, key, is_ours=True) if written is not None else None
    return Prepared(stored or split, key, cached=False, kept=stored is not None)


def open_tables(config: TypedConfig, hashes: Mapping[str, str] | None = None) -> Tables:
    """The files of a config, as it wants them read.

    Args:
        hashes: what the files have to be, by name.
    """
    return Tables(Path(config["data_path"]), Reading.of(config.__getitem__), hashes)


def _facts(config: TypedConfig, tables: Tables) -> dict[str, float]:
    """Facts of the data that alarms ask for; nothing where they cannot be told from the tables."""
    split = tables.reading.own_split or split_named(config["eval_args"])
    if split is None or not count.can_count(tables.reading, tables.interactions):
        return {}
    data = Interactions.of(tables)
    made = split_facts(data, split, split_seed(config))
    found = {"repeats": repeats(data), "leak": made.leak, "future": made.future}
    return {name: round(value, 6) for name, value in found.items() if value is not None}


def _places(cache: Path, key: str) -> tuple[Path, Path]:
    """Where an entry may be: its place, and one of our own, where another user's entry is of no use to us."""
    return cache / key[:32], cache / f"{key[:32]}-{os.geteuid()}"


def _read(entry: Path, key: str, *, is_ours: bool = False) -> Split | None:
    """A cached split, or None where there is none that can be read, or where it is not what it should be.

    Whoever can write here can do harm to nothing but the entry: all of it is checked, nothing of it is run.

    Args:
        is_ours: this process has written it, or read another's of the same key, just now.
    """
    try:
        if not (entry / _MANIFEST).is_file():
            return None
        manifest = load_document(entry / _MANIFEST).data
        if not isinstance(manifest, dict) or (manifest.get("key"), manifest.get("format")) != (key, FORMAT):
            return None
        there = [name for name in _PARTS if (entry / name).is_file()]
        if not is_ours and {name: file_hash(entry / name) for name in there} != manifest["hashes"]:
            return None
        content = json.loads((entry / _SPLIT).read_text(encoding="utf-8"))
        split = load_split(content["split"], read_arrays(entry / _ARRAYS, content["arrays"]))
        facts = {name: float(value) for name, value in manifest.get("facts", {}).items()}
        return replace(split, facts=facts)
    except _UNUSABLE:
        return None


def _write(cache: Path, split: Split, key: str, facts: Callable[[], dict[str, float]]) -> Path | None:
    """Put a split into the cache; where it is then, or None where the cache is not ours to write.

    Args:
        facts: of the data, asked for last.

    Raises:
        OSError: it is, but there is no room, or the disk is broken.
    """
    try:
        cache.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f"{PREPARING}{own_name()}-", dir=cache))
    except OSError as error:
        if error.errno in _NOT_OURS:
            return None
        raise
    try:
        _fill(temporary, split, key, facts)
        return next((entry for entry in _places(cache, key) if _put(temporary, entry, key)), None)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _fill(folder: Path, split: Split, key: str, facts: Callable[[], dict[str, float]]) -> None:
    content, tensors = dump_split(split)
    index, digest = write_arrays(folder / _ARRAYS, tensors)
    text = json.dumps({"arrays": index, "split": content}, allow_nan=False)
    (folder / _SPLIT).write_text(text, encoding="utf-8")
    hashes = {_SPLIT: file_hash(folder / _SPLIT), _ARRAYS: digest}
    manifest = {"key": key, "format": FORMAT, "statistics": split.statistics, "hashes": hashes}
    write_yaml(folder / _MANIFEST, {**manifest, "facts": facts()})
    folder.chmod(0o777 & ~umask())  # a temporary folder is for its owner alone; an entry is for all that may


def _put(temporary: Path, entry: Path, key: str) -> bool:
    """Move a new entry to its place; True where one that is whole is there then."""
    for _ in range(2):
        with suppress(OSError):
            os.rename(temporary, entry)
            return True
        if _read(entry, key) is not None:  # another process was faster
            return True
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            with suppress(OSError):
                entry.unlink()
    return False
