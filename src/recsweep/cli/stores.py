"""The store that a command looks at, opened for as long as it looks; and how what it found is printed."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from recsweep.cli.addresses import find_address, names_a_file
from recsweep.cli.declare import source
from recsweep.cli.openly import IN_THE_OPEN
from recsweep.cli.options import overridden, say_aside
from recsweep.common.address import StoreAddress
from recsweep.common.errors import InputError
from recsweep.common.files import to_plain
from recsweep.common.paths import is_made
from recsweep.sweeps.options import STORE

if TYPE_CHECKING:
    from recsweep.study import Store
    from recsweep.sweeps.config import SweepConfig


@contextmanager
def opened(options: Mapping[str, Any]) -> Iterator[Store]:
    """The store that the options name: by its address, its file, or the sweep that it belongs to.

    Raises:
        InputError: it is no address of a store, or there is none; one is not made to look at.
    """
    address = address_of(options)
    if not is_made(address):
        raise InputError("--storage", f"there is no store at {address}", "give the address of one that is")
    with opened_at(address) as store:
        yield store


@contextmanager
def opened_at(address: StoreAddress | str) -> Iterator[Store]:
    """A store, closed at the end; what it has to say goes to standard error."""
    from recsweep.study import Store

    store = Store(address, tell=say_aside)
    try:
        yield store
    finally:
        store.close()


def address_of(options: Mapping[str, Any]) -> StoreAddress:
    """Where the store is: what the command or the environment says, else the sweep's file, where it is there.

    Raises:
        InputError: it is no address of a store, or there are two.
    """
    address = find_address(options, _typed, partial(_of_file, options))
    if address.secret and options.get("storage") and _typed("storage"):
        say_aside(f"recsweep: {IN_THE_OPEN}")
    return address


def output_folders(options: Mapping[str, Any]) -> list[Path]:
    """The folders in which outputs of studies may be: those that are named, and the store's own."""
    folders = [Path(options.get("outputs") or "outputs")]
    if names_a_file(str(options["config"]), _typed):
        folders.append(_of_file(options).outputs)
    if (file := address_of(options).file) is not None:
        folders.append(file.parent)
    return list({folder.resolve(): folder for folder in reversed(folders)}.values())


def _of_file(options: Mapping[str, Any]) -> SweepConfig:
    """The sweep's file, with what the options set over it."""
    return overridden({name: options.get(name) for name in ("config", *STORE)}, whole=False).config


def _typed(name: str) -> bool:
    """True where an option stands on the command line, and not in the environment."""
    return source(click.get_current_context(silent=True), name) == "commandline"


def as_json(value: Any) -> str:
    """Plain JSON, for other programs."""
    return json.dumps(to_plain(value), indent=1, ensure_ascii=False)


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as CSV; what is no number or text is JSON."""
    out = io.StringIO()
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _cell(value) for name, value in row.items()})
    return out.getvalue()


def _cell(value: Any) -> Any:
    return json.dumps(to_plain(value)) if isinstance(value, dict | list | tuple) else value
