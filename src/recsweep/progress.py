"""What a person sees while a sweep runs: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from recsweep.errors import EXIT_BUG, InputError, RecsweepError, StudiesFailed, disk_trouble
from recsweep.escape import for_terminal
from recsweep.masking import mask_traceback


@dataclass
class WorkerView:
    """What one worker does now."""

    doing: str = "starting"
    epoch: int = 0
    last: float | None = None
    best: float | None = None


@dataclass
class StudyView:
    """One study as it is shown."""

    label: str
    position: int
    count: int
    metric: str
    maximize: bool
    budget: int
    filled: int = 0
    failed: int = 0
    pruned: int = 0
    best: float | None = None
    best_slot: int | None = None
    seconds: list[float] = field(default_factory=list)
    workers: dict[int, WorkerView] = field(default_factory=dict)
    said: set[str] = field(default_factory=set)
    """Lines of workers that are not said again."""

    def add(self, slot: int, score: float | None, *, pruned: bool = False) -> None:
        """Count a result."""
        self.filled += 1
        if score is None:
            self.failed += 1
        elif pruned:
            self.pruned += 1
        elif self.best is None or (score > self.best if self.maximize else score < self.best):
            self.best, self.best_slot = score, slot

    @property
    def seconds_left(self) -> float | None:
        """From the mean trial of this run; None before the first one ended."""
        if not self.seconds:
            return None
        mean = sum(self.seconds) / len(self.seconds)
        return mean * (self.budget - self.filled) / max(len(self.workers), 1)


def duration(seconds: float) -> str:
    """`0.4 s`, `48 s`, `3 min 20 s`, `2 h 05 min`."""
    whole = round(seconds)
    if 0 < seconds < 9.95:
        return f"{seconds:.1f} s"
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class Display:
    """Shows studies on the standard error stream, and keeps the plain lines in log files.

    Args:
        logs: files to append the plain lines to, with the time of each.
        stream: where to show; a terminal gets the live display.

    Raises:
        InputError: a log cannot be written.
        SweepPaused: the disk is full.
    """

    def __init__(self, *logs: Path | None, stream: TextIO | None = None) -> None:
        self._console = Console(file=stream or sys.stderr, highlight=False, soft_wrap=True)
        self._live: Live | None = None
        self._logs: list[TextIO] = []
        self._study: StudyView | None = None
        self._drawn = 0.0
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
        if self._live is not None:
            self._live.stop()
            self._live = None
        with suppress(OSError):  # a full disk, of which the error tells that is on its way already
            if error is not None:
                self.log(_last_words(error))
            for log in self._logs:
                log.close()
        self._logs.clear()

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
        """Draw a study anew, at most ten times a second."""
        self._study = study
        now = time.monotonic()
        if self._live is not None and (force or now - self._drawn > 0.1):
            self._drawn = now
            self._live.update(_picture(study), refresh=True)


def _last_words(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "; ".join(["stopped with Ctrl-C or by a signal", *error.args])
    told = isinstance(error, StudiesFailed)
    known = isinstance(error, RecsweepError) and error.exit_code != EXIT_BUG
    return str(error) if known or told else mask_traceback(error).rstrip()


def _open_log(log: Path) -> TextIO:
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        return log.open("a", encoding="utf-8")
    except OSError as error:
        problem = f"the log cannot be written: {error.strerror}"
        raise (disk_trouble(error) or InputError(log, problem, "name a file that can be written")) from None


def _picture(study: StudyView) -> Group:
    left = study.seconds_left
    head = Table.grid(padding=(0, 1))
    best = "none yet" if study.best is None else f"{study.best:.4f} (trial {study.best_slot})"
    head.add_row(
        Text(f"study {study.position}/{study.count} {study.label}", style="bold"),
        ProgressBar(total=study.budget, completed=study.filled, width=24),
        f"{study.filled}/{study.budget} trials" + (f", {study.pruned} pruned" if study.pruned else ""),
        f"best {study.metric} {best}",
        "" if left is None else f"about {duration(left)} left",
    )
    rows = Table.grid(padding=(0, 1))
    for number, worker in sorted(study.workers.items()):
        scores = ""
        if worker.last is not None and worker.best is not None:
            scores = f"epoch {worker.epoch}  last {worker.last:.4f}  best {worker.best:.4f}"
        rows.add_row(f"  worker {number}:", Text(for_terminal(worker.doing)), scores)
    return Group(head, rows)
