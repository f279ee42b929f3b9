"""From the clock marks of timed processes to figures, and from figures to ratios. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

EPOCHS_A_TRIAL = 20


@dataclass(frozen=True)
class Figures:
    """What one process came to, or one arm whose processes trained at once.

    `epoch` and `cpu` are of a whole warm epoch with its validation. For an arm, `epoch` is the time
    after which one more epoch is done: with two processes, half of what each takes.
    """

    epoch: float
    cpu: float
    start: float
    """Seconds from the start of the process to its first batch."""
    cold: float
    """Seconds from the start of the process to the end of its first whole epoch."""
    peak: float
    """Bytes, of one process."""
    scores: tuple[float, ...]
    """Validation score after each epoch; empty where an epoch was not a whole one."""
    path: str = ""
    """Whose code trained, as recsweep says: `compiled`, `torch`, or `recbole` with the reason."""

    @property
    def trials_an_hour(self) -> float:
        return 3600 / (EPOCHS_A_TRIAL * self.epoch)


def from_batches(raw: dict[str, Any], warm_up: int) -> Figures:
    """Figures of a process that noted its batches (speed_recbole.py), scaled to whole epochs.

    Args:
        warm_up: batches of the first epoch whose time is not that of the others.
    """
    epochs = raw["epochs"]
    # The first epoch tells the pace of warm ones only where it is the only one.
    paces = [(epoch, 0) for epoch in epochs[1:]] or [(epochs[0], warm_up)]
    start = epochs[0]["train"]["marks"][0][0] - raw["spawned"] - raw["aside"]
    parts = [epoch[name] for epoch in epochs for name in ("train", "valid")]
    return Figures(
        epoch=statistics.mean(_whole(epoch, 0, skip)[0] for epoch, skip in paces),
        cpu=statistics.mean(_whole(epoch, 1, skip)[0] for epoch, skip in paces),
        start=start,
        cold=start + _whole(epochs[0], 0, warm_up)[1],
        peak=raw["peak"],
        scores=tuple(raw["scores"]) if all(sum(part["sizes"]) == part["total"] for part in parts) else (),
    )


def from_whole(raw: dict[str, Any]) -> Figures:
    """Figures of RecBole's process that trained nothing but whole epochs: from end to end of them."""
    epochs = raw["epochs"]
    begin = epochs[0]["train"]["marks"][0]
    ends = {"begin": begin, "ends": [epoch["end"] for epoch in epochs], "stride": 1, "path": ""}
    return from_epochs({**raw, **ends})


def _whole(epoch: dict[str, Any], clock: int, warm_up: int) -> tuple[float, float]:
    """Seconds of a whole warm epoch, and of this one made whole, warm-up included."""
    train, valid = epoch["train"], epoch["valid"]
    marks, sizes = [mark[clock] for mark in train["marks"]], train["sizes"]
    trained = marks[-1] - marks[0]
    left = train["total"] - sum(sizes)
    a_sample = _pace(marks, sizes, warm_up) if left or warm_up else trained / train["total"]
    seen = valid["marks"][-1][clock] - valid["marks"][0][clock]
    # What is outside of both loops - metrics, a checkpoint - is there once, however long they are.
    rest = epoch["end"][clock] - marks[0] - trained - seen
    validation = seen * valid["total"] / sum(valid["sizes"]) + rest
    return a_sample * train["total"] + validation, trained + a_sample * left + validation


def _pace(marks: Sequence[float], sizes: Sequence[int], warm_up: int) -> float:
    """Seconds a sample: the median of the batches after the warm-up, which few slow ones do not move."""
    seconds = [
        (later - earlier) / size for (earlier, later), size in zip(pairwise(marks), sizes, strict=True)
    ]
    return statistics.median(seconds[warm_up:] or seconds)


def from_epochs(raw: dict[str, Any]) -> Figures:
    """Figures of a process that noted its epochs (speed_recsweep.py), each a `stride`-th of a whole."""
    stride, ends = raw["stride"], raw["ends"]
    begin = raw["begin"]
    warm = [_between(one, other) for one, other in pairwise(ends)]
    if not warm and begin is None:
        raise ValueError("one epoch without its beginning tells no time")
    warm = warm or [_between(begin, ends[0])]
    wall, cpu = (statistics.mean(pair[clock] for pair in warm) for clock in (0, 1))
    first = begin[0] if begin is not None else ends[0][0] - wall
    start = first - raw["spawned"] - raw["aside"]
    return Figures(
        epoch=wall * stride,
        cpu=cpu * stride,
        start=start,
        cold=start + ends[0][0] - first + wall * (stride - 1),
        peak=raw["peak"],
        scores=tuple(raw["scores"]) if stride == 1 else (),
        path=raw["path"],
    )


def _between(one: Sequence[float], other: Sequence[float]) -> tuple[float, float]:
    return other[0] - one[0], other[1] - one[1]


def together(processes: Sequence[Figures]) -> Figures:
    """The figures of an arm, from those of its processes that trained at the same time."""
    count = len(processes)
    return Figures(
        epoch=statistics.mean(one.epoch for one in processes) / count,
        cpu=statistics.mean(one.cpu for one in processes),
        start=statistics.mean(one.start for one in processes),
        cold=statistics.mean(one.cold for one in processes),
        peak=max(one.peak for one in processes),
        scores=processes[0].scores,
        path=processes[0].path,
    )


def middle(runs: Sequence[Figures]) -> Figures:
    """The median of each figure over the repeats of an arm; the scores of the longest run."""
    return Figures(
        epoch=statistics.median(run.epoch for run in runs),
        cpu=statistics.median(run.cpu for run in runs),
        start=statistics.median(run.start for run in runs),
        cold=statistics.median(run.cold for run in runs),
        peak=statistics.median(run.peak for run in runs),
        scores=max((run.scores for run in runs), key=len),
        path=runs[0].path,
    )


def ratio(slow: Sequence[Figures], fast: Sequence[Figures]) -> float:
    """How many times as long an epoch takes in one arm: the median of the ratios of each repeat."""
    return statistics.median(one.epoch / other.epoch for one, other in zip(slow, fast, strict=True))


def geometric_mean(values: Iterable[float]) -> float:
    return math.exp(statistics.mean(math.log(value) for value in values))


def disagreements(
    one: Sequence[Figures], other: Sequence[Figures], tolerance: float
) -> list[tuple[int, int, float, float]]:
    """Repeat, epoch and both scores wherever two arms differ after the same number of epochs."""
    return [
        (repeat, epoch, mine, its)
        for repeat, (left, right) in enumerate(zip(one, other, strict=True), 1)
        for epoch, (mine, its) in enumerate(zip(left.scores, right.scores, strict=False), 1)
        if abs(mine - its) > tolerance
    ]
