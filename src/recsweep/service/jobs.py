"""Jobs as the service's routes, its workers and its pages ask for them."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from recsweep.common.address import StoreAddress
from recsweep.common.errors import InputError, UserError
from recsweep.common.files import content_hash, to_plain
from recsweep.service.states import ACTIONS, JobStatus, WrongTransition
from recsweep.study import Store, Trial
from recsweep.study.job_events import JobEvent, JobEvents, NewEvent
from recsweep.study.job_progress import JobProgress, counted_jobs
from recsweep.study.job_rows import JobRows
from recsweep.study.job_table import MOST_OF_A_KEY, SWEEP
from recsweep.study.job_trials import StudyTrials, details_of, studies_with_trials
from recsweep.study.outcomes import Outcome

__all__ = [
    "Job",
    "JobEvent",
    "JobProgress",
    "Jobs",
    "KeyTaken",
    "NewEvent",
    "NoSuchJob",
    "new_id",
    "sweep_name",
]

_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's, of 5 bits each: none is taken for another, and texts sort as their numbers do."""
_RANDOM_BITS, _LENGTH = 80, 26
State = tuple[Any, ...]
_TIMES = ("created", "queued", "started", "ended")


@dataclass(frozen=True)
class Job:
    """A job as it was when it was read.

    Attributes:
        request: what was asked for, plain.
        trials: how many it asks for; None where that was not said when it was made.
        error: why it failed or is paused.
        owner: the process that runs it, plain (`common.owner.Owner`); None where none does.
        claim: a word of that process's claim.
        events: the number of its last event.
        deaths: processes that died of it one after the other, without a trial having ended.
        counted: how far it is, where it was read with others and nothing has changed since it was counted.
    """

    id: str
    name: str
    status: JobStatus
    request: Mapping[str, Any]
    models: tuple[str, ...]
    datasets: tuple[str, ...]
    trials: int | None
    created: datetime
    queued: datetime | None = None
    started: datetime | None = None
    ended: datetime | None = None
    error: str | None = None
    owner: Mapping[str, Any] | None = None
    claim: str | None = None
    beat: int = 0
    deaths: int = 0
    events: int = 0
    counted: str | None = field(default=None, compare=False, repr=False)

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Job:
        values = {**row, "status": JobStatus(row["status"]), "request": json.loads(row["request"])}
        values["owner"] = json.loads(row["owner"]) if row["owner"] else None
        values |= {name: row[name] and row[name].replace(tzinfo=UTC) for name in _TIMES}
        return cls(**values | {name: tuple(row[name]) for name in ("models", "datasets")})


class NoSuchJob(UserError):
    """There is no job of that id."""

    def __init__(self, job_id: str) -> None:
        self.id = job_id
        super().__init__(f"there is no job {job_id[:64]}; ask for the list of jobs")


class KeyTaken(UserError):
    """An idempotency key that another request came with. `id` is the job that it made."""

    def __init__(self, job_id: str) -> None:
        self.id = job_id
        super().__init__(
            f"the idempotency key was used for another request, which made job {job_id}; take another key"
        )


def new_id() -> str:
    """An id that no other job has; of two, that of the job that was made later sorts later."""
    number = (time.time_ns() // 1_000_000) << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
    return "".join(_LETTERS[number >> 5 * digit & 31] for digit in reversed(range(_LENGTH)))


def sweep_name(job_id: str) -> str:
    """The name of a job's sweep, which its studies have in the store."""
    return f"{SWEEP}{job_id}"


class Jobs:
    """The jobs of a store. Any number of threads and processes may ask at once.

    Args:
        address: of the store, SQLite or PostgreSQL; the tables for jobs are made or brought up to date.
        patience_seconds: how long a store that is away is waited for.
        tell: takes a line when it has to be waited for.

    Raises:
        InputError: it is a store of a kind that keeps no jobs.
        UserError: its tables are of a later version of recsweep.
        StoreUnavailable: it cannot be opened.
    """

    def __init__(
        self,
        address: StoreAddress | str,
        patience_seconds: float = 0.0,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self.store = Store(address, patience_seconds, tell)
        self.rows = JobRows(self.store)
        self._events = JobEvents(self.rows)
        self._call = self.store.patience.call

    def close(self) -> None:
        """Give back the connections."""
        self.store.close()

    # -- made and removed --------------------------------------------------------------------------

    def create(
        self,
        request: Mapping[str, Any],
        name: str,
        models: Sequence[str],
        datasets: Sequence[str],
        idempotency_key: str | None = None,
        *,
        trials: int | None = None,
        job_id: str | None = None,
    ) -> Job:
        """Make a job, which nobody runs before `start`.

        Args:
            request: what is asked for, plain.
            idempotency_key: a second request with it is given the job that the first one made.
            trials: how many trials it asks for, where that is known.
            job_id: the id that it is to have; a new one by default.

        Raises:
            KeyTaken: the key came with another request.
            InputError: the key is too long, or empty.
        """
        if idempotency_key is not None and not 0 < len(idempotency_key) <= MOST_OF_A_KEY:
            raise InputError(
                "Idempotency-Key", f"has {len(idempotency_key)} characters", f"give 1 to {MOST_OF_A_KEY}"
            )
        plain = to_plain(dict(request))
        job = {
            "id": job_id or new_id(),
            "name": name,
            "status": JobStatus.CREATED.value,
            "request": json.dumps(plain, ensure_ascii=False),
            "request_hash": content_hash(plain),
            "idempotency_key": idempotency_key,
            "trials": trials,
        }
        made = self._call(lambda again: self._made(job, models, datasets, again=again))
        return self.get(made)

    def _made(
        self, job: dict[str, Any], models: Sequence[str], datasets: Sequence[str], *, again: bool
    ) -> str:
        if again and self.rows.get(job["id"]) is not None:
            return str(job["id"])
        made = self.rows.insert(job, models, datasets)
        if made is not None:
            return made
        first = self.rows.of_key(job["idempotency_key"])
        if first is None:  # removed meanwhile
            return self._made(job, models, datasets, again=again)
        if first[1] != job["request_hash"]:
            raise KeyTaken(first[0])
        return first[0]

    def delete(self, job_id: str) -> None:
        """Remove a job that does not run, with its events and its studies; its files are not touched.

        Raises:
            NoSuchJob: there is none.
            WrongTransition: it runs.
        """
        gone = self._call(lambda again: self.rows.delete(job_id, ACTIONS["delete"]) or again)
        if not gone:
            raise WrongTransition(job_id, "delete", self.get(job_id).status)
        for study in self.store.studies(sweep=sweep_name(job_id)):
            self.store.delete(study)

    # -- found -------------------------------------------------------------------------------------

    def get(self, job_id: str) -> Job:
        """One job.

        Raises:
            NoSuchJob: there is none.
        """
        row = self._call(lambda again: self.rows.get(job_id))
        if row is None:
            raise NoSuchJob(job_id)
        return Job.from_row(row)

    def state(self, job_id: str) -> State:
        """A value that is another one once something has happened in a job.

        Raises:
            NoSuchJob: there is none.
        """
        found = self._call(lambda again: self.rows.state(job_id))
        if found is None:
            raise NoSuchJob(job_id)
        return found

    def page(
        self,
        after: str | None = None,
        limit: int = 50,
        status: JobStatus | None = None,
        model: str | None = None,
        dataset: str | None = None,
    ) -> tuple[list[Job], str | None]:
        """Jobs, the newest first, and where the next page begins; None: there is none.

        Args:
            after: what the page before gave.
        """
        ask = self.rows.page
        rows = self._call(lambda again: ask(limit + 1, after, status and status.value, model, dataset))
        jobs = [Job.from_row(row) for row in rows[:limit]]
        return jobs, jobs[-1].id if len(rows) > limit else None

    def progress(self, jobs: Sequence[Job]) -> dict[str, JobProgress]:
        """How far jobs are, by their ids: as a page has it, else counted, and kept for the next page."""
        counted = {job.id: JobProgress.of_json(job.counted) for job in jobs if job.counted is not None}
        asked = {job.id: job.trials for job in jobs if job.id not in counted}
        return counted | (self._call(lambda again: counted_jobs(self.rows, asked)) if asked else {})

    def studies(self, job: Job) -> list[StudyTrials]:
        """The studies of a job with the outcomes of their trials, in the order in which they were begun."""
        if job.status is JobStatus.CREATED:
            return []
        return self._call(lambda again: studies_with_trials(self.rows, sweep_name(job.id)))

    def details(self, trials: Iterable[Outcome], *, whole: bool = False) -> dict[int, Trial]:
        """Some trials, by their ids; `whole`: with the values of all objectives, and their validations."""
        wanted = list(trials)
        return self._call(lambda again: details_of(self.rows, wanted, whole=whole)) if wanted else {}

    def counts(self) -> dict[JobStatus, int]:
        """How many jobs are in each state."""
        found = self._call(lambda again: self.rows.counts())
        return {status: found.get(status.value, 0) for status in JobStatus}

    # -- moved -------------------------------------------------------------------------------------

    def start(self, job_id: str) -> Job:
        """Let a job that was created wait for a job worker.

        Raises:
            NoSuchJob: there is none.
            WrongTransition: it is not in a state for that.
        """
        return self._wish(job_id, "start", [JobStatus.QUEUED], {"queued": True})

    def resume(self, job_id: str) -> Job:
        """Let a job that is paused, was cancelled or failed wait for a job worker again; it goes on.

        Raises:
            NoSuchJob: there is none.
            WrongTransition: it is not in a state for that.
        """
        anew = {"queued": True, "ended": None, "error": None, "deaths": 0}
        return self._wish(job_id, "resume", [JobStatus.QUEUED], anew)

    def cancel(self, job_id: str) -> Job:
        """End a job: at once where it does not run, else its job worker stops its trials.

        Raises:
            NoSuchJob: there is none.
            WrongTransition: it is not in a state for that.
        """
        idle = ACTIONS["cancel"] - {JobStatus.RUNNING}
        ended = [JobStatus.CANCELLING, JobStatus.CANCELLED]
        while True:  # it may go from one to the other meanwhile
            if self._move(job_id, idle, ended, {"ended": True, "error": None}):
                return self.get(job_id)
            if self._move(job_id, frozenset({JobStatus.RUNNING}), [JobStatus.CANCELLING], {}):
                return self.get(job_id)
            status = self.get(job_id).status
            if status not in ACTIONS["cancel"]:
                raise WrongTransition(job_id, "cancel", status)

    def _wish(self, job_id: str, action: str, targets: Sequence[JobStatus], values: Mapping[str, Any]) -> Job:
        if not self._move(job_id, ACTIONS[action], targets, values):
            raise WrongTransition(job_id, action, self.get(job_id).status)
        return self.get(job_id)

    def _move(
        self,
        job_id: str,
        sources: frozenset[JobStatus],
        targets: Sequence[JobStatus],
        values: Mapping[str, Any],
    ) -> bool:
        old, through = [source.value for source in sources], [target.value for target in targets]
        return self._call(lambda again: self.rows.move(job_id, old, *through, values=values) or again)

    # -- what happened -----------------------------------------------------------------------------

    def events(self, job_id: str, after: int = 0, limit: int = 500) -> list[JobEvent]:
        """The events of a job behind the one with the number `after`, in order."""
        return self._call(lambda again: self._events.read(job_id, after, limit))

    def add_event(self, job_id: str, kind: str, data: Mapping[str, Any], mark: str | None = None) -> None:
        """Tell of something; where an event has the same mark already, nothing happens."""
        self.add_events(job_id, [NewEvent(kind, data, mark)])

    def add_events(self, job_id: str, new: Sequence[NewEvent]) -> int:
        """Likewise, of several things in order; how many were not told before."""
        ended = any(one.kind == "trial.ended" for one in new)
        return self._call(lambda again: self._events.add(job_id, new, trial_ended=ended))

    def told(self, job_id: str) -> set[str]:
        """The marks of a job's events."""
        return self._call(lambda again: self._events.marks(job_id))
