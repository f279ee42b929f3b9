"""Tables of a study: its epochs, its trials, and what it came to. One value a cell, lists as JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from typing import Any

from recsweep.common.files import write_text
from recsweep.tracking.base import Given, Lines, Tracker
from recsweep.tracking.events import Begun, Ended, Epoch, StudyName, Summary, Tested

EPOCHS = ("trial", "attempt", "epoch", "metric", "value", "time")
TRIALS = (
    *("trial", "attempt", "counted", "state", "reason", "message", "score", "best_epoch", "epochs"),
    *("seconds", "seed", "params", "metrics", "checkpoint", "versions", "time"),
)
TESTS = ("trial", "metric", "value")


class CsvTracker(Tracker):
    """`csv`: `epochs.csv`, `trials.csv`, `tests.csv`, and `table.csv` and `importance.csv` made anew."""

    def __init__(self, given: Given) -> None:
        super().__init__(given)
        self._tables: dict[tuple[str, str], tuple[Lines, set[tuple[str, ...]]]] = {}
        """The tables of each study, and the keys of the rows that were there when they were opened."""

    def begun(self, event: Begun) -> None:
        """A row is added when its trial has ended."""

    def epoch(self, event: Epoch) -> None:
        for name, value in event.metrics.items():
            row = (event.run.slot, event.attempt, event.epoch, name, value, event.time)
            self._add(event.run.study, "epochs", EPOCHS, row, (0, 2, 3))

    def ended(self, event: Ended) -> None:
        row = (
            *(event.run.slot, event.attempt, event.counted, event.state, event.reason, event.message),
            *(event.score, event.best_epoch, event.epochs, event.seconds),
            *(event.seed, event.params, event.metrics, event.checkpoint),
            *(event.environment.get("versions"), event.time),
        )
        self._add(event.run.study, "trials", TRIALS, row, (0, 1))

    def tested(self, event: Tested) -> None:
        for name, value in event.metrics.items():
            self._add(event.run.study, "tests", TESTS, (event.run.slot, name, value), (0, 1))

    def summary(self, event: Summary) -> None:
        folder = self.given.folder / event.study.folder
        names = list(dict.fromkeys(name for row in event.rows for name in row))
        rows = [[row.get(name) for name in names] for row in event.rows]
        write_text(folder / "table.csv", _text([names, *rows]))
        shares = [(o, p, share) for o, each in event.importance.items() for p, share in each.items()]
        write_text(folder / "importance.csv", _text([("objective", "parameter", "share"), *shares]))

    def settle(self) -> None:
        for table, _ in self._tables.values():
            table.settle()

    def close(self) -> None:
        for table, _ in self._tables.values():
            table.close()

    def _add(
        self,
        study: StudyName,
        name: str,
        columns: tuple[str, ...],
        row: tuple[Any, ...],
        key: tuple[int, ...],
    ) -> None:
        """Add a row, unless one with the same cells in the columns of the key was there."""
        if (study.id, name) not in self._tables:
            table = Lines(self.given.folder / study.folder / f"{name}.csv")
            rows = list(csv.reader(table.lines))
            if not rows:
                table.append(_text([columns]))
            table.lines.clear()
            there = {tuple(cells[i] for i in key) for cells in rows[1:]}
            self._tables[study.id, name] = (table, there)
        table, there = self._tables[study.id, name]
        if tuple(_cell(row[i]) for i in key) not in there:
            table.append(_text([row]))


def _text(rows: Iterable[Iterable[Any]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([_cell(value) for value in row] for row in rows)
    return out.getvalue()


def _cell(value: Any) -> str:
    """One line: a line break in a message would be one in the file."""
    if value is None:
        return ""
    text = json.dumps(value) if isinstance(value, dict | list | tuple | bool) else str(value)
    return " ".join(text.splitlines())
