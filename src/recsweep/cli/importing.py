"""`recsweep import`: data as people have it, made a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from recsweep.cli.declare import DATA, argument, command
from recsweep.common.errors import InputError
from recsweep.common.escape import for_terminal
from recsweep.sweeps.setting import THIS, Setting


def _text(name: str, help: str, shown: str, more: str = "", **other: Any) -> Setting:
    return Setting(name, help, THIS, shown=shown, more=more, **other)


_IMPORT = (
    _text("as", "Name of the data set.", "NAME", required=True),
    _text(
        "recipe",
        "Read the files of a data set that many use.",
        "NAME",
        "[They are listed here](how-to/import.md#recipes)",
    ),
    _text(
        "columns",
        "The column of each role: `user=uid,item=movieId,time=ts`.",
        "LIST",
    ),
    _text("item_file", "The file of items, with their features.", "FILE", completes="file"),
    _text("item_columns", "Its columns: `item=movieId,genres=genres:token_seq`.", "LIST"),
    _text("user_file", "The file of users.", "FILE", completes="file"),
    _text("user_columns", "Its columns: `user=uid,age=age:float`.", "LIST"),
    _text("mapping", "A YAML file that says all of this.", "FILE", completes="file"),
    Setting(
        "format",
        "Format of the interactions.",
        THIS,
        choices=("csv", "tsv", "dat", "parquet", "json", "python", "netflix"),
        more="By default it is found by the file's name and its first line",
    ),
    _text("separator", "The text between fields, such as `;`.", "TEXT"),
    _text("seq_separator", "The character between the values in one cell, such as a bar.", "TEXT"),
    _text(
        "header", "Names of the columns, where no line of the file has them: `user,item,rating,time`.", "LIST"
    ),
    _text("encoding", "How letters are written, such as latin-1.", "NAME"),
    _text(
        "time_unit",
        "Unit of times: s, ms, us, ns, iso, or a pattern.",
        "UNIT",
        "By default it is found by the values",
    ),
    _text(
        "only", "Keep rows with a value, such as `event=view`; several stand with bars between them.", "LIST"
    ),
    _text(
        "into",
        "The folder of sweeps, whose datasets/ gets the data set file.",
        "FOLDER",
        default="config",
        completes="folder",
    ),
    _text(
        "data_folder",
        "Where the folder of atomic files is made.",
        "FOLDER",
        default="data",
        completes="folder",
    ),
    Setting(
        "dry_run", "Read and check all of it, say what would be written, write nothing.", THIS, switch=True
    ),
    Setting("replace", "Write over a data set of that name.", THIS, switch=True),
)


@command(
    DATA,
    "recsweep import ratings.csv --as films --columns user=userId,item=movieId,time=timestamp",
    *_IMPORT,
    name="import",
    arguments=[argument("files", "file", nargs=-1, metavar="FILE...")],
)
def import_(files: tuple[str, ...], **options: Any) -> None:
    """Make a data set of files as people have them: CSV, TSV, `::`, Parquet, JSON lines, also .gz.

    All rows are read and checked; what was read, kept and converted is said. FILE is one or several of
    interactions; with --recipe, the files of that data set, or the folder that they are in.
    """
    from recsweep.importing.importing import check_imported, import_data, said
    from recsweep.importing.request import request_of

    done = import_data(request_of([Path(file) for file in files], options))
    name = done.request.name
    for line in said(done):
        click.echo(for_terminal(f"{'' if line.startswith(' ') else f'{name}: '}{line}"))
    for path in done.files:
        click.echo(f"{name}: {'would write' if done.request.dry_run else 'wrote'} {path}")
    if done.request.dry_run:
        return
    try:
        remarks = check_imported(done)
    except InputError as error:
        click.echo(f"{name}: the files are written, but a study would refuse them:", err=True)
        raise error
    for remark in remarks:
        click.echo(for_terminal(remark), err=True)
    click.echo(f"{name}: checked as a study does; next: recsweep prepare --datasets {name}")


def recipes_table() -> str:
    """All recipes as a table: what to download, from which page, and the command."""
    from recsweep.importing.recipes import UNKNOWN, recipe, recipe_names

    lines = ["| data | download | from | checksum | then |", "| --- | --- | --- | --- | --- |"]
    for name in recipe_names():
        made = recipe(name)
        files = " ".join(patterns[0] for patterns in made.files.values())
        sums = ", ".join(f"MD5 `{made.md5[file]}`" for file in made.fetch if file in made.md5) or UNKNOWN
        note = f" {made.note}" if made.note else ""
        then = f"`recsweep import --recipe {name} --as {name} {files}`{note}"
        lines.append(
            f"| {made.title} | {', '.join(made.fetch)} | [{made.page}]({made.url}) | {sums} | {then} |"
        )
    return "\n".join(lines)


COMMANDS = [import_]
