"""A job that runs, as its job worker sees it: processes that end, are told to, or are killed."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from contextlib import suppress

from recsweep.service.runner import LOG, Outcome, Where

_CODE = "from recsweep.service.runner import main; main()"


class RunningJob:
    """The process of a job, the leader of a group.

    Args:
        where: the places of the service.
        job_id: of the job that it runs.
    """

    def __init__(self, where: Where, job_id: str) -> None:
        self.log = where.folder(job_id) / LOG
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._ours, theirs = os.pipe()
        os.set_inheritable(theirs, True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _CODE],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                pass_fds=(theirs,),
                start_new_session=True,
            )
        os.close(theirs)
        told = "\n".join([where.to_json(), job_id, f"{theirs} {os.getpid()}"])
        with suppress(BrokenPipeError):  # it is dead, which is seen below
            if self._process.stdin is not None:
                self._process.stdin.write(told.encode())
                self._process.stdin.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    def ended(self, seconds: float) -> bool:
        """Wait a while; True where the process has ended."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def outcome(self) -> Outcome | None:
        """The word that the process left, which has ended; None where it died without one."""
        self.kill()  # what is left of its group
        ready, _, _ = select.select([self._ours], [], [], 0)
        text = os.read(self._ours, 1 << 16).decode() if ready else ""
        os.close(self._ours)
        return Outcome.from_json(text) if text else None

    @property
    def how_it_ended(self) -> str:
        """In words, of a process that has ended."""
        code = self._process.returncode
        if code is not None and code < 0:
            return f"killed by {signal.Signals(-code).name}"
        return f"exit code {code}"

    def tell_to_stop(self) -> None:
        """Its trials are put back, then it ends."""
        if self._process.poll() is None:
            self._process.terminate()

    def kill(self) -> None:
        """End all of its group at once."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
