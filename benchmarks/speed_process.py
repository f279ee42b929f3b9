"""Between speed.py and the processes that it times: ready, go, result. The standard library only.

Processes that are to run at once are started together. Each says when it is ready to train and then
waits, so that all of them train at the same time; what it waits counts nowhere. Times are of the
system's monotonic clock, which all processes share.
"""

from __future__ import annotations

import json
import os
import resource
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Mark = tuple[float, float]
"""Seconds of the clock, and seconds of processor time that this process has used."""


def now() -> Mark:
    return time.monotonic(), time.process_time()


class Channel:
    """The side of the timed process. Whatever else it prints goes to its log."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        self.aside = 0.0
        """Seconds that belong to the measurement, not to what is measured."""

    def ready(self) -> None:
        """Wait until all processes of this turn are here."""
        begun = time.monotonic()
        self._send("ready")
        sys.stdin.readline()
        self.aside += time.monotonic() - begun

    def result(self, **values: Any) -> None:
        """The last word of the process: its values, its peak memory and what it waited."""
        self._send(json.dumps({**values, "aside": self.aside, "peak": peak_memory()}))

    def _send(self, line: str) -> None:
        self._out.write(line + "\n")
        self._out.flush()


def peak_memory() -> int:
    """Bytes of memory that this process has held at most."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


@dataclass(frozen=True)
class Launch:
    """A process to be started."""

    command: Sequence[str]
    environment: dict[str, str]
    folder: Path

    @property
    def log(self) -> Path:
        return self.folder / "output.log"


def run_together(launches: Sequence[Launch]) -> list[dict[str, Any]]:
    """Start processes at once, let them go at once, and return the result of each.

    Raises:
        SystemExit: one of them failed; with the end of its log.
    """
    processes: list[subprocess.Popen[str]] = []
    spawned: list[float] = []
    try:
        for launch in launches:
            spawned.append(time.monotonic())
            processes.append(_start(launch))
        for process, launch in zip(processes, launches, strict=True):
            _read(process, launch)
        for process in processes:
            _pipe(process.stdin).write("go\n")
            _pipe(process.stdin).flush()
        answers = [_read(process, launch) for process, launch in zip(processes, launches, strict=True)]
        for process in processes:
            process.wait()
        return [{**json.loads(text), "spawned": at} for text, at in zip(answers, spawned, strict=True)]
    finally:
        for process in processes:
            _end(process)


def _start(launch: Launch) -> subprocess.Popen[str]:
    launch.folder.mkdir(parents=True, exist_ok=True)
    with launch.log.open("w", encoding="utf-8") as log:
        return subprocess.Popen(
            list(launch.command),
            cwd=launch.folder,
            env=launch.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )


def _read(process: subprocess.Popen[str], launch: Launch) -> str:
    line: str = _pipe(process.stdout).readline()
    if not line:
        code = process.wait()
        tail = "\n".join(launch.log.read_text(encoding="utf-8", errors="replace").splitlines()[-25:])
        raise SystemExit(f"{shlex.join(launch.command)}\nended with exit code {code}:\n{tail}")
    return line


def _pipe(pipe: Any) -> Any:
    if pipe is None:
        raise RuntimeError("a process was started without pipes")
    return pipe


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
