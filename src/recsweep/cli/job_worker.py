"""`recsweep job-worker`: runs jobs of the service, on any machine that reaches its store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recsweep.cli.declare import RUN, command
from recsweep.cli.options import say_aside
from recsweep.cli.stores import address_of
from recsweep.sweeps.options import STORE
from recsweep.sweeps.setting import THIS, Setting

_MOST = Setting(
    "max_running_jobs",
    "Jobs that run at once, over all job workers of the store; not given: one a job worker.",
    THIS,
    shown="N",
    span=(1, 10_000),
)


@command(
    RUN,
    "recsweep job-worker --storage postgresql+psycopg://me@host/sweeps",
    "config",
    *STORE,
    _MOST,
    name="job-worker",
)
def job_worker(max_running_jobs: int | None, **options: Any) -> None:
    """Run jobs of the service that wait in its store, one after the other, until Ctrl-C."""
    from recsweep.service.job_worker import JobWorker
    from recsweep.service.runner import Where

    outputs = Path(options["outputs"] or "outputs")
    config = Path(options["config"].rpartition(":")[0] or options["config"]).parent
    worker = JobWorker(Where(address_of(options), outputs, config), max_running_jobs, say_aside)
    try:
        worker.work()
    finally:
        worker.close()


COMMANDS = [job_worker]
