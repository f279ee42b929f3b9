"""A tracker's process as the follower holds it: started, given one batch at a time, ended when it hangs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from recsweep.sweeps.tracker_table import TrackerRow
from recsweep.tracking.base import Given
from recsweep.tracking.events import Event, to_json
from recsweep.tracking.sender import DONE, FAILED, READY, told

HANGS_AFTER_SECONDS, HANGS_AT_LAST_SECONDS = 60.0, 900.0
"""Seconds after which a batch is given to another process: of doing nothing, and in all."""
_LOOK_SECONDS = 5.0
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 60.0
"""Seconds between two attempts at a tracker that fails; they grow."""
_END_SECONDS, _START_SECONDS = 1.0, 10.0
_BUSY = 0.02
"""Seconds of a processor that count as computing."""


class Link:
    """A tracker, whatever its process does.

    Args:
        row: of the tracker.
        given: what it is made of.
        clock: seconds that nobody sets.
    """

    def __init__(self, row: TrackerRow, given: Given, clock: Callable[[], float] = time.monotonic) -> None:
        self.row, self.given, self._clock = row, given, clock
        self.trouble = ""
        """Why the last attempt failed; empty while it goes well."""
        self.lives = 0
        """How many processes there were."""
        self._process: subprocess.Popen[str] | None = None
        self._answers: list[list[str]] = []
        self._reader: threading.Thread | None = None
        self._ready, self._busy = False, 0.0
        self._moved = self._looked = 0.0
        """When it was last seen to compute, and last looked at."""
        self._since: float | None = None
        """When the batch that is on its way was given; None where none is."""
        self._pause, self._not_before = 0.0, 0.0

    @property
    def waits(self) -> bool:
        """True where a batch is on its way."""
        return self._since is not None

    @property
    def free(self) -> bool:
        """True where it can be given a batch now."""
        return self._since is None and self._clock() >= self._not_before

    def give(self, events: Sequence[Event]) -> None:
        """Send a batch on its way; whether it arrived, `look` says later."""
        if self._process is None:
            self._start()
        self._since = self._clock()
        line = json.dumps([to_json(event) for event in events]) + "\n"
        # A process that hangs reads nothing: the pipe would be full, and we would hang too.
        threading.Thread(target=self._write, args=(self._process, line), daemon=True).start()

    def look(self) -> bool:
        """True once, when the batch that was on its way is acknowledged. A process that hangs is ended."""
        if self._since is None:
            return False
        while self._answers:
            word, *rest = self._answers.pop(0)
            if word == READY:
                self._ready = True
            elif word == DONE:
                self._since, self.trouble, self._pause = None, "", 0.0
                return True
            elif word == FAILED:
                self._give_up(rest[0])
                return False
        if self._reader is not None and not self._reader.is_alive() and not self._answers:
            self._give_up("its process ended")
        elif self._hangs():
            self._give_up(f"it gave no answer for {self._clock() - self._since:.0f} s")
        return False

    def _hangs(self) -> bool:
        """True where it has done nothing for long, and did not wait for its turn on a busy machine."""
        now, since = self._clock(), self._since or 0.0
        if now - max(self._looked, since) >= min(_LOOK_SECONDS, HANGS_AFTER_SECONDS):
            self._looked = now
            if self.computes():
                self._moved = now
        idle = now - max(self._moved, since)
        return idle > HANGS_AFTER_SECONDS or now - since > HANGS_AT_LAST_SECONDS

    def computes(self) -> bool:
        """True where its processes have computed since the last time, wait for a turn, or are starting."""
        if self._process is None or self._since is None:
            return False
        total, before = 0.0, self._busy
        with suppress(psutil.Error):
            own = psutil.Process(self._process.pid)
            for one in (own, *own.children(recursive=True)):
                with suppress(psutil.Error):
                    times = one.cpu_times()
                    total += times.user + times.system
                    if one.status() == psutil.STATUS_RUNNING:  # it may have to wait for its turn
                        before = -1.0
        if total > before + _BUSY:
            self._busy = total
            return True
        return not self._ready and self._clock() - self._since < _START_SECONDS

    def close(self, seconds: float) -> None:
        """Let it end in good order, within some seconds."""
        process, self._process = self._process, None
        if process is None:
            return
        if self._since is None and process.stdin is not None:
            with suppress(OSError):
                process.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                process.wait(seconds)
        _kill(process)

    def _start(self) -> None:
        source = str(Path(__file__).parents[2])
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join((source, *filter(None, sys.path)))}
        environment.pop("RECSWEEP_STORAGE", None)  # a tracker needs no store
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "recsweep.tracking.sender"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        self.lives += 1
        self._answers, self._ready, self._busy = [], False, 0.0
        self._reader = threading.Thread(target=self._read, args=(self._process, self._answers), daemon=True)
        self._reader.start()
        self._write(self._process, told(self.row, self.given, os.getpid()) + "\n")

    @staticmethod
    def _read(process: subprocess.Popen[str], answers: list[list[str]]) -> None:
        if process.stdout is not None:
            with suppress(ValueError, OSError):
                for line in process.stdout:
                    answers.append(json.loads(line))

    @staticmethod
    def _write(process: subprocess.Popen[str] | None, text: str) -> None:
        if process is not None and process.stdin is not None:
            with suppress(OSError, ValueError):  # it is gone, which its reader says
                process.stdin.write(text)
                process.stdin.flush()

    def _give_up(self, why: str) -> None:
        """End the process; another one is tried after a pause."""
        self.trouble, self._since = why, None
        process, self._process = self._process, None
        if process is not None:
            _kill(process)
        self._pause = min(LONGEST_PAUSE, self._pause * 2 or FIRST_PAUSE)
        self._not_before = self._clock() + self._pause


def _kill(process: subprocess.Popen[str]) -> None:
    """End a process and those below it."""
    below: list[psutil.Process] = []
    with suppress(psutil.Error):
        below = psutil.Process(process.pid).children(recursive=True)
    for one in below:
        with suppress(psutil.Error):
            one.kill()
    with suppress(OSError):
        process.kill()
    with suppress(subprocess.TimeoutExpired):  # one that waits for a dead disk ends when it can
        process.wait(_END_SECONDS)
