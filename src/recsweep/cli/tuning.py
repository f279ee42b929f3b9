"""Commands that run studies: tune, open, worker, evaluate."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from recsweep.cli.budgets import announce, open_slots, settle_more, store_of, with_more
from recsweep.cli.declare import RUN, command
from recsweep.cli.interrupted import told_how_to_go_on
from recsweep.cli.options import Studies, as_log, make_outputs, say_aside, studies_of
from recsweep.cli.seen import seen_by, write_sweep
from recsweep.cli.stop import go_on
from recsweep.cli.troubles import Troubles
from recsweep.common.devices import is_named, require
from recsweep.common.errors import InputError, LimitReached, RecsweepError, StudyChanged, UserError
from recsweep.common.files import counted
from recsweep.planning.plan import StudyPlan, check_data
from recsweep.planning.remarks import remarks
from recsweep.running.progress import Display, show_markdown
from recsweep.sweeps.documents import nearest
from recsweep.sweeps.options import DEFINING, OF_A_STUDY, STORE, WHICH, WORKING

OPENING_SECONDS = 60.0
"""How long a worker waits for the next phase of a study to be opened."""
_POLL_SECONDS = 1.0

if TYPE_CHECKING:
    from recsweep.study import Store


_ALL = (*WHICH, *OF_A_STUDY, *DEFINING, *WORKING, *STORE)


@command(
    RUN,
    "recsweep tune --model SASRec --dataset ml-100k --max-evals 50",
    *_ALL,
    *("best_params", "more", "restart", "dry_run", "log"),
)
def tune(
    best_params: str | None, more: int | None, restart: bool, dry_run: bool, log: str | None, **options: Any
) -> None:
    """Run the studies of a sweep: fill their slots, test their winners, write their files."""
    log_file = as_log(log)
    studies = studies_of(options)
    chosen = studies.chosen
    if not dry_run:
        _require_device(chosen, best_params, sure=more is not None)
    if more is not None:
        chosen = with_more(chosen, more, best_params, record=not dry_run)
    if dry_run:
        for remark in remarks(studies.sweep):
            say_aside(remark)
        check_data(studies.sweep, tell=say_aside)
        announce(chosen, best_params)
        return
    make_outputs(studies.sweep)
    told = remarks(studies.sweep)
    check_data(studies.sweep, tell=told.append)
    to_run = [_refuse_if_changed(plan, best_params, restart) for plan in chosen]
    go_on(chosen)
    with _display(studies, log_file, told) as display, told_how_to_go_on(chosen, studies.all):
        troubles = Troubles(display, len(chosen))
        _tune_studies(chosen, to_run, troubles, display, best_params, restart)
        display.finish()
        if not any(options[name] for name in ("dataset", "model", "phase", "study_name")):
            write_sweep(seen_by(studies))
            show_markdown(studies.all[0].outputs.summary("md").read_text(encoding="utf-8"))
        troubles.raise_any()


def _require_device(plans: list[StudyPlan], best_params: str | None = None, *, sure: bool = False) -> None:
    """Refuse a device that is not there where something would be trained on it, before a store is made.

    Args:
        sure: something is trained or tested, whatever the studies say.
    """
    device = plans[0].sweep.training.device if plans else "auto"
    if is_named(device) and (sure or any(_has_trials_to_run(plan, best_params) for plan in plans)):
        require(device)


def _has_trials_to_run(plan: StudyPlan, best_params: str | None) -> bool:
    try:
        return open_slots(plan, best_params)[1] > 0
    except StudyChanged:  # refused later, or begun anew
        return True


def _refuse_if_changed(plan: StudyPlan, best_params: str | None, restart: bool) -> int:
    """What is known of a study before the first trial of any is refused before it.

    Returns:
        How many of its trials are to run.

    Raises:
        UserError: its trials are of another definition.
    """
    try:
        return open_slots(plan, best_params)[1]
    except StudyChanged:
        if not restart:
            raise
        return plan.budget


def _display(studies: Studies, log: Path | None = None, first: Sequence[str] = ()) -> Display:
    """What shows a run on these studies, and writes the log that each run of the sweep continues.

    Args:
        first: its first lines.

    Raises:
        InputError: a log cannot be written.
    """
    display = Display(studies.all[0].outputs.tune_log, log)
    typed = click.get_current_context().info_name
    chosen = ", ".join(plan.label for plan in studies.chosen)
    display.log(f"recsweep {typed} begins as process {os.getpid()}: {chosen}")
    for line in first:
        display.line(line)
    return display


def _tune_studies(
    chosen: list[StudyPlan],
    to_run: list[int],
    troubles: Troubles,
    display: Display,
    best_params: str | None,
    restart: bool,
) -> None:
    from recsweep.running.supervisor import Supervisor
    from recsweep.search.starts import begin

    with Supervisor(display) as supervisor:
        for position, plan in enumerate(chosen, 1):
            if best_params is None and troubles.end_before(plan):
                continue
            display.sweep.later = sum(to_run[position:])
            with troubles.of(plan):
                with store_of(plan) as store:
                    begun, origin = begin(plan, store, best_params)
                supervisor.run_study(begun, position, len(chosen), restart=restart, origin=origin)
                settle_more(begun)
                _write_and_tell(begun, display)


def _write_and_tell(plan: StudyPlan, display: Display) -> None:
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
        + f", trial {winner.slot} of {len(result.trials)}: {parameters_text(result.parameters)}"
    )
    config = plan.outputs.best_config(*plan.place)
    display.line(f"train with it: recsweep train --config {config}")


def _say_why_nothing_won(plan: StudyPlan, result: Any) -> None:
    if not result.trials:
        raise LimitReached(
            f"{plan.label}: no trial has run; {result.ended.reason if result.ended else 'it is empty'}; "
            "raise the limit and run the same command again"
        )
    reasons = {trial.failure.message if trial.failure else "" for trial in result.trials}
    raise UserError(
        f"{plan.label}: all {len(result.trials)} trials failed; {'; '.join(sorted(reasons)[:3])}; "
        f"correct the cause, and pass --restart or a new sweep name; "
        f"see {plan.outputs.trials(*plan.place)}"
    )


@command(RUN, "recsweep evaluate --dataset ml-100k --model GRU4Rec", *_ALL)
def evaluate(**options: Any) -> None:
    """Evaluate the winners of complete studies on the test split, once."""
    studies = studies_of(options)
    chosen = [plan for plan in studies.chosen if plan.is_last]
    for plan in chosen:
        budget, missing = open_slots(plan, as_opened=True)
        if missing:
            raise UserError(
                f"{plan.label}: {missing} of {budget} trials are still to run; "
                f"the test split stays unseen until the study is closed; run `recsweep tune` first"
            )
    _require_device(chosen, sure=True)
    from recsweep.running.supervisor import Supervisor
    from recsweep.search.starts import as_begun

    going_on = told_how_to_go_on(chosen, studies.all)
    with _display(studies) as display, going_on, Supervisor(display) as supervisor:
        troubles = Troubles(display, len(chosen))
        for position, plan in enumerate(chosen, 1):
            with troubles.of(plan):
                with store_of(plan) as store:
                    begun = as_begun(plan, store)
                metrics = supervisor.run_study(begun, position, len(chosen))
                _write_and_tell(begun, display)
                for name, value in (metrics or {}).items():
                    click.echo(f"{plan.label} test {name} {value:.4f}")
        troubles.raise_any()


@command(
    RUN,
    "recsweep open --storage postgresql+psycopg://me@host/sweeps",
    *WHICH,
    *OF_A_STUDY,
    *DEFINING,
    *STORE,
    "best_params",
    name="open",
)
def open_(best_params: str | None, **options: Any) -> None:
    """Put the studies of a sweep and their slots into the store, for workers to fill; train nothing."""
    from recsweep.search.starts import begin, open_study

    studies = studies_of(options)
    make_outputs(studies.sweep)
    check_data(studies.sweep, tell=say_aside)
    go_on(studies.chosen)
    for plan in studies.chosen:
        with store_of(plan) as store:
            begun, origin = begin(plan, store, best_params)
            study = open_study(begun, store, origin=origin)
            waiting = study.ensure_slots(begun.budget)
        click.echo(f"{begun.name}: {waiting} of {counted(begun.budget - begun.inherits, 'trial')} to run")


@command(RUN, "recsweep worker --storage postgresql+psycopg://me@host/sweeps --workers 2", *_ALL, "study")
def worker(study: str | None, **options: Any) -> None:
    """Join a sweep that runs elsewhere: fill the slots that wait in its store, then end."""
    studies = studies_of(options)
    chosen = studies.chosen
    if study:
        chosen = [plan for plan in chosen if plan.name == study]
        if not chosen:
            known = [plan.name for plan in studies.chosen]
            raise InputError("--study", f"the sweep has no study {study}", nearest(study, known))
    _require_device(chosen, sure=True)
    make_outputs(studies.sweep)
    told = remarks(studies.sweep)
    check_data(studies.sweep, tell=told.append)
    from recsweep.running.supervisor import Supervisor

    going_on = told_how_to_go_on(chosen, studies.all)
    with _display(studies, first=told) as display, going_on, Supervisor(display) as supervisor:
        troubles = Troubles(display, len(chosen))
        for position, plan in enumerate(chosen, 1):
            with troubles.of(plan):
                with store_of(plan) as store:
                    begun = _opened(plan, store, alone=len(chosen) == 1)
                if begun is None:
                    display.line(f"{plan.label}: not open yet")
                else:
                    supervisor.join_study(begun, position, len(chosen))
        troubles.raise_any()


def _opened(plan: StudyPlan, store: Store, *, alone: bool) -> StudyPlan | None:
    """A study as it was opened, with its start; None where it was not.

    Raises:
        UserError: it was not, and it is the only one that was asked for.
    """
    from recsweep.search.starts import as_begun, begin

    deadline = time.monotonic() + OPENING_SECONDS
    while not _has_slots(plan.name, store):
        # The sweep opens a phase when the one before it is closed, which may be at this moment.
        before = replace(plan, phase=plan.previous, study_name=None).name if plan.previous else None
        if before is None or store.find_study(before) is None or time.monotonic() >= deadline:
            return begin(plan, store)[0] if alone else None
        time.sleep(_POLL_SECONDS)
    return as_begun(plan, store)


def _has_slots(name: str, store: Store) -> bool:
    """Whether a study was opened: it is there a moment before its slots are."""
    study = store.find_study(name)
    return study is not None and any(not trial.inherited for trial in study.trials())


COMMANDS = [tune, open_, worker, evaluate]
