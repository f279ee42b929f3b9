"""Server-sent events, read: what happens in a job, as its listeners are told."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

END = "end"
"""The kind of the last event of a stream."""


@dataclass(frozen=True)
class Event:
    """One event of a job.

    Attributes:
        kind: `job`, `trial.started`, `trial.epoch`, `trial.ended`, `trial.back`; the last one is `end`.
        data: what it says: `study`, `slot`, `epoch`, `score`, `status` and others, by its kind.
        n: its number in the job; None for `end`.
    """

    kind: str
    data: Mapping[str, Any] = field(default_factory=dict)
    n: int | None = None


def events_in(lines: Iterable[str]) -> Iterator[Event]:
    """The events in the lines of a stream; comments and an event that was cut off are dropped."""
    told: dict[str, str] = {}
    for line in lines:
        if not line:
            if "data" in told:
                number = told.get("id", "")
                last = int(number) if number.isdigit() else None
                yield Event(told.get("event", "message"), json.loads(told["data"]), last)
            told = {}
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        told[name] = f"{told[name]}\n{value}" if name == "data" and "data" in told else value
