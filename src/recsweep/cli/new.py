"""`recsweep new`: a sweep from what people have."""

from __future__ import annotations

from pathlib import Path

import click

from recsweep.cli.declare import DATA, argument, command
from recsweep.common.errors import InputError
from recsweep.common.escape import for_terminal
from recsweep.common.files import write_yaml
from recsweep.common.names import checked_name
from recsweep.sweeps.setting import THIS, Setting

_NEW = (
    Setting("from_recbole", "RecBole's config.yaml.", THIS, shown="FILE", required=True, completes="file"),
    Setting("as", "Name of the sweep and its files.", THIS, shown="NAME", required=True),
    Setting("model", "The model, where the config names none.", THIS, shown="NAME", completes="models"),
    Setting(
        "dataset", "The data set, where the config names none.", THIS, shown="NAME", completes="datasets"
    ),
    Setting("into", "The folder of sweeps.", THIS, shown="FOLDER", default="config", completes="folder"),
    Setting("dry_run", "Say what would be written, write nothing.", THIS, switch=True),
    Setting("replace", "Write over files of that name.", THIS, switch=True),
)


@command(
    DATA,
    "recsweep new --from-recbole config.yaml hyper.test --as ours",
    *_NEW,
    arguments=[argument("hyper", "file", metavar="HYPER")],
)
def new(
    hyper: str,
    from_recbole: str,
    model: str | None,
    dataset: str | None,
    into: str,
    dry_run: bool,
    replace: bool,
    **name: str,
) -> None:
    """Make a sweep of RecBole's config.yaml and HYPER, its hyper.test, and say what is not the same."""
    from recsweep.importing.from_recbole import from_recbole as make

    try:
        called = checked_name(name["as"])
    except ValueError as error:
        raise InputError("--as", str(error), "choose another name") from None
    made = make(Path(from_recbole), Path(hyper), called, model or "", dataset or "")
    paths = {Path(into) / part: content for part, content in made.files.items()}
    there = next((path for path in paths if path.exists()), None)
    if there is not None and not replace:
        raise InputError("--as", f"{there} is there already", "choose another name, or pass --replace")
    for change in made.changes:
        click.echo(for_terminal(f"{called}: {change}"))
    for path, content in paths.items():
        if not dry_run:
            write_yaml(path, content, f"Made of RecBole's {Path(from_recbole).name} and {Path(hyper).name}.")
        click.echo(f"{called}: {'would write' if dry_run else 'wrote'} {path}")


COMMANDS = [new]
