"""Commands that show what there is: plots, dashboard, doctor."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from recsweep.cli.declare import HELP, LOOK, command
from recsweep.cli.options import overridden, say_what_moved, studies_of
from recsweep.common.errors import UserError
from recsweep.common.escape import for_terminal
from recsweep.common.paths import Outputs
from recsweep.sweeps.options import DEFINING, OF_A_STUDY, STORE, WHICH
from recsweep.sweeps.schema import KINDS, as_text


@command(LOOK, "recsweep plots --dataset ml-100k --model GRU4Rec", *WHICH, *OF_A_STUDY, *DEFINING, *STORE)
def plots(**options: Any) -> None:
    """Draw what the studies of a sweep found, as pages and pictures that need no network."""
    studies = studies_of(options, with_data=False)
    from recsweep.report.plots import draw_sweep

    gallery, results, missing = draw_sweep(studies.all, studies.chosen)
    say_what_moved(results)
    for label in missing:
        click.echo(f"{label} is not in the store yet", err=True)
    click.echo(gallery)


@command(LOOK, "recsweep dashboard --port 8080", "config", *STORE, "host", "port")
def dashboard(host: str, port: int, **options: Any) -> None:
    """Serve Optuna's dashboard on the store of a sweep, until Ctrl-C."""
    config = overridden(options).config
    outputs = Outputs(config.outputs, config.sweep)
    from recsweep.report.dashboard import serve

    serve(config.storage or outputs.storage_url, host, port, click.echo)


@command(HELP, "recsweep doctor > report.txt", *WHICH, *STORE)
def doctor(**options: Any) -> None:
    """Print what a bug report needs: versions, hardware, kernels, the config's and the store's state."""
    from recsweep.cli.doctor import examine

    sound = True
    for name, text, fine in examine(partial(overridden, options)):
        sound = sound and fine
        click.echo(f"{'ok ' if fine else 'BAD'} {name}: {for_terminal(text)}")
    if not sound:
        raise UserError("something is not as it should be; see the lines marked BAD; mend them and run again")


@command(
    HELP,
    "recsweep schema sweep > sweep.json",
    arguments=[click.Argument(["kind"], type=click.Choice(list(KINDS)), default="sweep")],
)
def schema(kind: str) -> None:
    """Print the JSON schema of a sweep file, a data set file or a model file, for editors."""
    click.echo(as_text(kind), nl=False)


COMMANDS = [plots, dashboard, doctor, schema]
