"""`recsweep slurm`: the studies of a sweep as jobs of SLURM."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, cast

import click

from recsweep.api.slots import require_no_scheduler
from recsweep.api.slurm_jobs import SlurmJob, closing_of, fitted, partition_of, submit, workers_of
from recsweep.api.studies import Studies
from recsweep.cli.declare import RUN, command, flags_of, variables_of
from recsweep.cli.options import studies_of
from recsweep.cli.tuning import asked, opened
from recsweep.cli.typed import TYPED, typed
from recsweep.common.files import counted
from recsweep.planning.plan import StudyPlan
from recsweep.sweeps.options import DEFINING, OF_A_STUDY, STORE, WHICH, WORKING, variable
from recsweep.sweeps.overrides import OVERRIDES


@command(
    RUN,
    "recsweep slurm --study default/ml-100k/SASRec/full --tasks 4",
    *(*WHICH, *OF_A_STUDY, *DEFINING, *WORKING, *STORE),
    *("study", "tasks", "dry_run"),
)
def slurm(study: str | None, tasks: int, dry_run: bool, **options: Any) -> None:
    """Submit a sweep to SLURM: an array of workers for each study, and a job that closes it after them."""
    studies = studies_of(options)
    chosen = asked(studies.chosen, study)
    require_no_scheduler(chosen)
    environment = _environment(studies)
    if not dry_run:
        partition = partition_of(environment)
        chosen = [fitted(plan, partition) for plan in chosen]
        for line in opened(studies, [plan for plan in chosen if plan.previous is None or study], None):
            click.echo(line)
    for _, phases in groupby(chosen, key=lambda plan: (plan.dataset_name, plan.model_name)):
        before: list[str] = []
        for workers, closing in _jobs(options["config"], studies, list(phases), tasks):
            if dry_run:
                click.echo(f"{workers}\n{closing}")
                continue
            workers.log.parent.mkdir(parents=True, exist_ok=True)
            array = submit(workers.after(before, whatever=False), environment)
            click.echo(f"SLURM job {array}: {counted(tasks, 'worker')} on {workers.study}")
            before = [submit(closing.after([array]), environment)]
            click.echo(f"SLURM job {before[0]}: tests its winner and writes its files, after them")


def _jobs(
    config: str, studies: Studies, phases: Sequence[StudyPlan], tasks: int
) -> Iterator[tuple[SlurmJob, SlurmJob]]:
    """The two jobs of each phase of a study; the second opens the next phase."""
    for plan, following in zip(phases, [*phases[1:], None], strict=True):
        last = [_words("tune", config, studies, plan)]
        if following is not None:
            last.append(_words("open", config, studies, following))
        yield workers_of(plan, tasks, _words("worker", config, studies, plan)), closing_of(plan, last)


def _words(name: str, config: str, studies: Studies, plan: StudyPlan) -> list[str]:
    """A command on one study, with all that was given over the sweep's file but the address of the store."""
    named = [f"--study-name={plan.study_name}"] if plan.study_name else []
    which = [f"--dataset={plan.dataset_name}", f"--model={plan.model_name}", f"--phase={plan.phase}", *named]
    given = [f"--config={config}", *flags_of(_all_commands(), name, studies.sweep.overrides), *which]
    return [sys.executable, "-m", "recsweep", name, *given]


def _environment(studies: Studies) -> dict[str, str]:
    """The environment of the jobs: without what was said to this command alone, with the store's address."""
    ours = variables_of(_all_commands())
    kept = {"RECSWEEP_CONFIG", *map(variable, OVERRIDES)}
    environment = {name: value for name, value in os.environ.items() if name not in ours - kept}
    address = studies.sweep.overrides.get("storage")
    if address is not None:
        environment.pop("RECSWEEP_STORAGE_FILE", None)
        environment["RECSWEEP_STORAGE"] = address.reveal()
    return {**environment, TYPED: typed()}


def _all_commands() -> click.Group:
    found: Any = click.get_current_context().find_root().command
    return cast("click.Group", found)


COMMANDS = [slurm]
