"""`recsweep job-worker`: runs jobs of the service, on any machine that reaches its store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recsweep.cli.declare import RUN, command
from recsweep.cli.options import say_aside
from recsweep.cli.stores import address_of
from recsweep.sweeps.options import STORE


@command(
    RUN,
    "recsweep job-worker --storage postgresql+psycopg://me@host/sweeps",
    "config",
    *STORE,
    "max_running_jobs",
    name="job-worker",
)
def job_worker(max_running_jobs: int | None, **options: Any) -> None:
    """Run jobs of the service that wait in its store, one after the other, until Ctrl-C."""
    from recsweep.service.job_worker import JobWorker
    from recsweep.service.leash import follow_the_server
    from recsweep.service.runner import Where

    follow_the_server()
    outputs = Path(options["outputs"] or "outputs")
    config = Path(options["config"].rpartition(":")[0] or options["config"]).parent
    worker = JobWorker(Where(address_of(options), outputs, config), max_running_jobs, say_aside)
    try:
        worker.work()
    finally:
        worker.close()


COMMANDS = [job_worker]
