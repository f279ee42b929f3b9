"""Lines on what runs now and how long it will take, for a person. Pure: it shows nothing itself."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_LONGER = 0.25
"""Of the time that a trial has run, when it has already run longer than others did."""


@dataclass
class WorkerView:
    """One worker, and what it does now."""

    doing: str = "starting"
    epoch: int = 0
    last: float | None = None
    best: float | None = None
    since: float | None = None
    """When its trial began, by a monotonic clock; None: it has none."""

    def scored(self, epoch: int, score: float, *, maximize: bool) -> None:
        """Take a validation in."""
        better = self.best is None or (score > self.best if maximize else score < self.best)
        self.epoch, self.last, self.best = epoch, score, score if better else self.best

    def whole(self, epochs: int, now: float) -> float | None:
        """Seconds of its trial if it runs all its epochs, as fast as until now."""
        return (now - self.since) / self.epoch * epochs if self.since is not None and self.epoch else None

    def left(self, typical: float, epochs: int, now: float) -> float:
        """Seconds that are left of its trial, if it is like others; some more, if it is longer."""
        if self.since is None:
            return 0.0
        ran = now - self.since
        if ran < typical:
            return typical - ran
        whole = self.whole(epochs, now)
        return min(ran * _LONGER, ran * _LONGER if whole is None else max(0.0, whole - ran))


@dataclass
class SweepView:
    """The studies that are still to come, and what trials took until now."""

    later: int = 0
    """Trials of the studies after this one."""
    seconds: list[float] = field(default_factory=list)


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
    epochs: int = 0
    """That a trial has at most."""
    seconds: list[float] = field(default_factory=list)
    workers: dict[int, WorkerView] = field(default_factory=dict)
    sweep: SweepView = field(default_factory=SweepView)
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

    def took(self, seconds: float) -> None:
        """Learn from a trial that ended."""
        self.seconds.append(seconds)
        self.sweep.seconds.append(seconds)

    @property
    def seconds_left(self) -> float | None:
        """Of the study; None before anything is known."""
        return self.left(time.monotonic())

    def left(self, now: float) -> float | None:
        """Seconds left of the study: of the trials that run, and of those that wait."""
        typical = self._typical(now)
        if typical is None:
            return None
        running = [worker for worker in self.workers.values() if worker.since is not None]
        waiting = max(0, self.budget - self.filled - len(running))
        work = typical * waiting + sum(worker.left(typical, self.epochs, now) for worker in running)
        return work / max(len(self.workers), 1)

    def sweep_left(self, now: float) -> float | None:
        """Seconds left of all studies; None where this is the last one, or nothing is known."""
        own, typical = self.left(now), _mean(self.sweep.seconds) or self._typical(now)
        if own is None or typical is None or not self.sweep.later:
            return None
        return own + typical * self.sweep.later / max(len(self.workers), 1)

    def _typical(self, now: float) -> float | None:
        """Seconds of a trial: the mean of this run; at first what the longest would take with all epochs."""
        if (mean := _mean(self.seconds)) is not None:
            return mean
        return max(
            (whole for worker in self.workers.values() if (whole := worker.whole(self.epochs, now))),
            default=None,
        )

    # -- in words --------------------------------------------------------------------------------

    def counts(self) -> str:
        """`3/20 trials, 1 pruned`."""
        return f"{self.filled}/{self.budget} trials" + (f", {self.pruned} pruned" if self.pruned else "")

    def best_text(self) -> str:
        """`best NDCG@10 0.1234 (trial 2)`."""
        found = "none yet" if self.best is None else f"{self.best:.4f} (trial {self.best_slot})"
        return f"best {self.metric} {found}"

    def left_text(self, now: float) -> str:
        """`about 12 min 00 s left, of the sweep 2 h 05 min`; empty before anything is known."""
        left, sweep = self.left(now), self.sweep_left(now)
        if left is None:
            return ""
        head = "about" if self.seconds else "at most"  # no trial has ended: they may stop early
        return f"{head} {duration(left)} left" + (f", of the sweep {duration(sweep)}" if sweep else "")

    def status(self, now: float) -> str:
        """One line on all that runs: for a log."""
        told = [f"{name}, {scores}" if scores else name for name, scores in self.worker_texts()]
        what = [f"{self.label} {self.counts()}", *told, self.best_text(), self.left_text(now)]
        return "; ".join(text for text in what if text)

    def worker_texts(self) -> list[tuple[str, str]]:
        """The work of each worker, and the scores of its trial."""
        return [
            (f"worker {number}: {worker.doing}", _scores(worker))
            for number, worker in sorted(self.workers.items())
        ]


def _scores(worker: WorkerView) -> str:
    if worker.last is None or worker.best is None:
        return ""
    return f"epoch {worker.epoch}, last {worker.last:.4f}, best {worker.best:.4f}"


def _mean(seconds: list[float]) -> float | None:
    return sum(seconds) / len(seconds) if seconds else None


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


def changed_text(params: Mapping[str, Any], defaults: Mapping[str, Any]) -> str:
    """The parameters of a trial that are not those of the defaults: `n_layers 2, dropout 0.1`."""
    changed = {name: value for name, value in params.items() if value != defaults.get(name)}
    if not changed:
        return "the defaults" if params else ""
    shown = {name: f"{v:.4g}" if isinstance(v, float) else str(v) for name, v in changed.items()}
    return ", ".join(f"{name} {value}" for name, value in shown.items())


def shortened(label: str, width: int) -> str:
    """`data set/model/phase` in so many characters: of the data set's name as much as fits."""
    if len(label) <= width:
        return label
    dataset, _, rest = label.partition("/")
    kept = max(0, width - len(rest) - 2)
    return f"{dataset[:kept]}…/{rest}"
