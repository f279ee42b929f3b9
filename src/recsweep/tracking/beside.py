"""The follower as a run has it beside itself: a process that is told by a pipe and ends with the run.

    python -m recsweep.tracking.beside

No trial knows of it. While it is there the run holds the other end of its input; when that is closed, however
it came, it sends what there is within a short time, says what it could not send, and ends.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from recsweep.common.address import StoreAddress
from recsweep.common.errors import RecsweepError
from recsweep.common.interrupts import leave_to_parent
from recsweep.common.masking import mask
from recsweep.sweeps.tracker_table import TRACKERS, TrackerRow
from recsweep.tracking.base import Given
from recsweep.tracking.destinations import Destination
from recsweep.tracking.follower import Follower, Patience
from recsweep.tracking.sender import NICER
from recsweep.tracking.wanted import Wanted

_STORE_PATIENCE_SECONDS = 300.0
_COMPACT = {"MALLOC_ARENA_MAX": "2", "MALLOC_TRIM_THRESHOLD_": "65536", "GOGC": "50"}
"""For processes that live for days beside one that trains: what threads have freed serves others again."""
_LEAVE_SECONDS = 6.0
"""Beyond the patience with its trackers, until a follower that does not end is ended."""


class Beside:
    """The follower of a run. All of its steps return at once, but for the last.

    Args:
        store: of the studies.
        wanted: the studies.
        destinations: the trackers.
        patience: with these at the end.
    """

    def __init__(
        self,
        store: StoreAddress,
        wanted: Wanted,
        destinations: Sequence[Destination],
        patience: Patience = Patience(),  # noqa: B008
    ) -> None:
        self._patience = patience
        self._lines: list[str] = []
        source = str(Path(__file__).parents[2])
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "recsweep.tracking.beside"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **_COMPACT, "PYTHONPATH": os.pathsep.join((source, *filter(None, sys.path)))},
        )
        told = {
            "store": store.reveal(),
            "wanted": [
                *(wanted.sweep, list(wanted.studies), str(wanted.root)),
                *(wanted.depot, sorted(wanted.not_new)),
            ],
            "destinations": [_plain(one) for one in destinations],
            "patience": list(patience),
        }
        with suppress(OSError):  # it is gone already, and says nothing more
            if self._process.stdin is not None:
                self._process.stdin.write(json.dumps(told) + "\n")
                self._process.stdin.flush()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def told(self) -> list[str]:
        """The lines that it has said since the last time."""
        lines, self._lines = self._lines, []
        return lines

    def end(self) -> list[str]:
        """Let it send what there is, and end; its last lines."""
        with suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        try:
            self._process.wait(self._patience.most + _LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._lines.append("the process that sends to the trackers did not end in time, and was ended")
        self._reader.join(1.0)
        return self.told()

    def _read(self) -> None:
        if self._process.stdout is not None:
            with suppress(ValueError, OSError):
                for line in self._process.stdout:
                    self._lines.append(line.rstrip("\n"))


def _plain(one: Destination) -> dict[str, Any]:
    given = one.given
    return {
        "row": vars(one.row),
        "given": [given.sweep, str(given.folder), dict(given.settings), dict(given.variables)],
    }


def _destination(plain: Mapping[str, Any]) -> Destination:
    sweep, folder, settings, variables = plain["given"]
    row = TrackerRow(**{**plain["row"], "variables": tuple(plain["row"]["variables"])})
    return Destination(TRACKERS.get(row.name, row), Given(sweep, Path(folder), settings, variables))


def main() -> None:
    """A follower's life beside a run."""
    parent = os.getppid()
    leave_to_parent()
    os.nice(NICER)
    first = sys.stdin.readline()
    if not first:
        return
    ended = threading.Event()
    threading.Thread(target=_wait, args=(parent, ended), daemon=True).start()
    try:
        _follow(json.loads(first), ended.is_set)
    except RecsweepError as error:
        _say(f"tracking ended: {error}; no trial is harmed, and `recsweep track sync` sends the rest")
    except Exception as error:
        _say(f"tracking ended: {mask(f'{type(error).__name__}: {error}')}; no trial is harmed")
    os._exit(0)


def _follow(told: Mapping[str, Any], over: Callable[[], bool]) -> None:
    from recsweep.study import Store

    sweep, studies, root, depot, not_new = told["wanted"]
    wanted = Wanted(sweep, tuple(studies), Path(root), depot, frozenset(not_new))
    address = StoreAddress.of(told["store"]).below(wanted.root)
    while address.file is not None and not address.file.is_file():  # the run makes it
        if over():
            return
        time.sleep(0.5)
    store = Store(address, _STORE_PATIENCE_SECONDS, lambda line: None, wait_to_open=True)
    destinations = [_destination(plain) for plain in told["destinations"]]
    Follower(store, wanted, destinations, _say, Patience(*told["patience"])).run(over)


def _wait(parent: int, ended: threading.Event) -> None:
    """The run is over when our input ends, or when its process is gone: a copy of the pipe may live on."""

    def look() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        ended.set()

    threading.Thread(target=look, daemon=True).start()
    sys.stdin.read()
    ended.set()


def _say(line: str) -> None:
    with suppress(OSError, ValueError):  # nobody listens any more
        sys.stdout.write(" ".join(line.split()) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
