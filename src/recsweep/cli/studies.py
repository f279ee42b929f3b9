"""Commands that look at studies, from the store alone: ls, show, status."""

from __future__ import annotations

import time
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import click

from recsweep.cli.declare import LOOK, argument, command
from recsweep.cli.options import say_aside
from recsweep.cli.stores import as_csv, as_json, opened
from recsweep.common.escape import for_terminal
from recsweep.running.aside import show_markdown
from recsweep.sweeps.options import STORE

if TYPE_CHECKING:
    from recsweep.looking.listing import Row

PLACE = ("config", *STORE)
PARTS = ("dataset", "model", "phase")


def names_argument(*, required: bool = False) -> click.Argument:
    """Studies that are named without an option."""
    return argument("names", nargs=-1, required=required, metavar="STUDY...")


@command(
    LOOK,
    "recsweep ls 'smoke/*' --storage sqlite:///outputs/recsweep.db",
    *PLACE,
    *PARTS,
    "archived",
    "json",
    "csv",
    arguments=[names_argument()],
)
def ls(names: tuple[str, ...], archived: bool, json: bool, csv: bool, **options: Any) -> None:
    """List studies: how far they are, what is best.

    STUDY is a part of a name (`smoke`, `smoke/ml-100k`), or a pattern with `*`.
    """
    from recsweep.looking.listing import listed, markdown

    parts = {name: options[name] for name in PARTS}
    with opened(options) as store:
        rows = [
            row
            for row in listed(store.tallied(archived=archived, brief=True, **parts))
            if not names or any(matches(row.record.study, name) for name in names)
        ]
        if json or csv:
            plain = [row.plain() for row in rows]
            click.echo(as_json(plain) if json else as_csv(plain), nl=json)
            return
        if not rows:
            narrowed = names or any(parts.values())
            click.echo("no such studies are in the store" if narrowed else "the store is empty", err=True)
            return
        show_markdown(markdown([row.shown() for row in rows], ("trials", "best", "test")))


def is_pattern(name: str) -> bool:
    """True where a name stands for any number of studies."""
    return any(sign in name for sign in "*?[")


def matches(study: str, name: str) -> bool:
    """True where a study is meant by a part of its name, or by a pattern."""
    if is_pattern(name):
        return fnmatchcase(study, name)
    from recsweep.looking.listing import is_part

    return is_part(name, study)


@command(
    LOOK,
    "recsweep show smoke/ml-100k-small/GRU4Rec",
    *PLACE,
    "json",
    "csv",
    arguments=[argument("name", metavar="STUDY")],
)
def show(name: str, json: bool, csv: bool, **options: Any) -> None:
    """Show all that the store knows of a study: what it is, how far, its winner, its best trials.

    With --json also its definition and every trial, with --csv the trials as a table.
    """
    from recsweep.looking import details
    from recsweep.looking.listing import listed
    from recsweep.report.evidence import read_evidence
    from recsweep.study import standing

    with opened(options) as store:
        row = _row_of(listed(store.tallied(archived=True, kind=None)), name)
        study = store.study_of(row.record)
        trials, flag, evidence = study.results(), standing(study), read_evidence(row.record, store)
    if json:
        click.echo(as_json(details.everything(row, trials, evidence)))
    elif csv:
        click.echo(as_csv([details.trial_row(trial) for trial in trials]), nl=False)
    else:
        if flag is not None:
            say_aside(f"it was asked to stop at {flag.at}, on {flag.by}; `recsweep tune` takes that back")
        facts, _, table = details.text(row, trials, evidence).partition("\n\n")
        click.echo("\n".join(map(for_terminal, facts.split("\n"))))
        show_markdown(table)


@command(LOOK, "recsweep status --watch 10", *PLACE, "watch", "json", "csv", arguments=[names_argument()])
def status(names: tuple[str, ...], watch: int | None, json: bool, csv: bool, **options: Any) -> None:
    """Say what is done, what is left, and what runs now, on whatever machine: STUDY is as in `ls`."""
    from recsweep.looking.running_now import Status, status_of

    with opened(options) as store:
        while True:
            whole = status_of(store)
            rows = [r for r in whole.rows if not names or any(matches(r.record.study, n) for n in names)]
            found = Status(rows, {r.record.study: whole.trials.get(r.record.study, []) for r in rows})
            if json or csv:
                click.echo(as_json(found.plain()) if json else as_csv(found.plain()), nl=json)
            else:
                show_markdown(found.text())
            if not watch or found.is_done:
                return
            time.sleep(watch)


def rows_meant(rows: Sequence[Row], name: str) -> list[Row]:
    """The studies that a name means; archived ones by their whole name alone.

    Raises:
        InputError: none.
    """
    found = [row for row in rows if matches(row.record.study, name) and row.record.archived is None]
    return found or [_row_of(rows, name)]


def _row_of(rows: Sequence[Row], name: str) -> Row:
    """The one study that a name means.

    Raises:
        InputError: there is none, or there are several.
    """
    from recsweep.looking.listing import named

    study = named([row.record for row in rows], name).study
    return next(row for row in rows if row.record.study == study)


COMMANDS = [ls, show, status]
