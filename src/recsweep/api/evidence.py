"""Evidence of a sweep's winners: their studies planned, trained and written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from recsweep.api.interrupted import told_how_to_go_on
from recsweep.api.seen import results_of, seen_by, write_sweep
from recsweep.api.slots import go_on, open_slots, prepare_workers, refuse_if_all_stopped, store_of
from recsweep.api.studies import Studies, make_outputs
from recsweep.api.sweep_run import display_of
from recsweep.api.troubles import Troubles
from recsweep.common.errors import RecsweepError, UserError
from recsweep.common.files import counted
from recsweep.common.paths import is_made
from recsweep.planning.evidence import EvidencePlan, is_random
from recsweep.planning.plan import StudyPlan, check_data

if TYPE_CHECKING:
    from recsweep.running.progress import Display


@dataclass(frozen=True)
class EvidenceRun:
    """A run that trains the best configurations of chosen studies again.

    Attributes:
        again: gives what runs it again, for the last line of a run that is stopped.
        log: a file for the lines, beside the sweep's own.
        is_job: it is one job of a run, which was begun elsewhere; what is asked of that run holds for it.
    """

    studies: Studies
    again: Callable[[], str]
    log: Path | None = None
    is_job: bool = False

    def run(self, show: Callable[[Path], None] | None) -> None:
        """Train what is missing, test each training once, and write what it comes to.

        Args:
            show: shows the summary, which is written; None where the studies are not all of the sweep.

        Raises:
            UserError: a search has not ended, or has found nothing; nothing was trained.
            SweepPaused: something that is no trial's fault; nothing is lost.
            StudiesFailed: some studies came to no end, the others did.
            KeyboardInterrupt: it was stopped; how to go on is its message.
        """
        make_outputs(self.studies.sweep)
        searches = last_phases(self.studies.chosen)
        plans = planned(searches)
        check_data(self.studies.sweep)
        prepare_workers(plans)
        if self.is_job:
            refuse_if_all_stopped(plans)
        else:
            go_on(plans)
        going_on = told_how_to_go_on(list(plans), self.studies.all, self.again)
        with display_of(self.studies, "evidence", self.log, left_out(plans)) as display, going_on:
            troubles = Troubles(display, len(plans))
            self._each(searches, plans, troubles, display)
            display.finish()
            if show is not None:
                write_sweep(seen_by(self.studies))
                show(self.studies.all[0].outputs.summary("md"))
            troubles.raise_any()

    def _each(
        self,
        searches: Sequence[StudyPlan],
        plans: Sequence[EvidencePlan],
        troubles: Troubles,
        display: Display,
    ) -> None:
        from recsweep.running.hire import workers_of
        from recsweep.running.supervisor import Supervisor
        from recsweep.search.evidence import open_evidence

        to_run = [open_slots(plan)[1] for plan in plans]
        with Supervisor(display, workers_of(plans[0].sweep)) as supervisor:
            for position, (search, plan) in enumerate(zip(searches, plans, strict=True), 1):
                display.sweep.later = sum(to_run[position:])
                with troubles.of(plan):
                    with store_of(plan) as store:
                        opened = open_evidence(plan, store)
                    supervisor.run_study(opened, position, len(plans))
                    _write_and_tell(search, opened, display)


def last_phases(chosen: Sequence[StudyPlan]) -> list[StudyPlan]:
    """The studies that decide on a model's winner.

    Raises:
        UserError: only earlier phases were asked for.
    """
    found = [plan for plan in chosen if plan.is_last]
    if not found:
        names = ", ".join(plan.label for plan in chosen)
        raise UserError(
            f"{names}: evidence is of a model's winner, which its last phase finds; "
            f"leave --phase out, or give {chosen[0].chain[-1]}"
        )
    return found


def planned(searches: Sequence[StudyPlan]) -> list[EvidencePlan]:
    """The study of evidence of each of these searches. Opens no study, and makes no store.

    Raises:
        UserError: a search has not ended, or has found nothing.
    """
    from recsweep.search.evidence import wanted_evidence

    found = []
    for search in searches:
        if not is_made(search.storage_url):
            raise UserError(
                f"{search.label}: nothing was searched yet, and evidence is of the best; "
                "run `recsweep tune` first"
            )
        with store_of(search) as store:
            found.append(wanted_evidence(search, store))
    return found


def announcements(searches: Sequence[StudyPlan], plans: Sequence[EvidencePlan]) -> list[str]:
    """Lines on what would be trained, study by study, and in all."""
    lines, total = [], 0
    for search, plan in zip(searches, plans, strict=True):
        budget, missing = open_slots(plan)
        total += missing
        lines.append(f"{search.label}: {missing} of {counted(budget, 'training')} to run, {plan.how}")
    return [*lines, *left_out(plans), f"{counted(len(plans), 'study')}, {counted(total, 'training')} to run"]


def left_out(plans: Sequence[EvidencePlan]) -> list[str]:
    """A line for each data set that has no split seeds, and why."""
    from recsweep.report.summary_evidence import no_splits

    single = {plan.dataset_name: plan.dataset for plan in plans if not is_random(plan.dataset)}
    return [f"{name}: {no_splits(dataset)}" for name, dataset in single.items()]


def _write_and_tell(search: StudyPlan, plan: EvidencePlan, display: Display) -> None:
    """Write the files of a search and of its evidence, and say what the winner comes to.

    Raises:
        UserError: all trainings failed.
    """
    from recsweep.report.evidence import TEST, VALIDATION
    from recsweep.report.study_files import write_study

    result = next(iter(results_of([search])), None)
    if result is None:
        raise RecsweepError(f"study {search.name} is not in the store {search.storage_url}")
    write_study(result)
    best = result.best_evidence
    if best is None:
        raise UserError(
            f"{plan.label}: all {plan.budget} trainings failed; correct the cause, and see "
            f"{plan.outputs.trouble(*plan.folder_names).parent}"
        )
    metric = search.evaluation.metric
    for part in (VALIDATION, TEST):
        measure = best.measure(part, metric)
        if measure is not None:
            display.line(f"{search.label}: {part} {metric} {measure.text()}")
