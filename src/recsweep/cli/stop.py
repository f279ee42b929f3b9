"""`recsweep stop`: ask those that work on studies to stop, wherever they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from recsweep.cli.declare import RUN, argument, command
from recsweep.cli.stores import opened
from recsweep.common.errors import InputError
from recsweep.common.files import counted
from recsweep.sweeps.options import STORE

if TYPE_CHECKING:
    from recsweep.study import Study

_ANY_SLOT = 2**31


@command(
    RUN,
    "recsweep stop --all --now --storage sqlite:///outputs/recsweep.db",
    *("all", "now", "config"),
    *STORE,
    arguments=[argument("study", required=False)],
)
def stop(study: str | None, now: bool, **options: Any) -> None:
    """Ask those that work on a study of the store to stop, on any machine, or those that work on any."""
    every = options["all"]
    if bool(study) == every:
        problem = "stands beside the name of a study" if every else "no study is named"
        raise InputError("--all", problem, "name one study, or give --all")
    from recsweep.looking.listing import named
    from recsweep.study import raise_flag

    with opened(options) as store:
        asked = store.at_work() if every else [store.study_of(named(store.records(kind=None), study or ""))]
        for found in asked:
            running = len(found.at_work())
            if running or found.open_slots(_ANY_SLOT):
                raise_flag(found, now=now, everything=every)
            click.echo(f"{found.name}: {_told(found, running, now=now)}")
        if not asked:
            click.echo("no study is being worked on")


def _told(study: Study, running: int, *, now: bool) -> str:
    """The words on what becomes of a study."""
    waiting = study.open_slots(_ANY_SLOT)
    if not running and not waiting:
        return "no trial runs and none waits, there is nothing to stop"
    waits = f"{counted(waiting, 'slot')} {'waits' if waiting == 1 else 'wait'}"
    if not running:
        return f"no trial runs, and no worker that joins begins one; {waits}"
    one = running == 1
    runs, whose = f"{counted(running, 'trial')} {'runs' if one else 'run'}", "its" if one else "their"
    back = f"to the end of {whose} epoch, and {whose} {'slot goes' if one else 'slots go'} back"
    return f"{runs} {back if now else f'to {whose} end'}, no other begins; {waits}"


COMMANDS = [stop]
