"""Commands that run studies: tune, open, worker, evaluate."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from recsweep.api.interrupted import told_how_to_go_on
from recsweep.api.slots import (
    go_on,
    prepare_workers,
    refuse_if_all_stopped,
    require_closed,
    require_device,
    require_no_scheduler,
    require_place,
    require_ray,
    store_of,
)
from recsweep.api.studies import Studies, make_outputs
from recsweep.api.sweep_run import SweepRun, shown, write_and_tell
from recsweep.api.troubles import Troubles
from recsweep.cli.budgets import announce, with_more
from recsweep.cli.declare import RUN, command
from recsweep.cli.estimates import Estimating
from recsweep.cli.measuring import show_measured
from recsweep.cli.options import as_log, is_whole, say_aside, studies_of
from recsweep.cli.typed import is_job, typed
from recsweep.common.errors import InputError
from recsweep.common.files import counted
from recsweep.planning.plan import StudyPlan, check_data
from recsweep.planning.remarks import remarks
from recsweep.running.aside import show_markdown
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
    *("best_params", "more", "restart", "dry_run", "estimate", "log"),
)
def tune(
    best_params: str | None,
    more: int | None,
    restart: bool,
    dry_run: bool,
    estimate: int,
    log: str | None,
    **options: Any,
) -> None:
    """Run the studies of a sweep: fill their slots, test their winners, write their files."""
    log_file = as_log(log)
    asked_of = Estimating.asked(options, estimate, dry_run=dry_run)
    studies = studies_of(options)
    chosen = studies.chosen
    require_ray(chosen)
    require_place(studies.sweep)
    if not dry_run:
        require_device(chosen, best_params, sure=more is not None)
    if more is not None:
        chosen = with_more(chosen, more, best_params, record=not dry_run)
    if dry_run:
        for remark in remarks(studies.sweep):
            say_aside(remark)
        check_data(studies.sweep, tell=say_aside)
        announce(chosen, best_params)
        asked_of.say(chosen, best_params)
        return
    run = SweepRun(replace(studies, chosen=chosen), typed, best_params, restart, log_file, is_job())
    run.tune(show_summary if is_whole(options) else None)


def show_summary(file: Path) -> None:
    """Show the summary of a sweep, as a table on a terminal."""
    show_markdown(file.read_text(encoding="utf-8"))


@command(
    RUN,
    "recsweep evaluate --dataset ml-100k --model GRU4Rec",
    *_ALL,
    *("metrics", "by", "trained", "json", "csv"),
)
def evaluate(
    metrics: str | None, by: str | None, trained: str | None, json: bool, csv: bool, **options: Any
) -> None:
    """Evaluate the winners of complete studies on the test split, once.

    The scores of each user are written beside the results; where they are lost, they are made again of the
    weights that were kept. With --metrics or --by: other metrics of what is trained already, of all or by
    groups; nothing is trained.
    """
    if metrics or by or trained:
        show_measured({**options, "trained": trained}, metrics, by, json=json, csv=csv)
        return
    studies = studies_of(options)
    chosen = [plan for plan in studies.chosen if plan.is_last]
    for plan in chosen:
        require_closed(plan)
    require_ray(chosen)
    require_place(studies.sweep)
    require_device(chosen, sure=True)
    from recsweep.running.hire import workers_of
    from recsweep.running.supervisor import Supervisor
    from recsweep.search.starts import as_begun

    going_on = told_how_to_go_on(chosen, studies.all, typed)
    workers = workers_of(studies.sweep.config)
    display_of = shown(studies, "evaluate", chosen=chosen)
    with display_of as display, going_on, Supervisor(display, workers) as supervisor:
        troubles = Troubles(display, len(chosen))
        for position, plan in enumerate(chosen, 1):
            with troubles.of(plan):
                with store_of(plan) as store:
                    begun = as_begun(plan, store)
                tested = supervisor.run_study(begun, position, len(chosen), users=True)
                write_and_tell(begun, display)
                for name, value in (tested or {}).items():
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
    studies = studies_of(options)
    for line in opened(studies, studies.chosen, best_params):
        click.echo(line)


def opened(studies: Studies, chosen: list[StudyPlan], best_params: str | None) -> Iterator[str]:
    """Open studies of a sweep, with their slots; a line on each."""
    from recsweep.search.starts import begin, open_study

    make_outputs(studies.sweep)
    check_data(studies.sweep, tell=say_aside)
    if is_job():
        refuse_if_all_stopped(studies.all)
    else:
        go_on(chosen)
    for plan in chosen:
        with store_of(plan) as store:
            begun, origin = begin(plan, store, best_params)
            study = open_study(begun, store, origin=origin)
            waiting = study.ensure_slots(begun.budget)
        yield f"{begun.name}: {waiting} of {counted(begun.budget - begun.inherits, 'trial')} to run"


@command(RUN, "recsweep worker --storage postgresql+psycopg://me@host/sweeps --workers 2", *_ALL, "study")
def worker(study: str | None, **options: Any) -> None:
    """Join a sweep that runs elsewhere: fill the slots that wait in its store, then end."""
    studies = studies_of(options)
    chosen = asked(studies.chosen, study)
    require_no_scheduler(chosen)
    require_ray(chosen)
    require_place(studies.sweep)
    require_device(chosen, sure=True)
    make_outputs(studies.sweep)
    prepare_workers(chosen)
    refuse_if_all_stopped(studies.all if is_job() else [])
    told = remarks(studies.sweep)
    check_data(studies.sweep, tell=told.append)
    from recsweep.running.hire import workers_of
    from recsweep.running.supervisor import Supervisor

    going_on = told_how_to_go_on(chosen, studies.all, typed)
    display_of = shown(studies, "worker", told, chosen)
    workers = workers_of(studies.sweep.config, joining=True)
    with display_of as display, going_on, Supervisor(display, workers) as supervisor:
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


def asked(chosen: list[StudyPlan], study: str | None) -> list[StudyPlan]:
    """The study of that name; all of them, where none is named.

    Raises:
        InputError: there is none.
    """
    found = [plan for plan in chosen if not study or plan.name == study]
    if study and not found:
        names = [plan.name for plan in chosen]
        raise InputError("--study", f"the sweep has no study {study}", nearest(study, names))
    return found


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
    """True where a study was opened: it is there a moment before its slots are."""
    study = store.find_study(name)
    return study is not None and any(not trial.inherited for trial in study.trials())


COMMANDS = [tune, open_, worker, evaluate]
