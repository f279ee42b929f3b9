"""`recsweep models`: every model that can be tuned, and what it takes."""

from __future__ import annotations

from pathlib import Path

import click

from recsweep.cli.declare import DATA, command
from recsweep.cli.stores import as_csv, as_json
from recsweep.common.errors import InputError
from recsweep.running.aside import show_markdown
from recsweep.sweeps.documents import nearest


@command(DATA, "recsweep models --needs kg --kind knowledge", "config", "needs", "kind", "json", "csv")
def models(config: str, needs: str | None, kind: str | None, json: bool, csv: bool) -> None:
    """List every model of RecBole: its kind, its needs, its fast path, the space shipped for it.

    Needs are of the data (`time`, `labels`, `kg`, `item-features`, …) or of a package (`faiss`).
    """
    from recsweep.looking.listing import markdown
    from recsweep.looking.models import all_needs, model_rows

    if needs is not None and needs not in all_needs():
        raise InputError("--needs", f"no model needs `{needs}`", nearest(needs, all_needs()))
    rows = [
        row
        for row in model_rows(_folder(config))
        if (needs is None or needs in row.needed) and (kind is None or row.about.kind == kind)
    ]
    if json or csv:
        plain = [row.plain() for row in rows]
        click.echo(as_json(plain) if json else as_csv(plain), nl=json)
        return
    show_markdown(markdown([row.shown() for row in rows]))
    for row in rows:
        if (refused := row.about.refusal) is not None:
            click.echo(f"{row.about.name} {refused.problem}; {refused.fix}", err=True)


def _folder(config: str) -> Path:
    """Where the model files of a sweep lie."""
    path = Path(config.rpartition(":")[0] if ".py:" in config else config)
    beside = path.parent / "models"
    return beside if beside.is_dir() else path.parent / "config" / "models"


COMMANDS = [models]
