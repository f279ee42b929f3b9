"""`recsweep stop`: ask those that work on studies to stop, wherever they are; and to go on after it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from recsweep.cli.budgets import store_of
from recsweep.cli.declare import RUN, argument, command, source
from recsweep.cli.openly import IN_THE_OPEN
from recsweep.cli.options import overridden, say_aside
from recsweep.common.address import AddressError, StoreAddress, read_address
from recsweep.common.errors import InputError
from recsweep.common.files import counted
from recsweep.common.paths import Outputs, is_made
from recsweep.planning.plan import StudyPlan
from recsweep.sweeps.documents import nearest
from recsweep.sweeps.options import STORE

if TYPE_CHECKING:
    from recsweep.study import Store, Study

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
    from recsweep.study import raise_flag

    with _store(options) as store:
        asked = store.at_work() if every else [_named(study or "", store)]
        for found in asked:
            running = len(found.at_work())
            if running or found.open_slots(_ANY_SLOT):
                raise_flag(found, now=now, everything=every)
            click.echo(f"{found.name}: {_told(found, running, now=now)}")
        if not asked:
            click.echo("no study is being worked on")


def _told(study: Study, running: int, *, now: bool) -> str:
    """What becomes of a study."""
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


def _named(name: str, store: Store) -> Study:
    """A study by its name.

    Raises:
        InputError: the store has none of that name.
    """
    study = store.find_study(name)
    if study is None:
        known = [other for other in store.names() if "@" not in other]
        raise InputError("STUDY", f"the store has no study {name}", nearest(name, known))
    return study


@contextmanager
def _store(options: dict[str, Any]) -> Iterator[Store]:
    """The store that the options name, for a moment.

    Raises:
        InputError: it is none, or not there.
    """
    from recsweep.study import Store

    address = _address(options)
    if not is_made(address):
        raise InputError("--storage", f"there is no store at {address}", "give the address of one that is")
    store = Store(address, tell=say_aside)
    try:
        yield store
    finally:
        store.close()


def _address(options: dict[str, Any]) -> StoreAddress:
    url, file = options["storage"], options["storage_file"]
    typed = {name: _typed(name) for name in ("storage", "storage_file")}
    if url and file:  # what the command says goes before what the environment says
        if typed["storage"] == typed["storage_file"]:
            raise InputError("--storage", "stands beside --storage-file", "give one of them")
        url, file = (url, None) if typed["storage"] else (None, file)
    try:
        if url:
            address = StoreAddress.of(url)
            if typed["storage"] and address.secret:
                say_aside(f"recsweep: {IN_THE_OPEN}")
            return address
        if file:
            return read_address(Path(file).expanduser())
    except AddressError as error:
        raise InputError("--storage" if url else "--storage-file", error.problem, error.fix) from None
    config = overridden({"config": options["config"], "outputs": options["outputs"]}).config
    own = config.storage
    return Outputs(config.outputs, config.sweep).storage_url if own is None else own.below(config.outputs)


def _typed(name: str) -> bool:
    """Whether an option stands on the command line, and not in the environment."""
    return source(click.get_current_context(), name) == "commandline"


def go_on(plans: Iterable[StudyPlan]) -> None:
    """Take back what was asked of these studies until now: whoever tunes or opens them wants them to go on.

    What is asked from now on stands, for the study that runs and for those that are still to come.
    """
    from recsweep.study import take_back

    of_stores: dict[StoreAddress, list[StudyPlan]] = {}
    for plan in plans:
        of_stores.setdefault(plan.storage_url, []).append(plan)
    for address, several in of_stores.items():
        if not is_made(address):
            continue
        with store_of(several[0]) as store:
            for plan in several:
                study = store.find_study(plan.name)
                if study is not None and take_back(study):
                    say_aside(f"{plan.label}: was stopped by `recsweep stop`, and goes on")


COMMANDS = [stop]
