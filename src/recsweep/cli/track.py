"""`recsweep track`: what trackers have of a sweep, and sending them the rest."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from recsweep.api.tracked import Tracked, destinations
from recsweep.cli.declare import LOOK, command
from recsweep.cli.options import overridden, say_aside
from recsweep.cli.stores import opened
from recsweep.common.errors import UserError
from recsweep.common.files import counted
from recsweep.common.interrupts import as_interrupt
from recsweep.looking.listing import markdown
from recsweep.running.aside import show_markdown
from recsweep.sweeps.options import STORE, TRACKING

_POLL_SECONDS = 5.0


@command(
    LOOK,
    "recsweep track sync --track mlflow",
    *("config", *TRACKING, *STORE, "dataset", "model", "phase"),
    arguments=[
        click.Argument(
            ["action"], type=click.Choice(["status", "sync", "backfill", "follow"]), metavar="ACTION"
        )
    ],
)
def track(action: str, **options: Any) -> None:
    """Show how much of a sweep its trackers have (status), send what could not be sent (sync), also studies
    that were never sent (backfill), or send what is new until Ctrl-C or the end of all studies (follow).
    """
    with _tracked(options) as found:
        if action == "status":
            show_markdown(markdown(found.rows(), ("trials", "left")))
            return
        if action == "follow":
            left = _follow(found)
        else:
            left = found.send(click.echo, all_of_them=action == "backfill")
    if left:
        raise UserError(
            f"{counted(left, 'event')} could not be sent; the lines above say why; nothing is lost; "
            "correct the cause and run the same command again"
        )


def _follow(found: Tracked) -> int:
    """Follow until Ctrl-C or the end of all studies; how many events could not be sent."""
    looked, ended = float("-inf"), False

    def over() -> bool:
        nonlocal looked, ended
        if time.monotonic() - looked > _POLL_SECONDS:
            looked = time.monotonic()
            records = [found.store.find_record(record.study) for record in found.records]
            ended = all(record is None or record.ended is not None for record in records)
        return ended

    with as_interrupt():
        return found.follow(click.echo, over)


@contextmanager
def _tracked(options: dict[str, Any]) -> Iterator[Tracked]:
    """The studies and trackers that the options name.

    Raises:
        UserError: there are none.
    """
    config = overridden({name: options[name] for name in ("config", *TRACKING, *STORE)}, whole=False).config
    to = destinations(config, say_aside)
    if not to:
        raise UserError(
            "no tracker is on; nothing can be sent; name some with --track, or in the sweep's file"
        )
    parts = {name: options[name] for name in ("dataset", "model", "phase")}
    with opened(options) as store:
        records = store.records(sweep=config.sweep, **parts)
        if not records:
            raise UserError(
                f"the store has no study of the sweep {config.sweep}; nothing was begun; tune it first"
            )
        yield Tracked(config, store, records, to)


COMMANDS = [track]
