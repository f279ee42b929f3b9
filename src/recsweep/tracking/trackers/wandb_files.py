"""W&B's offline files, read: which runs there are, how far they are, and what their summaries say.

A file is a log of records in blocks, as LevelDB writes them, behind a head of seven bytes. A kill may have
left its end torn: what is behind the last whole record is not there.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2

_FILE_HEAD, _HEAD, _BLOCK = 7, 7, 32768
_FULL, _FIRST, _LAST = 1, 2, 4


@dataclass
class OfflineRun:
    """A run, put together from all of its files."""

    step: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    tags: set[str] = field(default_factory=set)
    group: str = ""
    ends: int = 0
    """How often it was finished."""


def read_runs(folder: Path) -> dict[str, OfflineRun]:
    """The runs below a folder by their ids. Only what was finished has a summary."""
    found: dict[str, OfflineRun] = {}
    for file in sorted(folder.glob("wandb/offline-run-*/*.wandb")):
        _read(file, found)
    return found


def _read(file: Path, found: dict[str, OfflineRun]) -> None:
    run, summary = OfflineRun(), dict[str, Any]()
    for data in records(file):
        record = wandb_internal_pb2.Record.FromString(data)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            run = found.setdefault(record.run.run_id, run)
            run.group = record.run.run_group or run.group
            run.tags |= {*record.run.tags}
            run.config |= _items(record.run.config.update)
        elif kind == "config":
            run.config |= _items(record.config.update)
        elif kind == "history":
            row = _items(record.history.item)
            run.history.append(row)
            run.step = max(run.step, int(row.get("_step", 0)))
        elif kind == "summary":
            summary |= _items(record.summary.update)
        elif kind == "exit":
            run.ends += 1
            run.summary |= summary


def _items(items: Any) -> dict[str, Any]:
    return {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in items}


def records(file: Path) -> Iterator[bytes]:
    """The whole records of a file."""
    data, parts, at = file.read_bytes(), b"", _FILE_HEAD
    while at + _HEAD <= len(data):
        if (left := _BLOCK - at % _BLOCK) < _HEAD:  # padding
            at += left
            continue
        check, size, kind = struct.unpack_from("<IHB", data, at)
        body = data[at + _HEAD : at + _HEAD + size]
        if len(body) < size or zlib.crc32(bytes([kind]) + body) & 0xFFFFFFFF != check:
            return
        at += _HEAD + size
        parts = body if kind in (_FULL, _FIRST) else parts + body
        if kind in (_FULL, _LAST):
            yield parts
