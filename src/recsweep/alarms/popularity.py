"""A model that is no better than the most popular items, the same for everybody."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from recsweep.alarms.alarm import Alarm, Searched, about, tested, validation

NAME = "popularity"
SOURCE = "Ferrari Dacrema, Cremonesi and Jannach 2019; Ji, Sun, Zhang and Li 2020"
ANSWER = "look at its learning curves, learning rate and space, or say that nothing was learned"


def no_better_than_popular(
    searches: Sequence[Searched], baselines: Mapping[str, Searched]
) -> Iterator[Alarm]:
    """The models that `Pop` is as good as, on validation or where both were tested.

    Args:
        baselines: `Pop` by data set; a data set without one raises nothing.
    """
    for search in searches:
        pop = baselines.get(search.record.dataset_name)
        if pop is None or search.record.model_name == pop.record.model_name or not search.finished:
            continue
        sign = 1 if search.record.maximize else -1
        for part, of in (("validation", validation), ("test", tested)):
            own, theirs = of(search), of(pop)
            if own is None or theirs is None or sign * (own - theirs) > 0:
                continue
            metric = search.record.metric
            text = f"{metric} {own:.4f} on {part} is no better than the most popular items' {theirs:.4f}"
            yield Alarm(NAME, about(search), own - theirs, text, SOURCE, ANSWER)
            break
