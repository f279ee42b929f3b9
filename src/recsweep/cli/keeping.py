"""Commands that change what a store holds: rm, mv, merge."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from recsweep.cli.addresses import other_address
from recsweep.cli.declare import KEEP, argument, command
from recsweep.cli.stores import opened, opened_at, output_folders
from recsweep.cli.studies import PLACE, is_pattern, matches
from recsweep.common.address import StoreAddress
from recsweep.common.errors import InputError, UserError
from recsweep.common.escape import for_terminal
from recsweep.common.files import counted
from recsweep.common.names import checked_name
from recsweep.common.paths import is_made
from recsweep.sweeps.documents import nearest

if TYPE_CHECKING:
    from recsweep.study import Store, StudyRecord


@command(
    KEEP,
    "recsweep rm smoke/ml-100k-small/GRU4Rec/full",
    *PLACE,
    "yes",
    "dry_run",
    arguments=[argument("names", nargs=-1, required=True, metavar="STUDY...")],
)
def rm(names: tuple[str, ...], yes: bool, dry_run: bool, **options: Any) -> None:
    """Remove studies with all their trials from the store, after a question. Result files and weights stay.

    The evidence of a search goes with it, and checkpoints where they were sent (`--checkpoints`). STUDY is a
    whole name, or a pattern with `*`.
    """
    from recsweep.looking.weights import forget_states, weights_of
    from recsweep.running.depots import sent_of
    from recsweep.study.transfer import remove

    roots = output_folders(options)
    with opened(options) as store:
        chosen = _with_evidence(store, chosen_of(store, names))
        for record in chosen:
            trials = len(store.study_of(record).results())
            click.echo(f"{record.study}: {counted(trials, 'trial')}")
        if dry_run:
            return
        confirm(f"remove {counted(len(chosen), 'study')} for good?", yes)
        for record in chosen:
            sent = sent_of(record, store)
            remove(store, record)
            click.echo(f"{record.study} is removed")
            forget_states(record, roots)
            sent.remove(click.echo)
            for folder in weights_of(record, roots):
                click.echo(f"its weights are still in {folder}; remove them, too, where nobody needs them")


@command(
    KEEP,
    "recsweep mv smoke/ml-100k-small/GRU4Rec/full gru4rec-first",
    *PLACE,
    arguments=[argument("name", metavar="STUDY"), click.Argument(["new"], metavar="NAME")],
)
def mv(name: str, new: str, **options: Any) -> None:
    """Give a study another name in the store, as `--study-name` does; its sweep then begins anew.

    The evidence of a search goes with it, and checkpoints where they were sent. Where it was ended in its
    middle, the same command ends it.
    """
    from recsweep.search.evidence import evidence_of
    from recsweep.study import EVIDENCE
    from recsweep.study.transfer import check_free

    for part in new.split("/"):
        try:
            checked_name(part)
        except ValueError as error:
            raise InputError("NAME", str(error), "choose another name") from None
    with opened(options) as store:
        (record,) = chosen_of(store, [name])
        # The search comes last: as long as it has its old name, the same command ends what a kill left.
        moves = [(record, new)]
        if (evidence := evidence_of(record, store)) is not None:
            moves.insert(0, (evidence, f"{new}/{EVIDENCE}"))
        for one, wanted in moves:
            check_free(store, one, wanted)
        for one, wanted in moves:
            _move(store, one, wanted, output_folders(options))


def _move(store: Store, record: StudyRecord, name: str, roots: Sequence[Path]) -> None:
    """Give a study another name, once its checkpoints are where they are looked for under that."""
    from recsweep.looking.weights import take_along
    from recsweep.running.depots import prefix_in_depot, sent_of
    from recsweep.study.transfer import rename

    renamed = replace(record, study=name)

    def first() -> None:
        take_along(record, renamed, roots)
        sent_of(record, store).move(prefix_in_depot(renamed), click.echo)

    rename(store, record, name, first)
    click.echo(f"{record.study} is {name} now")


@command(
    KEEP,
    "recsweep merge sqlite:///from-the-cluster/recsweep.db",
    *PLACE,
    "dry_run",
    arguments=[
        argument("source", "file", metavar="STORE"),
        argument("names", "theirs", nargs=-1, metavar="[STUDY...]"),
    ],
)
def merge(source: str, names: tuple[str, ...], dry_run: bool, **options: Any) -> None:
    """Bring studies of another store into this one, without doubling a trial; of a file, its path will do.

    It can be repeated: a slot that has its result keeps it. STUDY is a part of a name, or a pattern.
    """
    with opened_at(_there(source)) as theirs, opened(options) as store:
        bring(theirs, store, names, dry_run=dry_run)


def bring(theirs: Store, store: Store, names: Sequence[str], *, dry_run: bool = False) -> None:
    """Merge, and say of each study what came of it.

    Raises:
        UserError: some could not be brought.
    """
    from recsweep.study.transfer import merge as merged

    records = theirs.records(archived=True, kind=None)
    if names:
        records = [record for record in records if any(matches(record.study, name) for name in names)]
        if not records:
            raise InputError("STUDY", f"{theirs.address} has no study {names[0]}", _near(names[0], theirs))
    if dry_run:
        here = {record.study for record in store.records(archived=True, kind=None)}
        for record in records:
            click.echo(f"{record.study}: {'to be completed' if record.study in here else 'new here'}")
        return
    refused = 0
    with click.progressbar(merged(theirs, store, records), len(records), "merging", file=sys.stderr) as done:
        outcomes = list(done)
    for outcome in outcomes:
        refused += bool(outcome.refused)
        click.echo(for_terminal(outcome.text()))
    if refused:
        raise UserError(f"{refused} of {counted(len(records), 'study')} were not brought; the lines say why")


def _there(source: str) -> StoreAddress:
    """The address of a store that is there."""
    address = other_address(source)
    if not is_made(address):
        raise UserError(f"there is no store at {address}; nothing can be merged from it; correct the path")
    return address


def chosen_of(store: Store, names: Sequence[str]) -> list[StudyRecord]:
    """The studies of these names, each by its whole name or a pattern.

    Raises:
        InputError: a name is no study's.
    """
    records = store.records(archived=True, kind=None)
    found: dict[str, StudyRecord] = {}
    for name in names:
        meant = [
            one for one in records if (matches(one.study, name) if is_pattern(name) else one.study == name)
        ]
        if not meant:
            raise InputError("STUDY", f"the store has no study {name}", _near(name, store))
        found |= {record.study: record for record in meant}
    return list(found.values())


def _with_evidence(store: Store, chosen: Sequence[StudyRecord]) -> list[StudyRecord]:
    """The same with the evidence of the searches among them: it says nothing without its search."""
    from recsweep.search.evidence import evidence_of

    found: dict[str, StudyRecord] = {}
    for record in chosen:
        evidence = evidence_of(record, store)
        found |= {one.study: one for one in (record, evidence) if one is not None}
    return list(found.values())


def _near(name: str, store: Store) -> str:
    return nearest(name, [record.study for record in store.records(archived=True, kind=None)])


def confirm(question: str, yes: bool) -> None:
    """Ask, where somebody can answer.

    Raises:
        UserError: nobody can, or the answer is no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise UserError("nobody is there to be asked; what is removed cannot be brought back; pass --yes")
    if not click.confirm(question):
        raise UserError("nothing was removed; the answer was no; ask again when it is yes")


COMMANDS = [rm, mv, merge]
