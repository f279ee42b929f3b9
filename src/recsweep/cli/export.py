"""`recsweep export`: studies as a file of another kind, and the scores of each user."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from recsweep.cli.declare import KEEP, argument, command
from recsweep.cli.keeping import bring, chosen_of
from recsweep.cli.stores import as_csv, as_json, opened, opened_at, output_folders
from recsweep.cli.studies import PLACE
from recsweep.common.errors import InputError
from recsweep.common.files import atomic_path, counted, write_text

if TYPE_CHECKING:
    from recsweep.study import Store, StudyRecord


@command(
    KEEP,
    "recsweep export smoke.db 'smoke/*'",
    *PLACE,
    "per_user",
    arguments=[
        argument("target", "file", metavar="FILE"),
        argument("names", nargs=-1, metavar="[STUDY...]"),
    ],
)
def export(target: str, names: tuple[str, ...], per_user: bool, **options: Any) -> None:
    """Write studies to a file: a store (.db), everything as JSON (.json), or the trials as a table (.csv).

    What is exported as a store can be looked at, gone on with, and merged. STUDY is as in `merge`.

    With --per-user: the test scores of each user of one study's winner, a row a user, a column a metric
    (.csv or .parquet).
    """
    path = Path(target)
    kinds = (".csv", ".parquet") if per_user else (".db", ".json", ".csv")
    if path.suffix not in kinds:
        words = f"{', '.join(kinds[:-1])} and {kinds[-1]}"
        raise InputError("FILE", f"{target} ends in none of {words}", "name one that does")
    with opened(options) as store:
        if per_user:
            _export_users(path, store, names, output_folders(options))
            return
        if path.suffix == ".db":
            with opened_at(f"sqlite:///{path}") as other:
                bring(store, other, names)
            return
        from recsweep.study import SEARCH

        # A table of trials has those of searches; who names others gets them.
        kind = SEARCH if path.suffix == ".csv" else None
        records = chosen_of(store, names) if names else store.records(archived=True, kind=kind)
        write_text(path, _as_text(store, records, path.suffix))
        click.echo(f"{counted(len(records), 'study')} in {path}")


def _export_users(path: Path, store: Store, names: Sequence[str], roots: list[Path]) -> None:
    """The scores of each user of one study's winner.

    Raises:
        InputError: none or several studies are named.
        UserError: there are no such scores.
    """
    from recsweep.looking.listing import named
    from recsweep.report.user_scores import scores_of
    from recsweep.study import best

    if len(names) != 1:
        raise InputError("STUDY", f"--per-user takes one study, but got {len(names)}", "name one")
    record = named(store.records(archived=True, kind=None), names[0])
    scores = scores_of(record, best(store.study_of(record).results(), maximize=record.maximize), roots)
    if path.suffix == ".parquet":
        scores.write(path)
    else:
        with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            scores.write_csv(file)
    click.echo(f"{counted(len(scores.users), 'user')} of {record.study} in {path}")


def _as_text(store: Store, records: Sequence[StudyRecord], suffix: str) -> str:
    from recsweep.looking import details
    from recsweep.looking.listing import Row

    tallies = {record.study: tally for record, tally in store.tallied(archived=True, kind=None)}
    rows = [Row(record, tallies[record.study]) for record in records]
    trials = {row.record.study: store.study_of(row.record).results() for row in rows}
    if suffix == ".json":
        return as_json([details.everything(row, trials[row.record.study]) for row in rows])
    return as_csv(
        [
            {"study": row.record.study, **details.trial_row(trial)}
            for row in rows
            for trial in trials[row.record.study]
        ]
    )


COMMANDS = [export]
