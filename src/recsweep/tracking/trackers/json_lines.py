"""A line of JSON for each event, in a file for each study."""

from __future__ import annotations

import json
import math
from typing import Any

from recsweep.tracking.base import Given, Lines, Tracker
from recsweep.tracking.events import (
    Begun,
    Ended,
    Epoch,
    Event,
    StudyName,
    Summary,
    Tested,
    mark_of,
    study_of,
    to_json,
)


class JsonLinesTracker(Tracker):
    """`jsonl`: the events as they are, for programs of one's own."""

    def __init__(self, given: Given) -> None:
        super().__init__(given)
        self._files: dict[str, tuple[Lines, set[str]]] = {}
        """The file of each study, and the marks that were in it when it was opened."""

    def begun(self, event: Begun) -> None:
        self._write(event)

    def epoch(self, event: Epoch) -> None:
        self._write(event)

    def ended(self, event: Ended) -> None:
        self._write(event)

    def tested(self, event: Tested) -> None:
        self._write(event)

    def summary(self, event: Summary) -> None:
        self._write(event)

    def settle(self) -> None:
        for file, _ in self._files.values():
            file.settle()

    def close(self) -> None:
        for file, _ in self._files.values():
            file.close()

    def _write(self, event: Event) -> None:
        file, there = self._of(study_of(event))
        if (mark := mark_of(event)) in there:
            return
        line = {"id": mark, **{name: value for name, value in to_json(event).items() if name != "parallel"}}
        file.append(json.dumps(_finite(line), separators=(",", ":"), ensure_ascii=False) + "\n")

    def _of(self, study: StudyName) -> tuple[Lines, set[str]]:
        if study.id not in self._files:
            file = Lines(self.given.folder / f"{study.folder}.jsonl")
            marks = {json.loads(line)["id"] for line in file.lines}
            file.lines.clear()
            self._files[study.id] = (file, marks)
        return self._files[study.id]


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinities: null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list) else value
