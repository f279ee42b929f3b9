"""The view of a sweep that runs: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, TextIO

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from recsweep.common.errors import EXIT_BUG, InputError, RecsweepError, StudiesFailed, disk_trouble
from recsweep.common.escape import for_terminal
from recsweep.common.masking import mask_traceback
from recsweep.running.watch import StudyView, SweepView, WorkerView, duration, shortened

__all__ = ["Display", "StudyView", "SweepView", "WorkerView", "draw_markdown", "duration"]

TELL_SECONDS = 30.0
"""Between two lines on what runs, where no terminal shows it."""
_BAR = 24
_LEAST = 8
"""Width of a column that gives way."""
_CELLS = re.compile(r"(?<!\\)\|")
_ESCAPED = re.compile(r"\\(.)")


class Display:
    """Shows studies on the standard error stream, and keeps the plain lines in log files.

    Args:
        logs: files to append the plain lines to, with the time of each.
        stream: where to show; a terminal gets the live display.
        clock: seconds of a clock that nobody sets.

    Raises:
        InputError: a log cannot be written.
        SweepPaused: the disk is full.
    """

    def __init__(
        self, *logs: Path | None, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        file = stream or sys.stderr
        # A notebook and many a CI set FORCE_COLOR, by which rich would draw on what is no terminal.
        self._console = Console(
            file=file, highlight=False, soft_wrap=True, force_jupyter=False, force_terminal=file.isatty()
        )
        self._live: Live | None = None
        self._logs: list[TextIO] = []
        self.sweep = SweepView()
        """The studies that are still to come; whoever runs the studies says so."""
        self._clock = clock
        self._drawn, self._told = 0.0, clock()
        for log in dict.fromkeys(log.resolve() for log in logs if log is not None):
            self._logs.append(_open_log(log))

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish()
        with suppress(OSError):  # a full disk, of which the error tells that is on its way already
            if error is not None:
                self.log(_last_words(error))
            for log in self._logs:
                log.close()
        self._logs.clear()

    def finish(self) -> None:
        """Show nothing live any more: what is printed from now on stays as it is."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def line(self, text: str) -> None:
        """A line that stays; what it quotes stays in it."""
        text = for_terminal(text)
        self._console.print(Text(text))
        self.log(text)

    def log(self, text: str) -> None:
        """A line that only the logs keep."""
        for log in self._logs:
            log.write(f"{datetime.now().isoformat(timespec='seconds')} {text}\n")
            log.flush()

    def show(self, study: StudyView, *, force: bool = False) -> None:
        """Draw a study anew, at most ten times a second; into logs a line twice a minute."""
        now = self._clock()
        if now - self._told >= TELL_SECONDS:
            self._told = now
            (self.line if self._live is None else self.log)(for_terminal(study.status(now)))
        if self._live is not None and (force or now - self._drawn > 0.1):
            self._drawn = now
            self._live.update(_picture(study, self._console.width, now), refresh=True)


def _last_words(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "; ".join(["stopped with Ctrl-C or by a signal", *error.args])
    told = isinstance(error, StudiesFailed)
    expected = isinstance(error, RecsweepError) and error.exit_code != EXIT_BUG
    return str(error) if expected or told else mask_traceback(error).rstrip()


def _open_log(log: Path) -> TextIO:
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        return log.open("a", encoding="utf-8")
    except OSError as error:
        problem = f"the log cannot be written: {error.strerror}"
        raise (disk_trouble(error) or InputError(log, problem, "name a file that can be written")) from None


def _picture(study: StudyView, width: int, now: float) -> Group:
    """A study on a terminal: in one line where all of it fits, else in two; and a line for each worker."""
    facts = [study.counts(), study.best_text(), study.left_text(now)]
    head = f"study {study.position}/{study.count} "
    bar = ProgressBar(total=study.budget, completed=study.filled, width=_BAR)
    first = Table.grid(padding=(0, 1))
    if len(head + study.label) + _BAR + sum(len(fact) + 1 for fact in facts) + 1 <= width:
        first.add_row(Text(for_terminal(head + study.label), style="bold"), bar, *facts)
        lines: list[RenderableType] = [first]
    else:
        room = width - len(head) - len(facts[0]) - 2
        label = shortened(for_terminal(study.label), room)
        shown = [bar] if room - len(label) > _BAR else []
        first.add_row(Text(head + label, style="bold", no_wrap=True), *shown, Text(facts[0], no_wrap=True))
        lines = [first, _line("  " + ", ".join(fact for fact in facts[1:] if fact))]
    for name, scores in study.worker_texts():
        lines.append(_line(f"  {name} {scores.replace(', ', '  ')}".rstrip()))
    return Group(*lines)


def _line(text: str) -> Text:
    return Text(for_terminal(text), no_wrap=True, overflow="ellipsis")


def draw_markdown(text: str, out: TextIO) -> None:
    """Markdown with tables, drawn on a terminal."""
    console, rows = Console(file=out, highlight=False), list[list[str]]()
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in _CELLS.split(line.strip().strip("|"))])
            continue
        if len(rows) > 1:
            console.print(_table(rows))
        rows.clear()
        if line:
            console.print(Text(_plain(line)))


def _table(rows: list[list[str]]) -> Table:
    """Rows of a table: its names, how they are set, what is in it.

    Where there is little room, the first column and one of text at the end give way; no other loses a letter.
    """
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for number, (name, kind) in enumerate(zip(rows[0], rows[1], strict=False)):
        side: Literal["left", "right"] = "right" if kind.endswith(":") else "left"
        gives_way = number == 0 or (number == len(rows[0]) - 1 and side == "left")
        head = _plain(name) if gives_way else _plain(name).replace(" ", "\n")
        least = _LEAST if gives_way else None
        table.add_column(head, justify=side, no_wrap=not gives_way, overflow="fold", min_width=least)
    for row in rows[2:]:
        table.add_row(*(Text(_plain(cell), style="bold" if cell.startswith("**") else "") for cell in row))
    return table


def _plain(cell: str) -> str:
    """Text of a cell without the marks of Markdown."""
    return _ESCAPED.sub(r"\1", cell.replace("**", ""))
