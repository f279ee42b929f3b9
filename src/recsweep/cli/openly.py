"""The warning where the address of a store holds a secret that others can read."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping

from recsweep.cli.typed import TYPED
from recsweep.sweeps.loading import Sweep

IN_THE_OPEN = (
    "the address of the store holds a secret and stands on a command line, which everybody on this machine "
    "can read; give it as RECSWEEP_STORAGE, or by --storage-file"
)
OPEN = "RECSWEEP_OPEN"
"""Where make says which of its variables were typed and may hold a secret."""


def secrets_in_the_open(
    sweep: Sweep, *, typed: bool, environment: Mapping[str, str] = os.environ
) -> Iterator[str]:
    """A line for each way in which others can read the address of the store.

    Args:
        typed: the address stands on a command line of ours, or of Snakemake's.
    """
    yield from _open_to_others(
        sweep,
        "the addresses of `notify`",
        "give them as RECSWEEP_NOTIFY",
        bool(sweep.config.notify.to),
        environment,
    )
    address = sweep.config.storage
    if address is None or not address.secret:
        return
    by_make = "storage" in sweep.overrides and "STORAGE" in environment.get(OPEN, "").split()
    if typed or by_make:
        yield IN_THE_OPEN
    in_file = "storage" not in sweep.overrides and bool(sweep.document.data.get("storage"))
    yield from _open_to_others(
        sweep,
        "the store's address",
        "name a file that holds the address by storage_file",
        in_file,
        environment,
    )


def _open_to_others(
    sweep: Sweep, what: str, better: str, in_file: bool, environment: Mapping[str, str]
) -> Iterator[str]:
    """A line where the sweep's file holds a secret and others can read it. Jobs leave that to Snakemake."""
    path = sweep.document.path
    if in_file and TYPED not in environment and path.is_file():
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            yield (
                f"{path} holds a secret in {what}, and is open to others (mode {mode:04o}); "
                f"run `chmod 600 {path}`, or {better}"
            )
