"""Completions for the shell while a command is typed. Quick, free of torch, and silent whatever is wrong."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from recsweep.cli.addresses import find_address, other_address
from recsweep.common.address import StoreAddress
from recsweep.sweeps.config import SweepConfig
from recsweep.sweeps.fields import facts
from recsweep.sweeps.loading import read_overridden
from recsweep.sweeps.options import SETTINGS, STORE
from recsweep.sweeps.setting import Setting

_MOST = 200
"""Studies that are offered; more is no help."""


def values(setting: Setting, context: click.Context, typed: str) -> list[CompletionItem]:
    """The values that may be meant, as far as one is typed.

    Args:
        context: the command, with the options that stand before it.
    """
    if setting.completes in ("file", "folder"):
        return [CompletionItem(typed, type="dir" if setting.completes == "folder" else "file")]
    before, last = "", typed
    if setting.several and " " in typed:
        head, _, last = typed.rpartition(" ")
        before = f"{head} "
    try:
        names = _names(setting, context)
    except Exception:  # a half-typed command is nobody's mistake yet
        names = []
    taken = before.split()
    return [CompletionItem(before + name) for name in names if name.startswith(last) and name not in taken]


def _names(setting: Setting, context: click.Context) -> list[str]:
    if setting.completes in ("models", "datasets"):
        folder = _config(context).parent / setting.completes
        return sorted(path.stem for path in folder.glob("*.yaml"))
    if setting.completes == "phases":
        return list(facts(SweepConfig, ("search", "phases")).choices)
    if setting.completes == "studies":
        return _studies(_address(context))
    if setting.completes == "theirs":
        return _studies(other_address(str(context.params["source"])))
    return list(setting.facts.choices)


def _config(context: click.Context) -> Path:
    """The sweep file; of a sweep in Python the Python file, beside which `config` may lie."""
    text = str(context.params.get("config") or SETTINGS["config"].default)
    path = Path(text.rpartition(":")[0] if ".py:" in text else text)
    beside = path.parent / "config" / path.name
    return beside if ".py:" in text and not (path.parent / "models").is_dir() else path


def _studies(address: StoreAddress) -> list[str]:
    """Names of the studies in a store; of SQLite's alone.

    A server may be away, and a journal is read from its first line: neither answers while somebody types.
    """
    if address.kind != "sqlite" or address.file is None or not address.file.is_file():
        return []
    with closing(
        sqlite3.connect(f"{address.file.absolute().as_uri()}?mode=ro", uri=True, timeout=0.2)
    ) as store:
        rows = store.execute(
            "SELECT study_name FROM studies ORDER BY study_id DESC LIMIT ?", (_MOST,)
        ).fetchall()
    return sorted(str(name) for (name,) in rows)


def _address(context: click.Context) -> StoreAddress:
    """The store of the options, the environment or the sweep, as a command finds it.

    But a sweep in Python is not run while somebody types.
    """
    given = {name: context.params.get(name) for name in STORE}
    config = str(context.params.get("config") or SETTINGS["config"].default)
    in_python = ".py:" in config

    def typed(name: str) -> bool:
        source = context.get_parameter_source(name)
        return source is ParameterSource.COMMANDLINE and not (in_python and name == "config")

    return find_address(
        {**given, "config": "" if in_python else config}, typed, lambda: read_overridden(config, given).config
    )
