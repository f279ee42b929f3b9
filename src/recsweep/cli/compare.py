"""`recsweep compare`: studies beside each other, and what can be said of their models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from recsweep.cli.declare import LOOK, command
from recsweep.cli.options import say_aside
from recsweep.cli.stores import as_csv, as_json, opened, output_folders
from recsweep.cli.studies import PLACE, names_argument, rows_meant
from recsweep.common.errors import InputError, UserError
from recsweep.common.files import atomic_path
from recsweep.running.aside import show_markdown

if TYPE_CHECKING:
    from recsweep.looking.listing import Row
    from recsweep.report.model_comparison import Compared
    from recsweep.study import Store


@command(
    LOOK,
    "recsweep compare smoke/ml-100k-small/GRU4Rec smoke/ml-100k-small/SASRec",
    *PLACE,
    *("scores", "baseline", "test", "correction", "pairs", "picture"),
    "json",
    "csv",
    arguments=[names_argument(required=True)],
)
def compare(
    names: tuple[str, ...], pairs: bool, picture: str | None, json: bool, csv: bool, **options: Any
) -> None:
    """Put studies beside each other, and say which of their models is better, or that the data cannot tell.

    What they found, what it cost, in what they are not alike; and by the test scores of each user, for each
    data set and metric, the difference of two models with its 95 % interval and its p-value. STUDY is as in
    `ls`; each name may mean several.
    """
    from recsweep.looking import comparison, statements

    target = _picture_file(picture)
    with opened(options) as store:
        rows = _chosen(store, names)
        found = _compared(store, rows, options)
    if target is not None:
        _draw(found, target)
    if json:
        plain = {} if pairs else comparison.plain(rows)
        click.echo(as_json({**plain, **statements.plain(found)}))
    elif csv:
        click.echo(as_csv(statements.rows(found) if pairs else [row.plain() for row in rows]), nl=False)
    else:
        show_markdown(statements.table(found) if pairs else comparison.shown(rows) + statements.text(found))


def _chosen(store: Store, names: Sequence[str]) -> list[Row]:
    """The studies that are named.

    Raises:
        UserError: it is one alone.
    """
    from recsweep.looking.listing import listed

    every = listed(store.tallied(archived=True))
    chosen = {row.record.study: row for name in names for row in rows_meant(every, name)}
    if len(chosen) < 2:
        raise UserError(f"{next(iter(chosen))} is one study; to compare takes two; name another one")
    return list(chosen.values())


def _compared(store: Store, rows: Sequence[Row], options: dict[str, Any]) -> Compared:
    """The models of those studies that have ended, by their winners' tests."""
    from recsweep.looking.listing import ended_winners
    from recsweep.report.model_comparison import Asked, compare_winners
    from recsweep.statistics.comparison import Procedure

    metrics = tuple((options["scores"] or "").lower().split())
    asked = Asked(metrics, options["baseline"], Procedure(options["test"], options["correction"]))
    return compare_winners(ended_winners(store, rows), output_folders(options), asked)


def _picture_file(picture: str | None) -> Path | None:
    """Where a picture is drawn.

    Raises:
        InputError: it is no PNG.
    """
    if picture is None:
        return None
    if Path(picture).suffix != ".png":
        raise InputError("--picture", f"{picture} does not end in .png", "name one that does")
    return Path(picture)


def _draw(found: Compared, target: Path) -> None:
    from recsweep.report.comparison_charts import comparison_chart
    from recsweep.report.pictures import write_picture

    chart = comparison_chart(found)
    if chart.missing:
        raise UserError(f"{chart.missing} Nothing is drawn; {'; '.join(found.remarks) or 'tune them first'}")
    with atomic_path(target) as temporary:
        write_picture(chart, "Differences between models, with 95 % intervals", temporary)
    say_aside(f"drawn into {target}")


COMMANDS = [compare]
