"""Convergence of a search: best so far against trials, with what random search would expect."""

from __future__ import annotations

from collections.abc import Sequence

from recsweep.common.escape import short
from recsweep.report.chart import BLUE, GREY, ORANGE, PINK, Axis, Chart, Number, Panel, Points, counting
from recsweep.report.comparison import Entry, steps
from recsweep.report.study_tables import limited
from recsweep.report.trial_marks import has_score
from recsweep.study import State, Trial

_MOST_STEPS = 60
"""Places at which the expectation is worked out; between them it is a line."""


def convergence(entry: Entry) -> Chart:
    """The scores of a model's trials, the best so far, and the best that a random order would expect."""
    found = steps(entry)
    if not found:
        return Chart("convergence", missing="No trial has come to a score yet.")
    foot = _foot(entry)
    marks = [*_dots(entry, foot), _expected(entry, foot), _best(entry)]
    x = counting("trials", (1, len(entry.trials)))
    panel = Panel(x, Axis(entry.metric), tuple(mark for mark in marks if mark.x))
    rows = [(str(step.trials), str(step.trial.slot), short(step.score)) for step in found]
    table = limited(("trials", "trial", f"best {entry.metric}"), rows)
    return Chart("convergence", (panel,), part=True, table=table)


def _foot(entry: Entry) -> float:
    """The score below which a trial stands at the edge: a poor one would press all others together."""
    scores = [score for _, score in entry.scores]
    low, high = min(scores), max(scores)
    room = 0.06 * ((high - low) or abs(high) or 1.0)
    return low - room if entry.maximize else high + room


def _dots(entry: Entry, foot: float) -> list[Points]:
    worse = max if entry.maximize else min
    looks = {State.COMPLETE: (BLUE, "circle"), State.PRUNED: (GREY, "cross")}
    found = []
    for state, (colour, mark) in looks.items():
        pairs = [(n, t) for n, t in enumerate(entry.trials, 1) if t.state == state and has_score(t)]
        said = tuple(
            f"trial {trial.slot}, {state}: {entry.metric} {short(trial.score)}" for _, trial in pairs
        )
        x, y = tuple(number for number, _ in pairs), tuple(worse(t.score or 0.0, foot) for _, t in pairs)
        found.append(Points(x, y, said, state, colour, mark=mark, size=6))  # type: ignore[arg-type]
    failed = [number for number, trial in enumerate(entry.trials, 1) if trial.state == State.FAILED]
    feet = Points(tuple(failed), (foot,) * len(failed), (), "failed", PINK, mark="cross", size=6)
    return [*found, feet]


def _best(entry: Entry) -> Points:
    found = steps(entry)
    x: list[Number] = [step.trials for step in found]
    y: list[Number] = [step.score for step in found]
    end = len(entry.trials)
    if x[-1] < end:
        x, y = [*x, end], [*y, y[-1]]
    return Points(tuple(x), tuple(y), (), "best so far", ORANGE, line="steps", width=2.2)


def _expected(entry: Entry, foot: float) -> Points:
    scores, worse = _all_scores(entry), max if entry.maximize else min
    counts = list(range(1, len(scores) + 1))
    every = -(-len(counts) // _MOST_STEPS)
    counts = [*counts[:-1][::every], counts[-1]]
    values = expected_best(scores, counts, maximize=entry.maximize)
    shown = tuple(worse(value, foot) for value in values)
    return Points(tuple(counts), shown, (), "expected of random search", GREY, line="dash", width=1.8)


def _all_scores(entry: Entry) -> list[float]:
    """A score for every trial that was spent: of a pruned one its own, of a failed one the worst."""
    best = steps(entry)[-1].score
    scores = [_of(trial, best, maximize=entry.maximize) for trial in entry.trials]
    there = [score for score in scores if score is not None]
    worst = min(there) if entry.maximize else max(there)
    return [worst if score is None else score for score in scores]


def _of(trial: Trial, best: float, *, maximize: bool) -> float | None:
    if trial.score is None or not has_score(trial) or trial.state == State.FAILED:
        return None
    if trial.state == State.COMPLETE:
        return trial.score
    return min(trial.score, best) if maximize else max(trial.score, best)  # a pruned one does not win


def expected_best(scores: Sequence[float], counts: Sequence[int], *, maximize: bool) -> list[float]:
    """The best that so many of these scores have on average, drawn at random without putting back.

    This is the expected validation performance of Dodge et al. (2019), for draws without replacement: exact
    for a search at random; for one that learns it is what its own trials would give in a random order.

    Args:
        counts: of draws, each from 1 to the number of scores.
    """
    ascending = sorted(scores, reverse=not maximize)
    return [_mean_of_best(ascending, count) for count in counts]


def _mean_of_best(ascending: Sequence[float], count: int) -> float:
    """The sum over places i of score i, times the chance that it is the best of the draws.

    That chance is C(i - 1, count - 1) / C(n, count), which for the last rank is count / n.
    """
    total, chance = 0.0, count / len(ascending)
    for rank in range(len(ascending), count - 1, -1):
        total += chance * ascending[rank - 1]
        if rank > 1:
            chance *= (rank - count) / (rank - 1)
    return total
