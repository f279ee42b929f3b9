"""Ray: the cluster of RAY_ADDRESS, or one of this run's own. Nothing else starts Ray.

One of our own ends with this process, however that ends; it has no dashboard's page and no usage report, asks
for a token that is made here, and listens on 127.0.0.1 alone.
"""

from __future__ import annotations

import importlib.metadata
import ipaddress
import logging
import math
import os
import secrets
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from recsweep.common import scratch
from recsweep.common.address import StoreAddress
from recsweep.common.errors import InputError, SweepPaused, UserError
from recsweep.common.surroundings import variables

RAY_VERSION = "2.60.0"
"""As in envs/ray.lock, which a test holds against it."""
INSTALL = "make setup-ray"
ADDRESS = "RAY_ADDRESS"
_OBJECTS_BYTES = 128 << 20
"""Memory of our own Ray for objects: what goes through it are commands and events."""
_LINK = "recsweep-ray-"
_STARTS = 3
"""Ray gives up a start after half a minute, however busy the machine is."""


def trouble() -> str | None:
    """Why Ray cannot be used here, with the command that helps; None where it can. Imports nothing."""
    try:
        found = importlib.metadata.version("ray")
    except importlib.metadata.PackageNotFoundError:
        return f"Ray is not installed; run `{INSTALL}`, which installs it beside the rest"
    if found != RAY_VERSION:
        return f"Ray {found} is installed, and recsweep was tried with {RAY_VERSION}; run `{INSTALL}`"
    return None


def cluster() -> str | None:
    """The address of the cluster that is to be used; None: a Ray of our own."""
    given = os.environ.get(ADDRESS, "").strip()
    return None if given in ("", "local") else given


def require(wanted: str, store: StoreAddress) -> None:
    """Refuse what needs Ray where it is not there, and a store that a cluster's nodes cannot share.

    Args:
        wanted: what needs it: `workers.on: ray`.

    Raises:
        UserError: Ray is not installed, or SQLite would be asked from other machines.
    """
    if (why := trouble()) is not None:
        raise UserError(f"{wanted} needs Ray; {why}")
    address = cluster()
    if address is not None and not _is_here(address):
        _require_shared(store)


def require_no_client(wanted: str) -> None:
    """Refuse an address of Ray's client: Ray Tune runs in this process, which has to be one of the cluster's.

    Raises:
        UserError: it is one.
    """
    if (cluster() or "").startswith("ray://"):
        raise UserError(
            f"{wanted} runs Ray Tune in this process, which Ray's client ({ADDRESS}=ray://…) cannot; run it "
            f"on a node of the cluster with {ADDRESS}=auto, or take another engine with workers.on: ray"
        )


def _require_shared(store: StoreAddress) -> None:
    if store.kind == "sqlite":
        raise UserError(
            f"a Ray cluster needs a store that all of its nodes reach; {store} is SQLite, a file for one "
            "machine; give storage: postgresql+psycopg://…, or journal:///FILE in a folder that all share"
        )


def _is_here(address: str) -> bool:
    """True where an address is one of this machine alone."""
    host = address.removeprefix("ray://").rpartition(":")[0].strip("[]") or address
    if host in ("auto", "localhost"):
        return True
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


class Link:
    """The connection of this process to Ray; made when it is first needed."""

    def __init__(self) -> None:
        self._places: tuple[Path, Path] | None = None
        self._ours = False
        self.ray: Any = None
        """The library, once it is connected."""

    def open(self, near: Path, cpus: float) -> Any:
        """Connect, or start a Ray of our own.

        Args:
            near: the folder of temporary files.
            cpus: the cores that the workers want together; our own Ray offers as many, whatever there are.

        Returns:
            The library.

        Raises:
            InputError: the cluster of RAY_ADDRESS does not answer.
            SweepPaused: Ray cannot be started.
        """
        if self.ray is not None:
            return self.ray
        address = cluster()
        with _signals_kept(), variables(_environment_of(address)):
            early = "ray" in sys.modules
            import ray

            if early and not ray.is_initialized():
                _read_again(ours=address is None)
            logging.getLogger("ray").setLevel(logging.CRITICAL)
            if not ray.is_initialized():
                self._ours = True
                self._connect(ray, address) if address else self._start(ray, near, cpus)
        self.ray = ray
        return ray

    @property
    def is_spread(self) -> bool:
        """True where there are nodes on other machines than this one."""
        if cluster() is None:
            return False
        address = cluster() or ""
        if address.startswith("ray://") and not _is_here(address):
            return True
        places = {node["NodeManagerAddress"] for node in self.ray.nodes() if node["Alive"]}
        return len(places) > 1

    def require_shared(self, store: StoreAddress) -> None:
        """Refuse a store that is a file for one machine, where there are several.

        Raises:
            UserError: it is one.
        """
        if self.is_spread:
            _require_shared(store)

    def _connect(self, ray: Any, address: str) -> None:
        try:
            ray.init(address=address, log_to_driver=False, logging_level="CRITICAL", configure_logging=False)
        except Exception as error:  # of many kinds, as many things can be wrong
            raise InputError(
                ADDRESS, f"no Ray answers at {address}: {_line(error)}", "start it, or unset it"
            ) from error

    def _start(self, ray: Any, near: Path, cpus: float) -> None:
        for left in reversed(range(_STARTS)):
            self._places = folder, link = _folder(near)
            try:
                ray.init(
                    address="local",
                    num_cpus=max(1, math.ceil(cpus)),
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level="CRITICAL",
                    configure_logging=False,
                    object_store_memory=_OBJECTS_BYTES,
                    _temp_dir=str(link),
                )
                return
            except Exception as error:  # of many kinds; the most common is that a busy machine is too slow
                self.close()
                if not left:
                    raise SweepPaused(
                        f"Ray cannot be started on this machine: {_line(error)}; see that there is memory "
                        f"and room in {folder.parent}, then run the same command again, no trial is lost"
                    ) from error
                self._ours = True

    def close(self) -> None:
        """Leave the cluster, or end our own Ray and remove what it wrote."""
        ray, self.ray = self.ray or sys.modules.get("ray"), None
        if ray is not None and self._ours:
            with _signals_kept():
                ray.shutdown()
        self._ours = False
        if self._places is not None:
            folder, link = self._places
            shutil.rmtree(folder, ignore_errors=True)
            link.unlink(missing_ok=True)
            self._places = None


def _line(error: Exception) -> str:
    """The first line of an error that says something."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _folder(near: Path) -> tuple[Path, Path]:
    """A folder near the outputs for what Ray writes, and a short name of it: that of a socket is short."""
    folder = near.resolve() / f"{scratch.own_name()}-ray"
    scratch.clear(near)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    system = Path(tempfile.gettempdir())
    for old in system.glob(f"{_LINK}*"):
        if old.is_symlink() and not old.exists():  # of a process that was killed
            old.unlink(missing_ok=True)
    link = system / f"{_LINK}{secrets.token_hex(4)}"
    link.symlink_to(folder, target_is_directory=True)
    return folder, link


_token = secrets.token_hex(32)


def _environment_of(address: str | None) -> Mapping[str, str]:
    """Variables that Ray reads while it starts, and hands to all that it starts."""
    asked = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AIR_NEW_OUTPUT": "0"}
    if address is not None:
        return asked
    own = {
        "RAY_ADDRESS": "",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # so it is told to stay on 127.0.0.1, on any system
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    if "RAY_AUTH_MODE" not in os.environ:
        own |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": _token}
    return asked | own


def _read_again(*, ours: bool) -> None:
    """Whoever imported Ray before has let it read how to authenticate and where to listen, which it keeps."""
    from ray._private import ray_constants
    from ray._raylet import AuthenticationTokenLoader, Config

    if ours:
        ray_constants.ENABLE_RAY_CLUSTER = False
    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Ray takes SIGTERM for itself; what it comes to here is the command's business."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)
