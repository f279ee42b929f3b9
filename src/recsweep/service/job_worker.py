"""A job worker: claims a job, runs it in a process of its own, tells what happens and how it ended.

It trains nothing and imports no torch. One job at a time: a machine that is to run several has several.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from recsweep.common.errors import SweepPaused
from recsweep.common.interrupts import as_interrupt
from recsweep.common.owner import this_process
from recsweep.service.claims import BEAT_SECONDS, Claims
from recsweep.service.jobs import Job, Jobs, sweep_name
from recsweep.service.runner import Outcome, Where
from recsweep.service.running import RunningJob
from recsweep.service.states import JobStatus
from recsweep.service.telling import Teller
from recsweep.study import raise_flag

PATIENCE_SECONDS = 600.0
"""How long a job worker waits for a store that is away."""
STOPS_WITHIN_SECONDS, ENDS_WITHIN_SECONDS = 1.0, 3.0
"""How long a cancelled job may take to see the flag, and then, told by a signal, to put its slots back."""
MOST_DEATHS = 5
"""So often one after the other the process of a job may die without a trial having ended."""
_LOOK_SECONDS = 0.5
_IDLE_SECONDS = 1.0

Tell = Callable[[str], None]


class _LostError(Exception):
    """Another process has the job."""


class JobWorker:
    """Runs jobs of a store, one after the other.

    Args:
        where: the places of the service.
        most_running: jobs that may run at once, over all job workers of the store; None: any number.
        tell: takes lines for people.
        start: starts the process of a job.
    """

    def __init__(
        self,
        where: Where,
        most_running: int | None = None,
        tell: Tell = lambda line: None,
        start: Callable[[Where, str], RunningJob] = RunningJob,
    ) -> None:
        self._where, self._most, self._tell, self._start = where, most_running, tell, start
        self._jobs = Jobs(where.store, PATIENCE_SECONDS, tell)
        self._claims = Claims(self._jobs, this_process())

    def work(self, *, until_idle: bool = False) -> None:
        """Claim jobs and run them, until a signal ends that; a job that runs then goes back to the queue.

        Args:
            until_idle: end where no job is there to be claimed.

        Raises:
            KeyboardInterrupt: it was told to end.
            StoreUnavailable: the store stays away.
        """
        with as_interrupt():
            while True:
                job = self._claims.claim(self._most)
                if job is not None:
                    self.run(job)
                elif until_idle:
                    return
                else:
                    time.sleep(_IDLE_SECONDS)

    def close(self) -> None:
        """Give back the connections."""
        self._jobs.close()

    def run(self, job: Job) -> None:
        """Run a claimed job to whatever end it comes to."""
        teller = Teller(self._jobs, job)
        if job.status is JobStatus.CANCELLING:  # its job worker died before it was done with that
            self._end(job, teller, Outcome(JobStatus.CANCELLED))
            return
        self._tell(f"job {job.id} ({job.name}) runs")
        running = self._start(self._where, job.id)
        try:
            self._attend(job, running, teller)
        except _LostError:
            running.kill()
            self._tell(f"job {job.id} is another job worker's; it took this one for dead")
        except BaseException:
            running.tell_to_stop()
            running.ended(ENDS_WITHIN_SECONDS)
            running.kill()
            self._jobs.store.patience.seconds = 0.0  # whoever ends us is not to wait
            with suppress(SweepPaused):  # the store is away; the next job worker finds that this one is gone
                self._end(job, teller, Outcome(JobStatus.QUEUED))
            raise
        else:
            outcome = running.outcome()
            deaths = 0 if outcome else self._jobs.get(job.id).deaths + 1
            self._end(job, teller, outcome or self._died(job, running, deaths), deaths)

    def _attend(self, job: Job, running: RunningJob, teller: Teller) -> None:
        """See to a job until its process has ended."""
        beaten, asked = time.monotonic(), None
        while not running.ended(_LOOK_SECONDS):
            now = time.monotonic()
            if now - beaten >= BEAT_SECONDS:
                beaten, status = now, self._claims.beat(job)
            else:
                status = self._claims.status(job)
            if status is None:
                raise _LostError
            if status is JobStatus.CANCELLING:
                asked = asked or self._ask_to_stop(job)
                self._press(running, time.monotonic() - asked)
            teller.look()

    def _ask_to_stop(self, job: Job) -> float:
        """Raise the flag that whoever works on the job's studies looks for; when that was."""
        self._tell(f"job {job.id} is cancelled")
        for study in self._jobs.store.studies(sweep=sweep_name(job.id)):
            raise_flag(study, now=True, everything=True)
        return time.monotonic()

    @staticmethod
    def _press(running: RunningJob, waited: float) -> None:
        if waited >= ENDS_WITHIN_SECONDS:
            running.kill()
        elif waited >= STOPS_WITHIN_SECONDS:
            running.tell_to_stop()

    def _died(self, job: Job, running: RunningJob, deaths: int) -> Outcome:
        if deaths < MOST_DEATHS:
            self._tell(f"job {job.id}: its process died ({running.how_it_ended}); it goes on")
            return Outcome(JobStatus.QUEUED)
        return Outcome(
            JobStatus.FAILED,
            f"the process that runs it died {deaths} times one after the other without a trial having ended "
            f"(the last time: {running.how_it_ended}); see {running.log}; correct the cause and resume it",
        )

    def _end(self, job: Job, teller: Teller, outcome: Outcome, deaths: int = 0) -> None:
        """Put back what ran, tell the rest, and let go of the job."""
        if outcome.status is not JobStatus.COMPLETED:
            for study in self._jobs.store.studies(sweep=sweep_name(job.id)):
                with suppress(SweepPaused):  # one slot again and again: whoever runs the job next says so
                    study.put_back_orphans()
        teller.look(last=True)
        ended = self._claims.end(job, outcome.status, outcome.error, deaths=deaths)
        why = f": {outcome.error}" if outcome.error and ended is not JobStatus.CANCELLED else ""
        self._tell(f"job {job.id} is {ended}{why}" if ended else f"job {job.id} is another job worker's")
