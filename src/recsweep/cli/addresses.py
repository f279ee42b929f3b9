"""Where the store is that a command looks at, or the shell's completion of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from recsweep.common.address import AddressError, StoreAddress, read_address
from recsweep.common.errors import InputError
from recsweep.common.names import is_name
from recsweep.common.paths import Outputs
from recsweep.sweeps.config import SweepConfig


def find_address(
    options: Mapping[str, Any], typed: Callable[[str], bool], sweep_file: Callable[[], SweepConfig]
) -> StoreAddress:
    """A store's address: what the command or the environment says, else the sweep's file, where it is there.

    Args:
        typed: says of an option whether it stands on the command line, and not in the environment.
        sweep_file: reads the sweep's file, with what the options set over it.

    Raises:
        InputError: it is no address of a store, or there are two.
    """
    url, file = _nearer(options, typed)
    root = Path(options.get("outputs") or "outputs")
    try:
        if url or file:
            address = StoreAddress.of(url) if url else read_address(Path(str(file)).expanduser())
            address = address.below(root)
            address.check_place()
            return address
    except AddressError as error:
        raise InputError("--storage" if url else "--storage-file", error.problem, error.fix) from None
    if names_a_file(str(options["config"]), typed):
        config = sweep_file()
        own = config.storage
        return Outputs(config.outputs, config.sweep).storage_url if own is None else own.below(config.outputs)
    return Outputs(root, "any").storage_url


def other_address(text: str) -> StoreAddress:
    """The address of another store, as `merge` takes it; a path is SQLite's.

    Raises:
        InputError: it is no address of a store.
    """
    try:
        return StoreAddress.of(text if "://" in text else f"sqlite:///{text}")
    except AddressError as error:
        raise InputError("STORE", error.problem, error.fix) from None


def names_a_file(text: str, typed: Callable[[str], bool]) -> bool:
    """True where the sweep's file is there, or was asked for; of a store, `--sweep` may be a mere name."""
    path = Path(text.rpartition(":")[0] if ".py:" in text else text)
    return path.is_file() or (typed("config") and not is_name(text))


def _nearer(options: Mapping[str, Any], typed: Callable[[str], bool]) -> tuple[str | None, str | None]:
    """The address, or the file that holds it: what the command says goes before what the environment says."""
    url, file = options.get("storage"), options.get("storage_file")
    if not (url and file):
        return url, file
    if typed("storage") == typed("storage_file"):
        raise InputError("--storage", "stands beside --storage-file", "give one of them")
    return (url, None) if typed("storage") else (None, file)
