"""The store: studies, their slots, and the trials that fill them. The only importer of Optuna.

The store is an Optuna RDB storage, so any Optuna tool opens it. A slot is one unit of the budget
and keeps its number and its seed whatever happens. It is filled by trials: the first one waits
from the start; when the process of a trial dies, the trial is closed as failed and a new one waits
for the same slot. What a slot came to is what its latest trial came to.

Optuna's rules do the rest: a waiting trial is claimed by an atomic change of state, of which one
worker wins; a finished trial is immutable, so a worker that comes back late is told so.
"""

from __future__ import annotations

import contextlib
import json
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import DuplicatedStudyError, StorageInternalError, UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.storages._rdb.models import TrialModel, TrialUserAttributeModel
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from recsweep.errors import InputError, StoreUnavailable, StudyChanged
from recsweep.files import canonical_json, to_plain
from recsweep.owner import Owner
from recsweep.space import Choice, LogUniform, Params, QUniform, RandInt, Space

optuna.logging.set_verbosity(optuna.logging.WARNING)

LOCK_TIMEOUT_SECONDS = 60
STALE_AFTER_SECONDS = 90.0
"""A running trial whose process cannot be seen from here is given up after this long without a
heartbeat. Measured by the observer's own clock, so clocks need not agree."""
HEARTBEAT_SECONDS = 15.0

_FEW = 8  # trials worth reading one by one rather than all at once
_BID = "bid:"

# Failures that do not count: the slot goes back.
INTERRUPTED, DUPLICATE = "interrupted", "duplicate"
# What Optuna raises for a trial that was closed, or whose study was restarted.
_GONE = (UpdateFinishedTrialError, KeyError)
# Failures that are a result.
DIVERGED, OUT_OF_MEMORY, ERROR, TIMEOUT, CRASH = "diverged", "out_of_memory", "error", "timeout", "crash"


@dataclass(frozen=True)
class Trial:
    """One trial as the store has it."""

    id: int
    number: int
    slot: int
    state: str
    """waiting, running, complete, pruned or failed"""
    attempt: int = 0
    crashes: int = 0
    params: Params = field(default_factory=dict)
    seed: int | None = None
    score: float | None = None
    result: dict[str, Any] = field(default_factory=dict)
    failure: dict[str, Any] = field(default_factory=dict)
    curve: dict[int, float] = field(default_factory=dict)
    """Validation score by epoch."""
    environment: dict[str, Any] = field(default_factory=dict)
    owner: dict[str, Any] = field(default_factory=dict)
    bids: list[dict[str, Any]] = field(default_factory=list)
    """Processes that wanted the trial, should the one that got it have died before it said so."""
    started: datetime | None = None
    finished: datetime | None = None

    @property
    def counted(self) -> bool:
        """Whether this trial fills its slot."""
        if self.state == "failed":
            return self.failure.get("kind") not in (INTERRUPTED, DUPLICATE)
        return self.state in ("complete", "pruned")


@dataclass(frozen=True)
class Claim:
    """A slot that this process alone may fill."""

    trial_id: int
    slot: int
    attempt: int
    crashes: int


class Store:
    """An Optuna storage with the waiting, the claims and the errors that a sweep needs.

    Args:
        url: SQLAlchemy URL, `sqlite:///outputs/recsweep.db` by default.

    Raises:
        InputError: not a URL that SQLAlchemy knows.
        StoreUnavailable: it cannot be opened.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        with _store_errors(url), _schema_lock(url):
            try:
                self._rdb = _open(url)
            except (sqlalchemy.exc.ArgumentError, ImportError) as error:
                raise InputError(
                    "storage", f"cannot be opened: {error}", "use sqlite:///FILE or postgresql+psycopg://…"
                ) from None
            self.backend = self._rdb

    def open_study(
        self, name: str, definition: Mapping[str, Any], *, maximize: bool, restart: bool = False
    ) -> Study:
        """The study of that name, made now if there is none.

        Args:
            definition: all that decides what its trials compute.
            restart: archive a study that was made from another definition, or in which every
                trial failed, and start anew.

        Raises:
            StudyChanged: the study has trials and was made from another definition.
        """
        with _store_errors(self.url):
            direction = StudyDirection.MAXIMIZE if maximize else StudyDirection.MINIMIZE
            with contextlib.suppress(DuplicatedStudyError):
                self.backend.create_new_study([direction], name)
            study = Study(self, name, self.backend.get_study_id_from_name(name))
            stored = study.attributes.get("definition")
            wanted = json.loads(canonical_json(definition))
            changed = stored is not None and stored != wanted and bool(study.trials())
            if changed and not restart:
                raise StudyChanged(_changed_message(name, stored, wanted))
            if changed or (restart and study.all_failed()):
                self._archive(name)
                return self.open_study(name, definition, maximize=maximize)
            if stored != wanted:
                study.set_attribute("definition", wanted)
            return study

    def find_study(self, name: str, definition: Mapping[str, Any] | None = None) -> Study | None:
        """The study of that name, or None. Makes nothing.

        Raises:
            StudyChanged: a definition is given, and the study was made from another one.
        """
        with _store_errors(self.url):
            try:
                study = Study(self, name, self.backend.get_study_id_from_name(name))
            except KeyError:
                return None
            stored = study.attributes.get("definition")
            if definition is not None and stored is not None:
                wanted = json.loads(canonical_json(definition))
                if stored != wanted and study.trials():
                    raise StudyChanged(_changed_message(name, stored, wanted))
            return study

    def names(self) -> list[str]:
        """Names of all studies."""
        with _store_errors(self.url):
            return [study.study_name for study in self.backend.get_all_studies()]

    def close(self) -> None:
        """Give back the connections."""
        self._rdb.remove_session()
        self._rdb.engine.dispose()

    def _archive(self, name: str) -> None:
        """Keep a study under another name: nothing is ever lost."""
        archive = f"{name}@{datetime.now().strftime('%Y%m%d-%H%M%S-%f')}"
        optuna.copy_study(
            from_study_name=name, from_storage=self._rdb, to_storage=self._rdb, to_study_name=archive
        )
        self.backend.delete_study(self.backend.get_study_id_from_name(name))


class Study:
    """One study in the store."""

    def __init__(self, store: Store, name: str, study_id: int) -> None:
        self.name, self._id, self._store = name, study_id, store
        self._storage = store.backend
        self._seen_beats: dict[int, tuple[int, float]] = {}
        self._finished: dict[int, Trial] = {}  # immutable, so each is read once

    # -- reading ---------------------------------------------------------------------------------

    @property
    def attributes(self) -> dict[str, Any]:
        with self._errors():
            return dict(self._storage.get_study_user_attrs(self._id))

    def set_attribute(self, name: str, value: Any) -> None:
        with self._errors():
            self._storage.set_study_user_attr(self._id, name, to_plain(value))

    def trials(self) -> list[Trial]:
        """Every trial, in the order in which they were made."""
        with self._errors():
            return [_from_optuna(t) for t in self._storage.get_all_trials(self._id, deepcopy=False)]

    def running(self) -> list[Trial]:
        """The trials that run now, whoever runs them."""
        with self._errors():
            index = self._index(TrialState.RUNNING)
            return [_from_optuna(self._storage.get_trial(trial.id)) for trial in index]

    def slots(self) -> dict[int, Trial]:
        """The latest trial of each slot, by slot; unfinished ones without their details."""
        return _latest(self._known())

    def results(self) -> list[Trial]:
        """The counted trials, one a slot, by slot: what the study has found so far."""
        return [trial for _, trial in sorted(self.slots().items()) if trial.counted]

    def all_failed(self) -> bool:
        """Whether there are results and none of them is a success."""
        results = self.results()
        return bool(results) and all(trial.state == "failed" for trial in results)

    # -- budget ----------------------------------------------------------------------------------

    def ensure_slots(self, budget: int) -> int:
        """See to it that each of the first `budget` slots is filled, running or waiting.

        Returns:
            How many slots of the budget are not filled yet.
        """
        slots = self.slots()
        for slot in range(budget):
            trial = slots.get(slot)
            if trial is None:
                self._add_waiting(slot, attempt=0, crashes=0)
            elif trial.state == "failed" and not trial.counted:
                # Its process died after closing the trial and before putting the slot back.
                self._add_waiting(slot, trial.attempt + 1, trial.crashes)
        return sum(not (slot in slots and slots[slot].counted) for slot in range(budget))

    def open_slots(self, budget: int) -> int:
        """How many slots of the budget wait."""
        with self._errors():
            return sum(trial.slot < budget for trial in self._index(TrialState.WAITING))

    def _add_waiting(self, slot: int, attempt: int, crashes: int) -> None:
        template = create_trial(
            state=TrialState.WAITING,
            user_attrs={"slot": slot, "attempt": attempt, "crashes": crashes},
        )
        with self._errors():
            self._storage.create_new_trial(self._id, template)

    def claim(self, budget: int, owner: Owner) -> Claim | None:
        """Take the lowest waiting slot of the budget; None when none waits."""
        with self._errors():
            index = self._index(TrialState.WAITING)
            waiting = sorted((t for t in index if t.slot < budget), key=lambda t: (t.slot, t.number))
            for trial in waiting:
                # The bid stands before the state changes: a process that dies in between is known.
                self._write(trial.id, f"{_BID}{owner.place}/{owner.pid}", owner.to_dict())
                if not self._set_state(trial.id, TrialState.RUNNING):
                    continue
                self.beat(trial.id, owner, 0)
                attributes = self._storage.get_trial_user_attrs(trial.id)
                claim = Claim(trial.id, trial.slot, attributes["attempt"], attributes["crashes"])
                if not self._is_duplicate(claim, trial.number):
                    return claim
                self._close(trial.id, DUPLICATE, "another trial fills the slot")
        return None

    def _is_duplicate(self, claim: Claim, number: int) -> bool:
        """Two processes that put one slot back at once make two trials; the first one counts."""
        others = [t for t in self._known() if t.slot == claim.slot and t.id != claim.trial_id]
        return any(
            trial.state in ("complete", "pruned")
            # A retry has a higher attempt than the failure before it; a second trial has the same.
            or (trial.number < number and trial.state in ("waiting", "running"))
            or (trial.number < number and trial.counted and trial.attempt == claim.attempt)
            for trial in others
        )

    # -- one trial -------------------------------------------------------------------------------

    def start(
        self, claim: Claim, params: Params, space: Space, seed: int, environment: Mapping[str, Any]
    ) -> bool:
        """Record what is about to be trained; False if the trial was closed meanwhile."""
        written = {
            name: (_distribution(space[name]), _for_optuna(space[name], value))
            for name, value in params.items()
        }
        with self._errors():
            try:
                for name, (distribution, value) in written.items():
                    internal = distribution.to_internal_repr(value)
                    self._storage.set_trial_param(claim.trial_id, name, internal, distribution)
                setup = {"params": params, "seed": seed, "environment": environment}
                self._storage.set_trial_user_attr(claim.trial_id, "setup", to_plain(setup))
            except _GONE:
                return False
            return True

    def report(self, claim: Claim, epoch: int, score: float) -> bool:
        """Record a validation score; False if the trial was closed meanwhile."""
        with self._errors():
            try:
                self._storage.set_trial_intermediate_value(claim.trial_id, epoch, score)
            except _GONE:
                return False
            return True

    def finish(self, claim: Claim, score: float, result: Mapping[str, Any]) -> bool:
        """Close a trial with its result; False if it was closed before, and the result is dropped."""
        with self._errors():
            try:
                self._storage.set_trial_user_attr(claim.trial_id, "result", to_plain(result))
                return self._storage.set_trial_state_values(claim.trial_id, TrialState.COMPLETE, [score])
            except _GONE:
                return False

    def fail(self, claim: Claim, kind: str, message: str) -> bool:
        """Close a trial with the reason of its failure; False if it was closed before."""
        with self._errors():
            return self._close(claim.trial_id, kind, message)

    def put_back(self, claim: Claim, message: str, *, crashed: bool = False) -> bool:
        """Close a trial whose process is gone and let its slot wait again."""
        with self._errors():
            if not self._close(claim.trial_id, INTERRUPTED, message):
                return False
            self._add_waiting(claim.slot, claim.attempt + 1, claim.crashes + crashed)
            return True

    def return_slots(self, trials: list[Trial]) -> None:
        """Let slots wait again whose failures were not the fault of their trials."""
        for trial in trials:
            self._add_waiting(trial.slot, trial.attempt + 1, trial.crashes)

    def put_back_owned(self, owner: Owner, message: str) -> None:
        """Put back every running trial of a process's workers, which are all gone."""
        for trial in self.running():
            owners = [Owner.from_dict(data) for data in ([trial.owner] if trial.owner else trial.bids)]
            if any(replace(known, worker=None) == replace(owner, worker=None) for known in owners):
                self.put_back(claim_of(trial), message)

    def beat(self, trial_id: int, owner: Owner, count: int) -> None:
        """A sign of life."""
        with self._errors(), contextlib.suppress(*_GONE):
            self._storage.set_trial_user_attr(trial_id, "owner", {**owner.to_dict(), "beat": count})

    def put_back_orphans(self, stale_after: float = STALE_AFTER_SECONDS) -> int:
        """Put back the running trials whose processes are gone; how many there were.

        A process of this machine is looked up. One that cannot be seen from here, or that died
        before its first sign of life, is given up when its beat has not changed for `stale_after`
        seconds of this process's own clock; call again meanwhile.
        """
        orphans = 0
        for trial in self.running():
            alive = _alive(trial)
            if alive or (alive is None and not self._beat_is_stale(trial, stale_after)):
                continue
            orphans += self.put_back(claim_of(trial), "the process that ran the trial is gone")
        return orphans

    def _beat_is_stale(self, trial: Trial, stale_after: float) -> bool:
        now, beat = time.monotonic(), int(trial.owner.get("beat", -1))
        known = self._seen_beats.get(trial.id)
        if known is None or known[0] != beat:
            self._seen_beats[trial.id] = (beat, now)
            return False
        return now - known[1] > stale_after

    # -- helpers ---------------------------------------------------------------------------------

    def _known(self) -> list[Trial]:
        """Every trial: the finished ones whole, each read once; the others as the index has them."""
        with self._errors():
            index = self._index()
            unread = [t.id for t in index if _is_finished(t) and t.id not in self._finished]
            if len(unread) > _FEW:
                read = self._storage.get_all_trials(self._id, deepcopy=False)
            else:
                read = [self._storage.get_trial(trial_id) for trial_id in unread]
            whole = {trial._trial_id: _from_optuna(trial) for trial in read}
            self._finished.update({id_: trial for id_, trial in whole.items() if _is_finished(trial)})
        return [self._finished.get(trial.id, trial) for trial in index]

    def _index(self, *states: TrialState) -> list[Trial]:
        """Number, slot and state of each trial, in one query: all that most questions need."""
        trials, attributes = TrialModel.__table__, TrialUserAttributeModel.__table__
        slot = sqlalchemy.and_(attributes.c.trial_id == trials.c.trial_id, attributes.c.key == "slot")
        query = (
            sqlalchemy.select(trials.c.trial_id, trials.c.number, trials.c.state, attributes.c.value_json)
            .select_from(trials.outerjoin(attributes, slot))
            .where(trials.c.study_id == self._id)
            .order_by(trials.c.trial_id)
        )
        if states:
            query = query.where(trials.c.state.in_(states))
        with self._storage.engine.connect() as connection:
            rows = connection.execute(query).all()
        return [
            Trial(id_, number, number if text is None else json.loads(text), _STATES[state])
            for id_, number, state, text in rows
        ]

    def _write(self, trial_id: int, name: str, value: Any) -> None:
        with contextlib.suppress(*_GONE):
            self._storage.set_trial_user_attr(trial_id, name, to_plain(value))

    def _set_state(self, trial_id: int, state: TrialState) -> bool:
        try:
            return self._storage.set_trial_state_values(trial_id, state)
        except _GONE:
            return False

    def _close(self, trial_id: int, kind: str, message: str) -> bool:
        try:
            self._storage.set_trial_user_attr(trial_id, "failure", {"kind": kind, "message": message})
            return self._set_state(trial_id, TrialState.FAIL)
        except _GONE:
            return False

    def _errors(self) -> contextlib.AbstractContextManager[None]:
        return _store_errors(self._store.url)


def claim_of(trial: Trial) -> Claim:
    """The claim under which a trial runs."""
    return Claim(trial.id, trial.slot, trial.attempt, trial.crashes)


def best(results: list[Trial], *, maximize: bool) -> Trial | None:
    """The trial with the best score; ties go to the lower slot."""
    done = [trial for trial in results if trial.score is not None]
    if not done:
        return None
    sign = -1 if maximize else 1
    return min(done, key=lambda trial: (sign * (trial.score or 0.0), trial.slot))


def _latest(trials: list[Trial]) -> dict[int, Trial]:
    slots: dict[int, Trial] = {}
    for trial in sorted(trials, key=lambda t: t.number):
        if trial.failure.get("kind") == DUPLICATE:
            continue
        current = slots.get(trial.slot)
        # A finished slot stays finished, should a second trial of it ever be made.
        if current is None or current.state not in ("complete", "pruned"):
            slots[trial.slot] = trial
    return slots


_STATES = {
    TrialState.WAITING: "waiting",
    TrialState.RUNNING: "running",
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}


def _is_finished(trial: Trial) -> bool:
    return trial.state in ("complete", "pruned", "failed")


def _alive(trial: Trial) -> bool | None:
    """Whether the process that runs a trial lives; None where that cannot be told from here."""
    if trial.owner:
        return Owner.from_dict(trial.owner).alive()
    bidders = [Owner.from_dict(bid).alive() for bid in trial.bids]
    # It died between taking the trial and saying so, if nobody who wanted it lives.
    return False if bidders and all(alive is False for alive in bidders) else None


def _from_optuna(trial: FrozenTrial) -> Trial:
    attributes = trial.user_attrs
    setup = attributes.get("setup", {})
    return Trial(
        id=trial._trial_id,
        number=trial.number,
        slot=int(attributes.get("slot", trial.number)),
        state=_STATES[trial.state],
        attempt=int(attributes.get("attempt", 0)),
        crashes=int(attributes.get("crashes", 0)),
        params=dict(setup.get("params", trial.params)),
        seed=setup.get("seed"),
        score=trial.values[0] if trial.state == TrialState.COMPLETE and trial.values else None,
        result=dict(attributes.get("result", {})),
        failure=dict(attributes.get("failure", {})) if trial.state == TrialState.FAIL else {},
        curve=dict(sorted(trial.intermediate_values.items())),
        environment=dict(setup.get("environment", {})),
        owner=dict(attributes.get("owner", {})),
        bids=[bid for name, bid in attributes.items() if name.startswith(_BID)],
        started=trial.datetime_start,
        finished=trial.datetime_complete,
    )


def _distribution(parameter: Any) -> BaseDistribution:
    if isinstance(parameter, Choice):
        return CategoricalDistribution([_for_optuna(parameter, value) for value in parameter.grid()])
    if isinstance(parameter, RandInt):
        return IntDistribution(parameter.min, parameter.max)
    if isinstance(parameter, QUniform):
        if parameter.integral:
            return IntDistribution(int(parameter.min), int(parameter.max), step=int(parameter.q))
        return FloatDistribution(parameter.min, parameter.max, step=parameter.q)
    return FloatDistribution(parameter.min, parameter.max, log=isinstance(parameter, LogUniform))


def _for_optuna(parameter: Any, value: Any) -> Any:
    """Optuna's categories are scalars; a list becomes its JSON text."""
    if isinstance(parameter, Choice) and isinstance(value, list | tuple):
        return json.dumps(list(value))
    return value


def _open(url: str) -> RDBStorage:
    if url.startswith("sqlite"):
        database = sqlalchemy.engine.make_url(url).database
        if database:
            Path(database).parent.mkdir(parents=True, exist_ok=True)
        storage_arguments: dict[str, Any] = {"connect_args": {"timeout": LOCK_TIMEOUT_SECONDS}}
    else:
        storage_arguments = {"pool_pre_ping": True}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        storage = RDBStorage(url, engine_kwargs=storage_arguments)
    if url.startswith("sqlite"):
        _tune_sqlite(storage.engine)
    return storage


def _tune_sqlite(engine: sqlalchemy.engine.Engine) -> None:
    """Write-ahead log, so that readers do not block the writer, and transactions that take the
    write lock when they begin: only then is read-check-write, and with it a claim, atomic.
    """

    def connect(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # we begin transactions ourselves
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        # Loses nothing when a process dies; a power cut may cost the last transactions, never the file.
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.close()

    def begin(connection: sqlalchemy.engine.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    sqlalchemy.event.listen(engine, "connect", connect)
    sqlalchemy.event.listen(engine, "begin", begin)
    engine.dispose()  # connections made before the listeners


@contextlib.contextmanager
def _schema_lock(url: str) -> Iterator[None]:
    """Processes that create the tables of one SQLite file together crash; let them queue."""
    database = sqlalchemy.engine.make_url(url).database if url.startswith("sqlite:///") else None
    if not database or database == ":memory:":
        yield
        return
    import fcntl

    Path(database).parent.mkdir(parents=True, exist_ok=True)
    with Path(f"{database}.lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _store_errors(url: str) -> Iterator[None]:
    """Whatever the database throws becomes one line that says what to do."""
    try:
        yield
    except (StorageInternalError, sqlalchemy.exc.SQLAlchemyError, OSError) as error:
        cause = error.__cause__ or error
        text = str(getattr(cause, "orig", None) or cause).splitlines()[0]
        place = sqlalchemy.engine.make_url(url).render_as_string(hide_password=True) if "://" in url else url
        full = any(word in text for word in ("full", "No space", "disk I/O"))
        advice = "free some disk space" if full else "make it reachable"
        raise StoreUnavailable(
            f"the store {place} cannot be used; {text}; {advice} and run the same command again, "
            "no trial is lost"
        ) from error


def _changed_message(name: str, stored: Any, wanted: Any) -> str:
    changes = list(_differences(stored, wanted, ""))
    shown = ", ".join(changes[:6]) + (f" and {len(changes) - 6} more" if len(changes) > 6 else "")
    return (
        f"study {name} has trials of another definition; {shown}; "
        "set it back, give the sweep a new name, or pass --restart (the old study is kept under another name)"
    )


def _differences(stored: Any, wanted: Any, path: str) -> Iterator[str]:
    if isinstance(stored, dict) and isinstance(wanted, dict):
        for key in sorted({*stored, *wanted}):
            yield from _differences(stored.get(key), wanted.get(key), f"{path}.{key}" if path else key)
    elif stored != wanted:
        yield f"{path}: {_brief(stored)} -> {_brief(wanted)}"


def _brief(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:18]}…{text[-18:]}"
