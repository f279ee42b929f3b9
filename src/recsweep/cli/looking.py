"""Commands that show what there is: summarize, plots, dashboard, doctor."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from recsweep.api.seen import write_sweep
from recsweep.cli.declare import HELP, LOOK, argument, command
from recsweep.cli.options import overridden, say_aside, say_what_moved
from recsweep.cli.seen import look
from recsweep.cli.stores import address_of, as_json
from recsweep.common.errors import InputError, UserError
from recsweep.common.escape import for_terminal
from recsweep.common.files import counted
from recsweep.running.aside import show_markdown
from recsweep.sweeps.options import OF_A_STUDY, STORE, WHICH
from recsweep.sweeps.schema import KINDS, as_text

_SWEEP = (*WHICH, "phases")
"""Settings that say which studies a sweep has: how they were searched, the store says."""


@command(LOOK, "recsweep summarize --config config/smoke.yaml", *_SWEEP, *STORE)
def summarize(**options: Any) -> None:
    """Rebuild all result files and the summary table from the store."""
    for seen in look(options):
        write_sweep(seen)
        if seen.planned:
            show_markdown(seen.outputs.summary("md").read_text(encoding="utf-8"))
        say_what_moved(seen.results)
        if seen.missing:
            are = "is" if len(seen.missing) == 1 else "are"
            of_all = f"{len(seen.missing)} of {counted(len(seen.planned), 'study')}"
            click.echo(f"{of_all} {are} not in the store yet", err=True)


@command(LOOK, "recsweep plots --dataset ml-100k --model GRU4Rec", *_SWEEP, *OF_A_STUDY, *STORE)
def plots(**options: Any) -> None:
    """Draw what the studies of a sweep found, as pages and pictures that need no network."""
    from recsweep.report.plots import draw_sweep, title_of

    for seen in look(options):
        page = draw_sweep(seen.outputs, seen.of_all, seen.results, seen.chosen)
        say_what_moved(seen.results)
        for record in seen.not_there:
            click.echo(f"{title_of(record)} is not in the store yet", err=True)
        click.echo(page)


@command(LOOK, "recsweep dashboard --port 8080", "config", *STORE, "host", "port")
def dashboard(host: str, port: int, **options: Any) -> None:
    """Serve Optuna's dashboard on the store of a sweep, until Ctrl-C."""
    from recsweep.report.dashboard import serve

    serve(address_of(options), host, port, click.echo, say_aside)


@command(
    HELP,
    "recsweep doctor --data ml-100k",
    *WHICH,
    *STORE,
    *("cluster", "data", "json"),
    arguments=[argument("names", completes="datasets", nargs=-1, metavar="[DATASET]...")],
)
def doctor(names: tuple[str, ...], cluster: bool, data: bool, json: bool, **options: Any) -> None:
    """Print what a bug report needs: versions, hardware, kernels, the config's and the store's state.

    With --data: what the sweep's data sets are, or those that are named, and which split fits them.
    """
    if data:
        _look_at_data(names, json, options)
        return
    for given, flag in ((names, " ".join(names)), (json, "--json")):
        if given:
            raise InputError(flag, "has no effect on `recsweep doctor` without `--data`", "add `--data`")
    from recsweep.cli.doctor import examine

    sound = True
    for name, text, fine in examine(partial(overridden, options), cluster=cluster):
        sound = sound and fine
        click.echo(f"{'ok ' if fine else 'BAD'} {name}: {for_terminal(text)}")
    if not sound:
        raise UserError("something is not as it should be; see the lines marked BAD; mend them and run again")


def _look_at_data(names: tuple[str, ...], json: bool, options: dict[str, Any]) -> None:
    from recsweep.cli.doctor_data import lines
    from recsweep.datasets.described import describe
    from recsweep.datasets.files import find_files

    if names:
        options = {**options, "datasets": " ".join(names)}
    sweep, found = overridden(options), []
    for name, dataset in sweep.datasets.items():
        document = sweep.dataset_documents[name]
        found.append(describe(dataset, document, find_files(dataset, document), sweep.config.seed))
    if json:
        click.echo(as_json([one.to_json() for one in found]))
        return
    for one in found:
        click.echo("\n".join(map(for_terminal, lines(one))))


@command(
    HELP,
    "recsweep schema sweep > sweep.json",
    arguments=[click.Argument(["kind"], type=click.Choice(list(KINDS)), default="sweep")],
)
def schema(kind: str) -> None:
    """Print the JSON schema of a sweep file, a data set file or a model file, for editors."""
    click.echo(as_text(kind), nl=False)


COMMANDS = [summarize, plots, dashboard, doctor, schema]
