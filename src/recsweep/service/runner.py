"""The process in which a job's sweep runs: started by a job worker, in a group of its own, told by a pipe.

It knows nothing of claims. It runs the sweep as `recsweep tune` does, and says what it came to; when its job
worker is gone it goes too, and its trial workers with it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recsweep.common.address import StoreAddress
from recsweep.common.errors import EXIT_PAUSED, RecsweepError, disk_trouble
from recsweep.common.interrupts import as_interrupt
from recsweep.common.masking import mask, mask_traceback
from recsweep.common.surroundings import end_with
from recsweep.service.states import JobStatus

JOBS_FOLDER, LOG = "jobs", "job.log"
_LONGEST = 2000
"""Characters of a message that is kept with a job."""


@dataclass(frozen=True)
class Where:
    """The places of a service.

    Attributes:
        store: of jobs and trials.
        outputs: the folder in which each job has one of its own.
        config: the folder of `models/` and `datasets/`.
    """

    store: StoreAddress
    outputs: Path
    config: Path

    def folder(self, job_id: str) -> Path:
        """The files of a job."""
        return self.outputs / JOBS_FOLDER / job_id

    def to_json(self) -> str:
        """For the pipe to a process of ours; nobody else may read it."""
        return json.dumps([self.store.reveal(), str(self.outputs), str(self.config)])

    @classmethod
    def from_json(cls, text: str) -> Where:
        store, outputs, config = json.loads(text)
        return cls(StoreAddress.of(store).below(Path(outputs)), Path(outputs), Path(config))


@dataclass(frozen=True)
class Outcome:
    """The end that a run came to.

    Attributes:
        status: the job's state; `QUEUED` where the run was told to stop.
        error: why it came to no good end.
    """

    status: JobStatus
    error: str | None = None

    def to_json(self) -> str:
        return json.dumps([self.status.value, self.error])

    @classmethod
    def from_json(cls, text: str) -> Outcome:
        status, error = json.loads(text)
        return cls(JobStatus(status), error)


def main() -> None:
    """A runner's life. Standard input holds where it is and what it runs, in three lines."""
    where, job_id, told = sys.stdin.read().splitlines()
    pipe, parent = map(int, told.split())
    os.set_inheritable(pipe, False)
    end_with(parent, lambda: os.killpg(0, signal.SIGKILL))  # the trial workers end with this process
    outcome = outcome_of(lambda: run(Where.from_json(where), job_id))
    with suppress(OSError):  # nobody listens any more
        os.write(pipe, outcome.to_json().encode())


def outcome_of(step: Callable[[], Any]) -> Outcome:
    """The end of a run, whatever it was."""
    try:
        with as_interrupt():
            step()
    except KeyboardInterrupt:
        return Outcome(JobStatus.QUEUED)
    except Exception as caught:
        error = disk_trouble(caught) or caught
        sys.stderr.write(mask_traceback(error))
        ours = isinstance(error, RecsweepError)
        paused = isinstance(error, RecsweepError) and error.exit_code == EXIT_PAUSED
        text = str(error) if ours else mask(f"{type(error).__name__}: {error}")
        return Outcome(JobStatus.PAUSED if paused else JobStatus.FAILED, text[:_LONGEST])
    return Outcome(JobStatus.COMPLETED)


def run(where: Where, job_id: str) -> None:
    """Run the sweep of a job to its end, as far as the store has it not already.

    Raises:
        RecsweepError: as `SweepRun.tune`, and where the request is none that can be run here.
    """
    from recsweep.api.slots import require_device
    from recsweep.api.studies import Studies
    from recsweep.api.sweep_run import SweepRun
    from recsweep.service.jobs import Jobs
    from recsweep.service.request import JobRequest
    from recsweep.service.sweep_of import plans_of, sweep_of

    jobs = Jobs(where.store)
    job = jobs.get(job_id)
    jobs.close()
    request = JobRequest.model_validate(dict(job.request))
    folder = _made(where, job_id)
    sweep = sweep_of(request, job_id, outputs=folder, storage=where.store, config=where.config)
    plans = plans_of(sweep, request)
    require_device(plans)
    SweepRun(Studies(sweep, plans, plans), lambda: f"resume job {job_id}").tune(lambda summary: None)


def _made(where: Where, job_id: str) -> Path:
    """The folder of a job. Its cache of splits is the one that all jobs share."""
    folder, shared = where.folder(job_id), where.outputs / "cache"
    folder.mkdir(parents=True, exist_ok=True)
    shared.mkdir(exist_ok=True)
    with suppress(FileExistsError):
        (folder / "cache").symlink_to(Path("..", "..", "cache"), target_is_directory=True)
    return folder
