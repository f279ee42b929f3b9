"""`recsweep serve`: tuning over HTTP."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from recsweep.cli.declare import RUN, command
from recsweep.cli.options import say_aside
from recsweep.cli.stores import address_of
from recsweep.sweeps.options import SETTINGS, STORE

_PORT = replace(SETTINGS["port"], default=8000)


@command(
    RUN,
    "recsweep serve --job-workers 2",
    "config",
    *STORE,
    "host",
    _PORT,
    *("job_workers", "max_running_jobs", "max_queued_jobs", "max_event_streams", "requests_per_minute"),
)
def serve(host: str, port: int, job_workers: int, max_running_jobs: int | None, **options: Any) -> None:
    """Serve tuning jobs over HTTP, until Ctrl-C, and run them in processes beside it."""
    from recsweep.service.limits import Limits
    from recsweep.service.serving import ServiceSetup, serve

    limits = Limits(
        requests_a_minute=options["requests_per_minute"],
        queued=options["max_queued_jobs"],
        streams=options["max_event_streams"],
    )
    setup = ServiceSetup(
        address_of(options),
        Path(options["outputs"] or "outputs"),
        Path(options["config"].rpartition(":")[0] or options["config"]).parent,
        max_running_jobs,
    )
    serve(setup, host, port, job_workers, limits, tell=click.echo, aside=say_aside)


COMMANDS = [serve]
