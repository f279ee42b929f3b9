"""All commands, and what their errors come to."""

from __future__ import annotations

import io
import os
import sys
import traceback

import click

from recsweep import __version__
from recsweep.cli import looking, single, tuning
from recsweep.cli.tuning import announce
from recsweep.errors import EXIT_BUG, RecsweepError, StudiesFailed, disk_trouble
from recsweep.escape import for_terminal


def run() -> None:
    """Run a command, turn our errors into one line and an exit code.

    Raises:
        KeyboardInterrupt: it was stopped.
    """
    # A library may look at sys.argv (RecBole does): leave it nothing to find.
    arguments, sys.argv = sys.argv[1:], sys.argv[:1]
    try:
        code = cli.main(args=arguments, prog_name="recsweep", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.exceptions.Abort:
        raise KeyboardInterrupt from None
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(shown)
        click.echo("\n".join(map(for_terminal, shown.getvalue().split("\n"))), err=True, nl=False)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_BUG)
    except OSError as error:
        pause = disk_trouble(error)
        if pause is None:
            raise
        click.echo(f"recsweep: {pause}", err=True)
        sys.exit(pause.exit_code)
    except RecsweepError as error:
        if error.exit_code == EXIT_BUG and not isinstance(error, StudiesFailed):
            traceback.print_exc()
        click.echo(f"recsweep: {error}", err=True)
        sys.exit(error.exit_code)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="recsweep")
def cli() -> None:
    """Tune recommender models on data sets: fairly, resumably, without losing a trial."""


for _command in (*tuning.COMMANDS, *looking.COMMANDS, *single.COMMANDS):
    cli.add_command(_command)

__all__ = ["announce", "cli", "run"]
