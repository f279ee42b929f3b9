"""`Pop` beside the models of a sweep: trained and tested once on each data set, counted nowhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from recsweep.api.seen import results_of
from recsweep.api.slots import go_on, store_of
from recsweep.api.studies import Studies
from recsweep.common.errors import RecsweepError, StudyChanged, SweepPaused
from recsweep.common.paths import is_made
from recsweep.planning.baseline import BaselinePlan, baselines

if TYPE_CHECKING:
    from recsweep.running.progress import Display
    from recsweep.running.supervisor import Supervisor


def beside(studies: Studies) -> list[BaselinePlan]:
    """The baselines of the data sets whose studies are all asked for, under their own names."""
    chosen = {id(plan) for plan in studies.chosen}
    whole = {plan.dataset_name for plan in studies.all} - {
        plan.dataset_name for plan in studies.all if id(plan) not in chosen or plan.study_name
    }
    return [plan for plan in baselines(studies.all) if plan.dataset_name in whole]


def train_baselines(
    plans: Sequence[BaselinePlan], display: Display, supervisor: Supervisor | None = None
) -> None:
    """Train and test those that are missing, and write their files; one that cannot be trained is a line.

    Args:
        supervisor: one whose workers are there already; None: others are started.

    Raises:
        SweepPaused: something that is no trial's fault; nothing is lost.
    """
    missing = [plan for plan in plans if not _is_there(plan)]
    if not missing:
        return
    from recsweep.running.hire import workers_of
    from recsweep.running.supervisor import Supervisor

    go_on(missing)
    if supervisor is not None:
        _train(missing, display, supervisor)
        return
    with Supervisor(display, workers_of(missing[0].sweep)) as own:
        _train(missing, display, own)


def _train(plans: Sequence[BaselinePlan], display: Display, supervisor: Supervisor) -> None:
    for position, plan in enumerate(plans, 1):
        try:
            supervisor.run_study(plan, position, len(plans), restart=True)
            display.line(_written(plan))
        except SweepPaused:
            raise
        except RecsweepError as error:
            display.line(f"{plan.label}: {error}; there is no baseline to compare with")


def _is_there(plan: BaselinePlan) -> bool:
    """True where it was trained and tested already, as it would be now."""
    if not is_made(plan.storage_url):
        return False
    with store_of(plan) as store:
        try:
            study = store.find_study(plan.name, plan.definition)
        except StudyChanged:
            return False
        results = study.results() if study is not None else []
        return bool(study and results and study.test_metrics(results[0]))


def _written(plan: BaselinePlan) -> str:
    """Write the files of a baseline; a line on what it came to."""
    from recsweep.report.study_files import write_study
    from recsweep.report.summary_notes import popular

    (result,) = results_of([plan])
    write_study(result)
    return next(popular([result]), f"{plan.label}: its trial failed; there is no baseline to compare with")
