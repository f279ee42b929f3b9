"""Completions for the shell while a command is typed. Quick, free of torch, and silent whatever is wrong."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from click.shell_completion import CompletionItem

from recsweep.common.address import StoreAddress, read_address
from recsweep.sweeps.config import SweepConfig
from recsweep.sweeps.documents import load_document
from recsweep.sweeps.fields import facts
from recsweep.sweeps.options import SETTINGS
from recsweep.sweeps.setting import Setting

_MOST = 200
"""Studies that are offered; more is no help."""


def values(setting: Setting, given: Mapping[str, Any], typed: str) -> list[CompletionItem]:
    """The values that may be meant, as far as one is typed.

    Args:
        given: options that stand before it.
    """
    if setting.completes in ("file", "folder"):
        return [CompletionItem(typed, type="dir" if setting.completes == "folder" else "file")]
    before, last = "", typed
    if setting.several and " " in typed:
        head, _, last = typed.rpartition(" ")
        before = f"{head} "
    try:
        names = _names(setting, given)
    except Exception:  # a half-typed command is nobody's mistake yet
        names = []
    taken = before.split()
    return [CompletionItem(before + name) for name in names if name.startswith(last) and name not in taken]


def _names(setting: Setting, given: Mapping[str, Any]) -> list[str]:
    if setting.completes in ("models", "datasets"):
        folder = _config(given).parent / setting.completes
        return sorted(path.stem for path in folder.glob("*.yaml"))
    if setting.completes == "phases":
        return list(facts(SweepConfig, ("search", "phases")).choices)
    if setting.completes == "studies":
        return _studies(given)
    return list(setting.facts.choices)


def _config(given: Mapping[str, Any]) -> Path:
    """The sweep file; of a sweep in Python the Python file, beside which `config` may lie."""
    text = str(given.get("config") or SETTINGS["config"].default)
    path = Path(text.rpartition(":")[0] if ".py:" in text else text)
    beside = path.parent / "config" / path.name
    return beside if ".py:" in text and not (path.parent / "models").is_dir() else path


def _value(given: Mapping[str, Any], name: str) -> str:
    return str(given.get(name) or os.environ.get(SETTINGS[name].variable, ""))


def _studies(given: Mapping[str, Any]) -> list[str]:
    """Names of studies in the store that the options, the environment or the sweep name; of SQLite's alone.

    A server may be away, and a journal is read from its first line: neither answers while somebody types.
    """
    address = _address(given)
    if address.kind != "sqlite" or address.file is None or not address.file.is_file():
        return []
    with closing(
        sqlite3.connect(f"{address.file.absolute().as_uri()}?mode=ro", uri=True, timeout=0.2)
    ) as store:
        rows = store.execute(
            "SELECT study_name FROM studies ORDER BY study_id DESC LIMIT ?", (_MOST,)
        ).fetchall()
    return sorted(str(name) for (name,) in rows)


def _address(given: Mapping[str, Any]) -> StoreAddress:
    if url := _value(given, "storage"):
        return StoreAddress.of(url)
    if file := _value(given, "storage_file"):
        return read_address(Path(file))
    path = _config(given)
    written = load_document(path).data if path.suffix != ".py" and path.is_file() else {}
    if written.get("storage"):
        return StoreAddress.of(written["storage"])
    if written.get("storage_file"):
        return read_address(path.parent / str(written["storage_file"]))
    outputs = Path(_value(given, "outputs") or str(written.get("outputs") or "outputs"))
    return StoreAddress.of(f"sqlite:///{outputs / 'recsweep.db'}")
