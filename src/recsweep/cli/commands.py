"""All commands, and what their errors come to."""

from __future__ import annotations

import io
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click

from recsweep import __version__
from recsweep.cli import (
    baseline,
    checkpoints,
    compare,
    ensembles,
    evidence,
    export,
    importing,
    job_worker,
    jobs,
    keeping,
    looking,
    models,
    new,
    new_model,
    recommending,
    reporting,
    serving,
    single,
    slurm,
    stop,
    studies,
    track,
    tuning,
)
from recsweep.cli.budgets import announce
from recsweep.cli.declare import WIDTH, Commands, flags_of, variables_of
from recsweep.cli.openly import OPEN, secrets_in_the_open
from recsweep.cli.typed import GIVEN, GOAL, TYPED
from recsweep.common.errors import EXIT_BUG, RecsweepError, StudiesFailed, disk_trouble
from recsweep.common.escape import for_terminal
from recsweep.common.masking import mask, mask_traceback
from recsweep.sweeps.documents import nearest
from recsweep.sweeps.options import BETWEEN_US, KNOWN_VARIABLES, SETTINGS

COMPLETE = "_RECSWEEP_COMPLETE"
"""Set where the shell asks what could come next, and wants nothing else to be said."""


def run() -> None:
    """Run a command, turn our errors into one line and an exit code.

    Raises:
        KeyboardInterrupt: it was stopped.
    """
    # A library may look at sys.argv (RecBole does): leave it nothing to find.
    typed, sys.argv = sys.argv, sys.argv[:1]
    try:
        for slip in slips() if COMPLETE not in os.environ else ():
            click.echo(f"recsweep: {for_terminal(slip)}", err=True)
        with _masked_threads():
            code = _run(typed)
        sys.exit(code if isinstance(code, int) else 0)
    except (click.exceptions.Abort, EOFError):  # at a question
        raise KeyboardInterrupt from None
    except click.ClickException as error:
        shown = io.StringIO()  # it may quote an argument
        error.show(shown)
        click.echo("\n".join(map(for_terminal, mask(shown.getvalue()).split("\n"))), err=True, nl=False)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_BUG)
    except RecsweepError as error:
        if error.exit_code == EXIT_BUG and not isinstance(error, StudiesFailed):
            _say_bug(error)
        click.echo(f"recsweep: {error}", err=True)
        sys.exit(error.exit_code)
    except Exception as error:
        pause = disk_trouble(error) if isinstance(error, OSError) else None
        if pause is None:
            _say_bug(error)
            sys.exit(EXIT_BUG)
        click.echo(f"recsweep: {pause}", err=True)
        sys.exit(pause.exit_code)


def _run(typed: list[str]) -> object:
    """The value of the command. click's own `main` would put an empty line before that of one stopped."""
    if COMPLETE in os.environ:
        return cli.main(args=typed[1:], prog_name="recsweep", standalone_mode=False, obj=typed)
    try:
        with cli.make_context("recsweep", typed[1:], obj=typed) as context:
            return cli.invoke(context)
    except click.exceptions.Exit as end:
        return end.exit_code


def _say_bug(error: BaseException) -> None:
    """The traceback of a bug, with no secret in what it quotes."""
    click.echo(mask_traceback(error), err=True, nl=False)


@contextmanager
def _masked_threads() -> Iterator[None]:
    """The same for errors that end a thread."""
    before = threading.excepthook
    threading.excepthook = lambda bug: _say_bug(bug.exc_value) if bug.exc_value is not None else None
    try:
        yield
    finally:
        threading.excepthook = before


def variables() -> set[str]:
    """The variables of the environment that give options, of commands or of Snakemake's."""
    return variables_of(cli)


def flags(command: str, overrides: Mapping[str, Any]) -> list[str]:
    """The options that give a command the same overrides, as far as it takes them; one word each."""
    return flags_of(cli, command, overrides)


def slips(environment: Mapping[str, str] = os.environ) -> Iterator[str]:
    """A line for each variable of the environment that is named as ours are and that nothing reads."""
    by_make = {f"RECSWEEP_{setting.make}": setting.variable for setting in SETTINGS.values() if setting.make}
    readable = {*variables(), *KNOWN_VARIABLES, *BETWEEN_US, OPEN, GOAL, GIVEN, TYPED}
    if GIVEN in environment or TYPED in environment:
        readable |= by_make.keys()  # which is how make hands its variables on
    for name in sorted(environment.keys() - readable):
        if name.startswith("RECSWEEP_"):
            meant = f"did you mean `{by_make[name]}`?" if name in by_make else nearest(name, readable)
            yield f"{name} is no variable of recsweep and has no effect; {meant}"


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": WIDTH},
    epilog="Example: recsweep tune --config config/smoke.yaml --model FPMC, or `make tune-smoke`. "
    "`recsweep COMMAND --help` has the options of a command.",
)
@click.version_option(__version__, prog_name="recsweep")
def cli() -> None:
    """Tune recommender models on data sets: fairly, resumably, without losing a trial."""


for _command in (
    *tuning.COMMANDS,
    *baseline.COMMANDS,
    *evidence.COMMANDS,
    *slurm.COMMANDS,
    *stop.COMMANDS,
    *serving.COMMANDS,
    *job_worker.COMMANDS,
    *jobs.COMMANDS,
    *studies.COMMANDS,
    *compare.COMMANDS,
    *looking.COMMANDS,
    *models.COMMANDS,
    *reporting.COMMANDS,
    *track.COMMANDS,
    *keeping.COMMANDS,
    *export.COMMANDS,
    *checkpoints.COMMANDS,
    *importing.COMMANDS,
    *new.COMMANDS,
    *new_model.COMMANDS,
    *single.COMMANDS,
    *recommending.COMMANDS,
    *ensembles.COMMANDS,
):
    cli.add_command(_command)

__all__ = ["announce", "cli", "flags", "run", "secrets_in_the_open", "slips", "variables"]
