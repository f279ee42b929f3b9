"""`recsweep recommend`: the best items of each user, in a file."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from recsweep.cli.declare import DATA, command
from recsweep.cli.options import say_aside
from recsweep.cli.trained import asked_model, scratch_of
from recsweep.common import scratch as scratch_folders
from recsweep.common.errors import InputError
from recsweep.common.files import counted
from recsweep.running.watch import duration
from recsweep.sweeps.documents import nearest
from recsweep.sweeps.options import DEFINING, OF_A_STUDY, STORE, WHICH

if TYPE_CHECKING:
    import torch

    from recsweep.training.listing import Listing
    from recsweep.training.lists import Lists

TELL_SECONDS = 10.0
"""Between one line on how far it is and the next."""


@command(
    DATA,
    "recsweep recommend --dataset ml-100k --model GRU4Rec --items 20 --to lists.parquet",
    *WHICH,
    *OF_A_STUDY,
    *DEFINING,
    *("trained", "items", "users", "with_seen", "history", "to"),
    "device",
    *STORE,
)
def recommend(items: int, users: str | None, with_seen: bool, history: str, to: str, **options: Any) -> None:
    """Write the best items of each user, by a study's winner, what `train --save` left, or an ensemble."""
    from recsweep.common.devices import resolve_device
    from recsweep.training.list_files import checked_suffix

    checked_suffix(Path(to))
    wanted = None if users is None else _read_users(Path(users))
    device = resolve_device(options["device"] or "auto")
    with scratch_folders.used(scratch_of(options)):
        label, trained = asked_model(options, device)
        from recsweep.training.listing import listing

        with listing(trained, device, history) as by:
            written, short = _write(by, _asked(by, wanted, users), items, with_seen, Path(to))
    click.echo(f"{label}: {counted(written, 'list')} of {counted(items, 'item')} in {to}")
    if short:
        say_aside(f"{counted(short, 'list')} of these are shorter: there are no more items to list")


def _write(by: Listing, asked: torch.Tensor, top: int, with_seen: bool, to: Path) -> tuple[int, int]:
    from recsweep.training.history import texts_of
    from recsweep.training.list_files import write_lists

    data = by.scorer.loader._dataset
    lists = by.lists(asked, top, with_seen=with_seen)
    texts = (texts_of(data, column) for column in (data.uid_field, data.iid_field))
    return write_lists(to, _told(lists, len(asked), say_aside), *texts)


def _told(lists: Iterator[Lists], total: int, tell: Callable[[str], None]) -> Iterator[Lists]:
    """The lists, and now and then a line on how far they are."""
    done, started = 0, time.monotonic()
    said = started
    for some in lists:
        yield some
        done, now = done + len(some.users), time.monotonic()
        if now - said >= TELL_SECONDS and done < total:
            said = now
            left = (now - started) / done * (total - done)
            tell(f"{done} of {total} users, {duration(left)} left")


def _read_users(path: Path) -> dict[str, int]:
    """The ids of a file, each with its first line, in their order.

    Raises:
        InputError: there is no such file, or it names nobody.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            "--users", f"{path} cannot be read ({error})", "give a file of ids, one a line"
        ) from None
    found: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if line.strip():
            found.setdefault(line.strip(), number)
    if not found:
        raise InputError("--users", f"{path} names no user", "write an id a line")
    return found


def _asked(by: Listing, wanted: dict[str, int] | None, source: str | None) -> torch.Tensor:
    """The users that lists are made for, by RecBole's numbers."""
    import torch

    if wanted is None:
        return by.users
    loader = by.scorer.loader
    numbers = loader._dataset.field2token_id[loader.uid_field]
    there = set(by.users.tolist())
    for name, line in wanted.items():
        if numbers.get(name, 0) == 0:
            fix = nearest(name, list(numbers)[1:]) if len(numbers) < 100_000 else "name one of the data set"
            raise InputError(str(source), f"the data set has no user {name}", fix, line)
        if numbers[name] not in there:
            fix = "leave it out, or give --history all"
            raise InputError(str(source), f"nothing is known of the user {name} to list by", fix, line)
    return torch.tensor([numbers[name] for name in wanted], dtype=torch.int64)


COMMANDS = [recommend]
