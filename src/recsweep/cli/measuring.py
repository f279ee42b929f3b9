"""`recsweep evaluate --metrics …`: other metrics of what is trained already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from recsweep.cli.stores import as_csv, as_json
from recsweep.cli.trained import asked_models, scratch_of
from recsweep.common import scratch
from recsweep.running.aside import show_markdown

if TYPE_CHECKING:
    from recsweep.training.measure import Measured


def show_measured(
    options: dict[str, Any], metrics: str | None, by: str | None, *, json: bool, csv: bool
) -> None:
    """Measure the winners of closed studies, or a model that was saved, and print what came of it."""
    from recsweep.common.devices import resolve_device

    device = resolve_device(options["device"] or "auto")
    rows: list[dict[str, Any]] = []
    with scratch.used(scratch_of(options)):
        from recsweep.training.ensemble import Ensemble
        from recsweep.training.measure import ensemble_measured, measured

        names = (metrics or "").replace(",", " ").split()
        for label, trained in asked_models(options):
            if isinstance(trained, Ensemble):
                found = ensemble_measured(trained, device, names, by)
            else:
                found = measured(trained, device, names, by)
            rows += [_row(label, one, by) for one in found]
    if json:
        click.echo(as_json(rows))
    elif csv:
        click.echo(as_csv(rows), nl=False)
    else:
        _show(rows)


def _row(label: str, found: Measured, by: str | None) -> dict[str, Any]:
    group = {} if by is None else {by: found.group, "cases": found.cases}
    return {"model": label, **group, **found.metrics}


def _show(rows: list[dict[str, Any]]) -> None:
    from recsweep.looking.listing import markdown

    shown = [
        {name: f"{value:.4f}" if isinstance(value, float) else str(value) for name, value in row.items()}
        for row in rows
    ]
    numbers = [name for name, value in rows[0].items() if isinstance(value, int | float)] if rows else []
    show_markdown(markdown(shown, numbers))
