"""A search that found its best near its end: it had not converged, and more trials may find better."""

from __future__ import annotations

from collections.abc import Iterator

from recsweep.alarms.alarm import Alarm, Searched, about
from recsweep.search.stopping import MAX_EVALS

NAME = "convergence"
SOURCE = "Dodge, Gururangan, Card, Schwartz and Smith 2019"
ANSWER = "add trials with recsweep tune --more"
LAST_SHARE = 0.1
"""Of the budget. Where the best is found by chance it lies there once in ten searches."""
LEAST_TRIALS = 10
"""Fewer have no last tenth."""


def found_late(search: Searched) -> Iterator[Alarm]:
    """The best was found in the last tenth of the budget; the number is how far into it.

    Trials count by their slots, as in the picture of convergence. By their ends the best would be late more
    often than by chance where several workers ran: it is not pruned, so it ends after those begun with it.
    """
    own = sorted((trial for trial in search.trials if not trial.inherited), key=lambda trial: trial.slot)
    if not search.finished or search.winner is None or len(own) < LEAST_TRIALS:
        return
    if search.record.ended_by and not search.record.ended_by.startswith(MAX_EVALS):
        return
    number = next((number for number, trial in enumerate(own, 1) if trial.id == search.winner.id), 0)
    if number <= (1 - LAST_SHARE) * len(own):
        return
    text = (
        f"the best trial was found as number {number} of {len(own)}, in the last tenth of the budget, "
        "where chance alone would put it once in ten searches"
    )
    yield Alarm(NAME, about(search), number / len(own), text, SOURCE, ANSWER)
