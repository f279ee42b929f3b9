"""The job workers of a server: processes beside it, started again when they die, ended when it ends.

Each is a session of its own, so that Ctrl-C at a terminal reaches the server alone, which then tells them.
Each watches the server too (`leash.py`): one that is killed leaves nobody behind.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from recsweep.service.auth import READ_TOKEN, TOKEN
from recsweep.service.leash import SERVER

ENDS_WITHIN_SECONDS = 30.0
"""How long a job worker has to put back its slots."""
_LOOK_SECONDS = 0.5
_FIRST_PAUSE, _LONGEST_PAUSE, _LIVED_SECONDS = 1.0, 60.0, 30.0


class JobProcesses:
    """So many processes of one command.

    Args:
        command: without a secret, for everybody can read it.
        environment: beside that of this process; the tokens are taken out.
        number: how many there are to be.
        tell: takes a line when one died.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: dict[str, str],
        number: int,
        tell: Callable[[str], None],
    ) -> None:
        own = {name: value for name, value in os.environ.items() if name not in (TOKEN, READ_TOKEN)}
        self._environment = {**own, **environment, SERVER: str(os.getpid())}
        self._command, self._tell = list(command), tell
        self._ending = threading.Event()
        self._seats = [_Seat() for _ in range(number)]
        self._thread = threading.Thread(target=self._watch, name="job workers", daemon=True)

    def start(self) -> None:
        """Start them, and see to it that they live."""
        self._thread.start()

    @property
    def pids(self) -> list[int]:
        """Those that live now."""
        return [seat.process.pid for seat in self._seats if seat.process and seat.process.poll() is None]

    def end(self) -> None:
        """End them: those that run a job put back its slots first."""
        self._ending.set()
        if self._thread.ident is not None:
            self._thread.join()
        living = [seat.process for seat in self._seats if seat.process and seat.process.poll() is None]
        for process in living:
            with suppress(ProcessLookupError):
                process.terminate()
        deadline = time.monotonic() + ENDS_WITHIN_SECONDS
        for process in living:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _watch(self) -> None:
        # They are started by this thread, which lives as long as the server: Linux ends a process that asked
        # for it with the thread that made it.
        while not self._ending.is_set():
            for seat in self._seats:
                self._see_to(seat)
            self._ending.wait(_LOOK_SECONDS)

    def _see_to(self, seat: _Seat) -> None:
        now = time.monotonic()
        if seat.process is not None and (code := seat.process.poll()) is not None:
            seat.pause = (
                _FIRST_PAUSE
                if now - seat.since > _LIVED_SECONDS
                else min(max(_FIRST_PAUSE, seat.pause * 2), _LONGEST_PAUSE)
            )
            self._tell(
                f"job worker {seat.process.pid} ended with {code}; another one starts in {seat.pause:g} s"
            )
            seat.process, seat.since = None, now
        elif seat.process is None and now - seat.since >= seat.pause:
            seat.since = now
            seat.process = subprocess.Popen(
                [sys.executable, "-m", "recsweep", *self._command],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )


class _Seat:
    """A place for a process."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.since, self.pause = time.monotonic(), 0.0
