"""A sweep as far as the store has it, and the files that are made of that."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from recsweep.api.studies import Studies
from recsweep.common.paths import Outputs, is_made
from recsweep.planning.baseline import baselines
from recsweep.planning.plan import StudyPlan
from recsweep.running.aside import say_aside

if TYPE_CHECKING:
    from recsweep.alarms.alarm import Alarm
    from recsweep.report.results import StudyResult
    from recsweep.study import StudyRecord


@dataclass(frozen=True)
class Seen:
    """One sweep, as far as the store has it.

    Attributes:
        name: the sweep's.
        root: the folder of all outputs.
        results: of the studies that are in the store, those with a name of the user's last.
        planned: every study of the sweep by its own name, begun or not.
        asked: the studies that were asked for.
        baselines: the results of the studies that train `Pop` on its data sets.
    """

    name: str
    root: Path
    results: list[StudyResult]
    planned: list[StudyRecord] = field(default_factory=list)
    asked: list[StudyRecord] = field(default_factory=list)
    baselines: list[StudyResult] = field(default_factory=list)

    @property
    def outputs(self) -> Outputs:
        return Outputs(self.root, self.name)

    @property
    def chosen(self) -> set[str]:
        """The names of the studies that were asked for."""
        return {record.name for record in self.asked}

    @property
    def not_there(self) -> list[StudyRecord]:
        """Studies that were asked for and are not in the store."""
        found = {result.record.name for result in self.results}
        return [record for record in self.asked if record.name not in found]

    @property
    def of_all(self) -> list[StudyResult]:
        """The results of all studies of the sweep, in its order, also of those that are not begun."""
        from recsweep.report.results import with_missing

        return with_missing(self.results, self.planned, self.root)

    @property
    def missing(self) -> list[StudyRecord]:
        """Studies of the sweep that are not in the store."""
        found = {result.record.name for result in self.results}
        return [record for record in self.planned if record.name not in found]


def seen_by(studies: Studies) -> Seen:
    """The studies of a sweep file."""
    # A study that has another name is shown beside the one of its model, not instead.
    own = [replace(plan, study_name=None) for plan in studies.all]
    names = {plan.name for plan in own}
    named = [plan for plan in studies.chosen if plan.name not in names]
    return Seen(
        studies.sweep.config.sweep,
        studies.sweep.config.outputs,
        results_of([*own, *named]),
        [plan.record() for plan in own],
        [plan.record() for plan in studies.chosen],
        results_of(baselines(studies.all)),
    )


def results_of(plans: Sequence[StudyPlan]) -> list[StudyResult]:
    """The results in the store of these studies of a sweep. Makes no store where there is none."""
    if not plans or not is_made(plans[0].storage_url):
        return []
    from recsweep.report.results import read_result
    from recsweep.search.begun import begun_studies
    from recsweep.study import Store

    root = plans[0].sweep.outputs
    with closing(Store(plans[0].storage_url, tell=say_aside)) as store:
        return [
            replace(read_result(begun.record, root, store), moved=begun.moved)
            for begun in begun_studies(plans, store)
        ]


def write_sweep(seen: Seen) -> list[Alarm]:
    """Rebuild every file of a sweep from the store.

    Returns:
        The alarms of the sweep.
    """
    from recsweep.report.study_files import write_study
    from recsweep.report.summary import write_summary

    for result in seen.results:
        write_study(result)
    if seen.planned:
        return write_summary(seen.outputs, seen.of_all, seen.baselines)
    return []
