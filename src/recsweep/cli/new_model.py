"""`recsweep new-model`: a small working model of one's own to begin with."""

from __future__ import annotations

from pathlib import Path

import click

from recsweep.cli.declare import DATA, argument, command
from recsweep.common.errors import InputError
from recsweep.common.files import write_text
from recsweep.sweeps.setting import THIS, Setting

_INTO = Setting("into", "The folder of sweeps.", THIS, shown="FOLDER", default="config", completes="folder")

_SEQUENTIAL = Setting("sequential", "A model of sequences: of a user's last items.", THIS, switch=True)


@command(DATA, "recsweep new-model MyRec", _INTO, _SEQUENTIAL, arguments=[argument("name", metavar="NAME")])
def new_model(name: str, into: str, sequential: bool) -> None:
    """Write a small working model NAME, its model file, its test and a sweep of it.

    Nothing is overwritten.
    """
    from recsweep.importing.new_model import new_model as make

    folder = Path(into)
    there = (folder / "datasets" / "ml-100k.yaml").exists()
    texts = make(name, "ml-100k" if there else "", sequential=sequential)
    taken = next((folder / path for path in texts if (folder / path).exists()), None)
    if taken is not None:
        raise InputError("NAME", f"{taken} is there already", "choose another name, or take it away")
    for path, text in texts.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        write_text(folder / path, text)
        click.echo(f"wrote {folder / path}")
    code, _, test, sweep = list(texts)[:4]
    click.echo(f"try it:  pytest {folder / test}")
    click.echo(f"tune it: recsweep tune --config {folder / sweep}")
    click.echo(f"then make it yours: {folder / code}")


COMMANDS = [new_model]
