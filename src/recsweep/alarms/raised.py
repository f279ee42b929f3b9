"""All alarms of a study, of a data set, of a sweep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from recsweep.alarms.agreement import disagreeing
from recsweep.alarms.alarm import Alarm, Searched
from recsweep.alarms.budgets import unequal_budgets
from recsweep.alarms.convergence import found_late
from recsweep.alarms.data import leaking, repeating, sampled
from recsweep.alarms.edges import at_edges
from recsweep.alarms.epochs import best_at_once, stopped_by_epochs
from recsweep.alarms.popularity import no_better_than_popular
from recsweep.alarms.power import UsersOf, too_small
from recsweep.recbole_api.settings import eval_args


def alarms_of_study(search: Searched) -> list[Alarm]:
    """The alarms that a study raises by itself; none while it goes on, but for ranges."""
    looks = (at_edges, stopped_by_epochs, best_at_once, found_late)
    return [alarm for look in looks for alarm in look(search)]


def alarms_of_sweep(
    searches: Sequence[Searched],
    baselines: Mapping[str, Searched] | None = None,
    users: UsersOf = lambda search: None,
) -> list[Alarm]:
    """All alarms of a sweep: of its budgets, its data, its models, and of how these compare.

    Args:
        searches: the models, data set by data set: the last phase of each, with those before.
        baselines: `Pop` on each data set.
        users: gives the scores of each user of a tested model.
    """
    found = list(unequal_budgets(searches)) if searches else []
    found += _of_data(searches)
    found += no_better_than_popular(searches, baselines or {})
    found += [alarm for search in searches for alarm in alarms_of_study(search)]
    found += disagreeing(searches)
    found += too_small(searches, users)
    return found


def _of_data(searches: Sequence[Searched]) -> Iterator[Alarm]:
    """Of each data set once, though several studies are on it."""
    seen: dict[str, Alarm] = {}
    for search in searches:
        record = search.record
        dataset, facts = record.dataset_name, record.details.counts
        for alarm in (
            *sampled(dataset, eval_args(record.dataset)["mode"]),
            *leaking(dataset, record.dataset.split.text, facts),
            *repeating(dataset, facts),
        ):
            if f"{alarm.name} {dataset}" not in seen:
                seen[f"{alarm.name} {dataset}"] = alarm
                yield alarm
