"""`recsweep report`: the page, the tables and the appendix of a sweep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from recsweep.cli.declare import LOOK, command
from recsweep.cli.options import say_what_moved
from recsweep.cli.seen import look
from recsweep.sweeps.options import STORE, WHICH


@command(LOOK, "recsweep report --config config/smoke.yaml", *WHICH, "phases", *STORE)
def report(**options: Any) -> None:
    """Write the report of a sweep: one page that needs no network, tables, a tuning appendix, BibTeX."""
    from recsweep.document.facts import gathered
    from recsweep.document.write import write_report

    for seen in look(options):
        facts = gathered(seen.name, seen.of_all, _from_here(options["config"]), seen.baselines)
        page = write_report(seen.outputs, facts)
        say_what_moved(seen.results)
        click.echo(page)


def _from_here(config: object) -> str:
    """A sweep's file as the report's commands name it: they are run elsewhere, by others."""
    path = Path(str(config))
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


COMMANDS = [report]
