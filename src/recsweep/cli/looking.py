"""Commands that show what there is: plots, dashboard, doctor."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from recsweep.cli.options import (
    option,
    overridden,
    say_what_moved,
    studies_of,
    study_options,
    sweep_options,
)
from recsweep.common.errors import UserError
from recsweep.common.escape import for_terminal
from recsweep.common.paths import Outputs


@click.command(epilog="Example: recsweep plots --dataset ml-100k --model GRU4Rec")
@sweep_options
@study_options
def plots(**options: Any) -> None:
    """Draw what the studies of a sweep found, as pages and pictures that need no network."""
    studies = studies_of(options, with_data=False)
    from recsweep.report.plots import draw_sweep

    gallery, results, missing = draw_sweep(studies.all, studies.chosen)
    say_what_moved(results)
    for label in missing:
        click.echo(f"{label} is not in the store yet", err=True)
    click.echo(gallery)


@click.command(epilog="Example: recsweep dashboard --port 8080")
@sweep_options
@option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Where it listens.")
@option(
    "--port",
    default=8080,
    show_default=True,
    type=click.IntRange(0, 65535),
    metavar="N",
    help="Its port; 0 takes any free one.",
)
def dashboard(host: str, port: int, **options: Any) -> None:
    """Serve Optuna's dashboard on the store of a sweep, until Ctrl-C."""
    config = overridden(options).config
    outputs = Outputs(config.outputs, config.sweep)
    from recsweep.report.dashboard import serve

    serve(config.storage or outputs.storage_url, host, port, click.echo)


@click.command(epilog="Example: recsweep doctor > report.txt")
@sweep_options
def doctor(**options: Any) -> None:
    """Print what a bug report needs: versions, hardware, kernels, the config's and the store's state."""
    from recsweep.cli.doctor import examine

    sound = True
    for name, text, fine in examine(partial(overridden, options)):
        sound = sound and fine
        click.echo(f"{'ok ' if fine else 'BAD'} {name}: {for_terminal(text)}")
    if not sound:
        raise UserError("something is not as it should be; see the lines marked BAD; mend them and run again")


COMMANDS = [plots, dashboard, doctor]
