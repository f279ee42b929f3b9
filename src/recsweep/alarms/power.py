"""A test set that is too small for the difference that is claimed between the first two models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

import numpy as np

from recsweep.alarms.alarm import Alarm, Searched, tested, validation
from recsweep.statistics.power import smallest_difference, users_needed
from recsweep.statistics.users import Floats, UserScores

NAME = "power"
TRAININGS = "trainings"
SOURCE = "Sakai 2016"
POWER, LEVEL = 0.8, 0.05
"""Four in five true differences are found, one in twenty is found where there is none (Cohen 1988)."""

UsersOf = Callable[[Searched], UserScores | None]
"""Gives the scores of each user of a tested winner, of several trainings their means, with their number as
`trainings` in `about`; None where nobody kept them."""


def too_small(searches: Sequence[Searched], users: UsersOf) -> Iterator[Alarm]:
    """The data sets whose test could not show the lead of the first model; the number is what it could.

    Args:
        users: is asked for the first two models; where one has no scores nothing is raised.
    """
    for dataset, group in groupby(searches, lambda search: search.record.dataset_name):
        first, second = _leading(list(group))
        if first is None or second is None:
            continue
        metric = first.record.metric.lower()
        scores = users(first)
        differences = _differences(scores, users(second), metric)
        if differences is None:
            continue
        claimed, needed = float(np.mean(differences)), smallest_difference(differences, POWER, LEVEL)
        if not claimed or not needed > abs(claimed):
            continue
        more = users_needed(differences, claimed, POWER, LEVEL)
        names = f"{first.record.model_name} and {second.record.model_name}"
        text = (
            f"{names} differ by {abs(claimed):.4f} {first.record.metric} on the test of {len(differences):,} "
            f"users{_trainings(scores)}, which shows differences from {needed:.4f} on in "
            f"{POWER:.0%} of cases"
        )
        answer = "claim no difference" + (f", or test {more:,} users" if more is not None else "")
        yield Alarm(NAME, dataset, needed, text, SOURCE, answer)


def _trainings(scores: UserScores | None) -> str:
    number = _number(scores)
    return f" in means of {number} trainings" if number > 1 else ""


def _number(scores: UserScores | None) -> int:
    """The trainings whose mean some scores are."""
    return 1 if scores is None else int(scores.about.get(TRAININGS, 1))


def _differences(first: UserScores | None, second: UserScores | None, metric: str) -> Floats | None:
    """Between two models, of each user; None where users, metrics or kinds (one training, a mean) differ."""
    if first is None or second is None or not np.array_equal(first.users, second.users):
        return None
    if (_number(first) > 1) != (_number(second) > 1):
        return None
    if metric not in first.metrics or metric not in second.metrics:
        return None
    return first.metrics[metric] - second.metrics[metric]


def _leading(searches: Sequence[Searched]) -> tuple[Searched | None, Searched | None]:
    """The best two by validation, which is what they were chosen by, where all were tested."""
    if len(searches) < 2 or any(tested(one) is None for one in searches):
        return None, None
    sign = -1 if searches[0].record.maximize else 1
    first, second, *_ = sorted(searches, key=lambda one: sign * (validation(one) or 0.0))
    return first, second
