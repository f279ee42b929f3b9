"""The alarms of a sweep, of its results in the store and of the scores of users beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import groupby

import numpy as np

from recsweep.alarms.alarm import Alarm, Searched, about, trained_again
from recsweep.alarms.power import TRAININGS
from recsweep.alarms.raised import alarms_of_sweep
from recsweep.common.errors import InputError
from recsweep.planning.baseline import POP
from recsweep.report.results import StudyResult
from recsweep.report.user_scores import NoScores, scores_of, tested
from recsweep.statistics.users import UserScores

_Look = Callable[[StudyResult], UserScores | None]
PAGE = "docs/explanation/alarms.md"
_SAME = 1e-5
"""A metric of the store, and the mean over the users of a file, where both are of one test."""


def raised(results: Sequence[StudyResult], baselines: Sequence[StudyResult] = ()) -> list[Alarm]:
    """All alarms of a sweep.

    Args:
        results: the last phase of each model with those before it (`tables.summed`).
        baselines: the studies that train `Pop` on its data sets.
    """
    ordered = sorted(results, key=_datasets(results))
    trained = [*baselines, *(one for one in ordered if one.record.model.model == POP)]
    pops: dict[str, Searched] = {one.record.dataset_name: one for one in trained if one.finished}
    users = {about(one): partial(look, one) for one, look in _looks(ordered)}
    return alarms_of_sweep(ordered, pops, lambda search: users[about(search)]())


def _looks(ordered: Sequence[StudyResult]) -> Iterator[tuple[StudyResult, _Look]]:
    """How the users' scores of each are found: where all of a data set are there over seeds, as means."""
    for _, group in groupby(ordered, lambda one: one.record.dataset_name):
        own = list(group)
        look = _mean_users_of if trained_again(own) else _users_of
        yield from ((one, look) for one in own)


def _datasets(results: Sequence[StudyResult]) -> Callable[[StudyResult], int]:
    """Sorts by data set, in the order in which they come first."""
    names = list(dict.fromkeys(result.record.dataset_name for result in results))
    return lambda result: names.index(result.record.dataset_name)


def _users_of(result: StudyResult) -> UserScores | None:
    """The scores of each user of a winner; None where they are not there, or are those of another test."""
    metric = result.record.metric.lower()
    told = (result.test or {}).get(metric)
    try:
        found = scores_of(result.record, result.winner, [result.root])
    except (NoScores, InputError):
        return None
    if told is None or abs(found.means().get(metric, told + 1) - told) > _SAME:
        return None
    return found


def _mean_users_of(result: StudyResult) -> UserScores | None:
    """The mean scores of each user over trainings on the search's own split; of fewer than two, its own."""
    metric, record = result.record.metric.lower(), result.record
    try:
        found = tested(record, result.winner, [result.root])
    except (NoScores, InputError):
        return None
    one_split = not record.dataset.split.drawn  # it is the same, whatever its seed
    runs = [scores for split, scores in found.evidence if one_split or split == record.search_split]
    if len(runs) < 2:
        return _users_of(result)
    users = runs[0].users
    if not all(metric in one.metrics and np.array_equal(one.users, users) for one in runs):
        return None
    mean = np.mean([one.metrics[metric] for one in runs], axis=0)
    return UserScores(users, {metric: mean}, {TRAININGS: len(runs)})


def of_row(result: StudyResult, alarms: Sequence[Alarm]) -> list[Alarm]:
    """The alarms that concern a model on a data set: its own, its data set's, and the sweep's."""
    record = result.record
    concerned = {about(result), record.dataset_name, record.sweep_name}
    return [alarm for alarm in alarms if alarm.about in concerned]


def alarm_lines(alarms: Sequence[Alarm]) -> list[str]:
    """A heading and a line for each; nothing where there is none."""
    if not alarms:
        return []
    number = "1 alarm" if len(alarms) == 1 else f"{len(alarms)} alarms"
    return [f"{number} (what they mean: {PAGE}):", *(alarm.line for alarm in alarms)]
