"""Validation and test that put the models in different orders: one of them is ruled by chance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, groupby

from recsweep.alarms.alarm import Alarm, Searched, tested, trained_again, validation
from recsweep.statistics.kendall import kendall_tau

NAME = "order"
SOURCE = "Kendall 1938; Voorhees 2001"
ANSWER = "run make evidence for several seeds and splits, or hold out more"
ANSWER_AGAIN = "claim the pairs alone that recsweep compare tells apart, or hold out more"
"""Where that was done."""
LEAST_TAU = 0.8
"""Below, two orders of systems differ noticeably (Voorhees 2001, Evaluation by highly relevant documents)."""
LEAST_MODELS = 3


def disagreeing(searches: Sequence[Searched]) -> Iterator[Alarm]:
    """The data sets on which test orders the models otherwise than validation; the number is Kendall's tau.

    Looked at where all models of a data set are searched and tested; where all were trained again on several
    seeds, by the means over these.
    """
    for dataset, group in groupby(searches, lambda search: search.record.dataset_name):
        own = list(group)
        pairs = [(validation(search), tested(search)) for search in own]
        scores = [(a, b) for a, b in pairs if a is not None and b is not None]
        if len(scores) < max(LEAST_MODELS, len(own)):
            continue
        again = trained_again(own)
        if again:
            scores = [(search.over_seeds["validation"], search.over_seeds["test"]) for search in own]
        tau = kendall_tau(scores)
        if tau >= LEAST_TAU:
            continue
        turned = sum((a[0] - b[0]) * (a[1] - b[1]) < 0 for a, b in combinations(scores, 2))
        number = len(scores) * (len(scores) - 1) // 2
        text = (
            f"validation and test order the {len(scores)} models differently: {turned} of {number} pairs are "
            f"the other way round, Kendall's tau {tau:.2f}{', by their means over seeds' if again else ''}"
        )
        yield Alarm(NAME, dataset, tau, text, SOURCE, ANSWER_AGAIN if again else ANSWER)
