"""The process of one tracker: events come in by a pipe, and are acknowledged when they are safe.

    python -m recsweep.tracking.sender

Standard input holds lines of JSON: what the tracker is made of, then one batch of events a line. Standard
output has a line for each of these, and nothing else: what a library prints goes into the tracker's log.
It ends with its input, or with an error, which its last line says; and at once when its starter is gone.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import IO, Any

from recsweep.common.errors import disk_trouble
from recsweep.common.interrupts import leave_to_parent
from recsweep.common.masking import mask, remember
from recsweep.common.surroundings import end_with
from recsweep.sweeps.tracker_table import TRACKERS, TrackerRow
from recsweep.tracking.base import Given, Tracker
from recsweep.tracking.events import from_json
from recsweep.tracking.trackers import make_tracker

READY, DONE, FAILED = "ready", "done", "failed"
NICER = 5
"""By how much a tracker's process gives way to those that train."""
_LONGEST = 300


def told(row: TrackerRow, given: Given, starter: int) -> str:
    """The first line that a sender is given."""
    settings = {"sweep": given.sweep, "folder": str(given.folder), "settings": dict(given.settings)}
    return json.dumps({"row": vars(row), **settings, "variables": dict(given.variables), "starter": starter})


def main() -> None:
    """A sender's life."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    batches = os.fdopen(os.dup(0), encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # what the library starts inherits none of it
    first = json.loads(batches.readline())
    given = Given(first["sweep"], Path(first["folder"]), first["settings"], first["variables"])
    row = TrackerRow(**{**first["row"], "variables": tuple(first["row"]["variables"])})
    leave_to_parent()
    end_with(first["starter"], lambda: os.kill(os.getpid(), signal.SIGKILL))
    os.nice(NICER)
    try:
        _apart(given.folder.with_suffix(".log"))
        _serve(row, given, batches, answers)
    except Exception as error:
        _answer(answers, FAILED, _text(error))
        os._exit(1)
    # A library may have threads that would be waited for.
    sys.stderr.flush()
    os._exit(0)


def _serve(row: TrackerRow, given: Given, batches: IO[str], answers: IO[str]) -> None:
    os.environ.update(given.variables)
    for name, value in given.variables.items():
        if any(word in name for word in ("KEY", "PASSWORD", "TOKEN")):
            remember(value)
    tracker = make_tracker(TRACKERS.get(row.name, row), given)
    _answer(answers, READY)
    for line in batches:
        _take(tracker, json.loads(line))
        _answer(answers, DONE)
    tracker.close()


def _take(tracker: Tracker, batch: list[dict[str, Any]]) -> None:
    for plain in batch:
        tracker.take(from_json(plain))
    tracker.settle()


def _apart(log: Path) -> None:
    """Send all that a library prints into a log; without room for one, nowhere."""
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError:
        file = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        os.dup2(file, number)


def _answer(answers: IO[str], *words: str) -> None:
    answers.write(json.dumps(words) + "\n")
    answers.flush()


def _text(error: Exception) -> str:
    """An error in one masked line."""
    found: BaseException = disk_trouble(error) or error
    text = " ".join(str(found).split()) or type(found).__name__
    plain = isinstance(error, OSError) or found is not error
    return mask(text if plain else f"{type(found).__name__}: {text}")[:_LONGEST]


if __name__ == "__main__":
    main()
