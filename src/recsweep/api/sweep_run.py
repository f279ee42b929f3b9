"""One way to run the studies of a sweep, for the command line and for Python."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from recsweep.api.baselines import beside, train_baselines
from recsweep.api.interrupted import told_how_to_go_on
from recsweep.api.notifying import told_to_others
from recsweep.api.seen import seen_by, write_sweep
from recsweep.api.slots import (
    go_on,
    prepare_workers,
    refuse_if_all_stopped,
    refuse_if_changed,
    settle_more,
    store_of,
)
from recsweep.api.studies import Studies, make_outputs
from recsweep.api.tracked import destinations, tracked
from recsweep.api.troubles import Troubles
from recsweep.common.errors import LimitReached, RecsweepError, UserError
from recsweep.planning.plan import StudyPlan, check_data
from recsweep.planning.remarks import remarks
from recsweep.sweeps.engine_table import RAY

if TYPE_CHECKING:
    from recsweep.report.results import StudyResult
    from recsweep.running.progress import Display
    from recsweep.running.supervisor import Supervisor
    from recsweep.tracking.destinations import Destination


@dataclass(frozen=True)
class SweepRun:
    """A run on the chosen studies of a sweep.

    Attributes:
        again: gives what runs them again, for the last line of a run that is stopped.
        best_params: start from the parameters of a file.
        restart: begin studies anew that were made from another definition.
        log: a file for the lines, beside the sweep's own.
        is_job: it is one job of a run, which was begun elsewhere; what is asked of that run holds for it.
    """

    studies: Studies
    again: Callable[[], str]
    best_params: str | None = None
    restart: bool = False
    log: Path | None = None
    is_job: bool = False

    def tune(self, show: Callable[[Path], None] | None) -> None:
        """Fill the slots of the studies, test their winners, write their files.

        Args:
            show: shows the summary, which is written; None where the studies are not all of the sweep.

        Raises:
            UserError: the data or what is in the store does not fit; nothing was run.
            SweepPaused: something that is no trial's fault; nothing is lost.
            StudiesFailed: some studies came to no end, the others did.
            KeyboardInterrupt: it was stopped; how to go on is its message.
        """
        chosen, every = self.studies.chosen, self.studies.all
        make_outputs(self.studies.sweep)
        prepare_workers(chosen, self.best_params)
        told = remarks(self.studies.sweep)
        to = destinations(self.studies.sweep.config, told.append)
        check_data(self.studies.sweep, tell=told.append)
        to_run = [refuse_if_changed(plan, self.best_params, self.restart) for plan in chosen]
        if self.is_job:
            refuse_if_all_stopped(every)
        else:
            go_on(chosen)
        going_on = told_how_to_go_on(chosen, every, self.again)
        shown = display_of(self.studies, "tune", self.log, told)
        with (
            shown as display,
            told_to_others(self.studies, self.again, display.line, is_job=self.is_job),
            going_on,
        ):
            troubles = Troubles(display, len(chosen))
            self._train(to_run, troubles, display, to)
            display.finish()
            if show is not None:
                for alarm in write_sweep(seen_by(self.studies)):
                    display.log(f"alarm: {alarm.line}")
                show(every[0].outputs.summary("md"))
            troubles.raise_any()

    def _train(
        self, to_run: list[int], troubles: Troubles, display: Display, to: Sequence[Destination]
    ) -> None:
        """The studies, and what stands beside them: by the same workers, but for Ray Tune's."""
        from recsweep.running.hire import workers_of
        from recsweep.running.supervisor import Supervisor

        config = self.studies.sweep.config
        popular = [] if self.is_job else beside(self.studies)
        with Supervisor(display, workers_of(config)) as supervisor:
            with tracked(self.studies.chosen, to, display) as said:
                self._each(to_run, troubles, supervisor, display, said)
            if config.search.engine != RAY:
                train_baselines(popular, display, supervisor)
        if config.search.engine == RAY:
            train_baselines(popular, display)

    def _each(
        self,
        to_run: list[int],
        troubles: Troubles,
        supervisor: Supervisor,
        display: Display,
        said: Callable[[], None],
    ) -> None:
        from recsweep.search.starts import begin

        chosen = self.studies.chosen
        for position, plan in enumerate(chosen, 1):
            if self.best_params is None and troubles.end_before(plan):
                continue
            display.sweep.later = sum(to_run[position:])
            with troubles.of(plan):
                with store_of(plan) as store:
                    begun, origin = begin(plan, store, self.best_params)
                supervisor.run_study(begun, position, len(chosen), restart=self.restart, origin=origin)
                settle_more(begun)
                write_and_tell(begun, display)
            said()


@contextmanager
def shown(
    studies: Studies, name: str, first: Sequence[str] = (), chosen: Sequence[StudyPlan] | None = None
) -> Iterator[Display]:
    """The display of a command that works on studies, which are sent to the sweep's trackers meanwhile.

    Args:
        name: of the command.
        first: its first lines.
        chosen: the studies; those that were asked for by default.
    """
    told = list(first)
    to = destinations(studies.sweep.config, told.append)
    plans = studies.chosen if chosen is None else chosen
    with display_of(studies, name, first=told) as display, tracked(plans, to, display):
        yield display


def display_of(studies: Studies, name: str, log: Path | None = None, first: Sequence[str] = ()) -> Display:
    """The display of a run on these studies; it writes the log that each run of the sweep continues.

    Args:
        name: of the command.
        first: its first lines.

    Raises:
        InputError: a log cannot be written.
    """
    from recsweep.running.progress import Display

    display = Display(studies.all[0].outputs.tune_log, log)
    chosen = ", ".join(plan.label for plan in studies.chosen)
    display.log(f"recsweep {name} begins as process {os.getpid()}: {chosen}")
    for line in first:
        display.line(line)
    return display


def write_and_tell(plan: StudyPlan, display: Display) -> None:
    """Write the files of a study that was run, and say what won.

    Raises:
        UserError: all of its trials failed.
        LimitReached: none has run.
    """
    from recsweep.alarms.raised import alarms_of_study
    from recsweep.report.results import read_result
    from recsweep.report.study_files import write_study
    from recsweep.report.tables import parameters_text
    from recsweep.search.begun import begun_studies

    with store_of(plan) as store:
        study = store.find_study(plan.name, plan.definition)
        begun = next(iter(begun_studies([plan], store)), None)
        if study is None or begun is None:
            raise RecsweepError(f"study {plan.name} is not in the store {plan.storage_url}")
        result = read_result(begun.record, plan.sweep.outputs, store)
    write_study(result)
    winner = result.winner
    if winner is None:
        _say_why_nothing_won(plan, result)
        return
    metric = plan.sweep.evaluation.metric
    test = (result.test or {}).get(metric.lower())
    display.line(
        f"{plan.label}: best {metric} {winner.score:.4f} on validation"
        + (f", {test:.4f} on test" if test is not None else "")
        + f", trial {winner.slot} of {len(result.trials)}"
        + (f": {parameters_text(result.parameters)}" if result.parameters else "")
    )
    config = plan.outputs.best_config(*plan.folder_names)
    display.line(f"train with it: recsweep train --config {config}")
    if plan.is_last:
        for alarm in alarms_of_study(result):
            display.line(f"alarm: {alarm.line}")


def _say_why_nothing_won(plan: StudyPlan, result: StudyResult) -> None:
    if not result.trials:
        raise LimitReached(
            f"{plan.label}: no trial has run; {result.ended.reason if result.ended else 'it is empty'}; "
            "raise the limit and run the same command again"
        )
    reasons = {trial.failure.message if trial.failure else "" for trial in result.trials}
    raise UserError(
        f"{plan.label}: all {len(result.trials)} trials failed; {'; '.join(sorted(reasons)[:3])}; "
        f"correct the cause, and pass --restart or a new sweep name; "
        f"see {plan.outputs.trials(*plan.folder_names)}"
    )
