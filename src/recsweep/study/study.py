"""One study: its slots, their claims, and what came of them."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import sqlalchemy
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.storages._rdb.models import TrialModel, TrialUserAttributeModel
from optuna.trial import TrialState, create_trial

from recsweep.files import to_plain
from recsweep.owner import Owner
from recsweep.space import Params, Space
from recsweep.study.database import store_errors
from recsweep.study.trial import (
    BID,
    DUPLICATE,
    INTERRUPTED,
    STATES,
    Claim,
    Trial,
    claim_of,
    distribution_of,
    for_optuna,
    from_optuna,
    is_finished,
    latest,
    owner_alive,
)

STALE_AFTER_SECONDS = 90.0
"""A running trial whose process cannot be seen from here is given up after this long without a
heartbeat. Measured by the observer's own clock, so clocks need not agree."""
HEARTBEAT_SECONDS = 15.0
TEST_ATTRIBUTE = "test"

_FEW = 8  # trials worth reading one by one rather than all at once
# What Optuna raises for a trial that was closed, or whose study was restarted.
_GONE = (UpdateFinishedTrialError, KeyError)


class Study:
    """One study in the store."""

    def __init__(self, storage: RDBStorage, name: str, study_id: int) -> None:
        self.name, self._id, self._storage = name, study_id, storage
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
            return [from_optuna(t) for t in self._storage.get_all_trials(self._id, deepcopy=False)]

    def running(self) -> list[Trial]:
        """The trials that run now, whoever runs them."""
        with self._errors():
            index = self._index(TrialState.RUNNING)
            return [from_optuna(self._storage.get_trial(trial.id)) for trial in index]

    def slots(self) -> dict[int, Trial]:
        """The latest trial of each slot, by slot; unfinished ones without their details."""
        return latest(self._known())

    def results(self) -> list[Trial]:
        """The counted trials, one a slot, by slot: what the study has found so far."""
        return [trial for _, trial in sorted(self.slots().items()) if trial.counted]

    def all_failed(self) -> bool:
        """Whether there are results and none of them is a success."""
        results = self.results()
        return bool(results) and all(trial.state == "failed" for trial in results)

    def test_metrics(self, winner: Trial) -> dict[str, float] | None:
        """What the winner came to on the test split, or None if it has not been evaluated."""
        stored = self.attributes.get(TEST_ATTRIBUTE)
        return dict(stored["metrics"]) if stored and stored.get("trial_id") == winner.id else None

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
                self._add_waiting(slot, trial.attempt + 1, trial.crashes, trial.alone)
        return sum(not (slot in slots and slots[slot].counted) for slot in range(budget))

    def open_slots(self, budget: int, *, shared: bool = False) -> int:
        """How many slots of the budget wait; `shared`: for a worker that shares its GPU."""
        with self._errors():
            return len(self._waiting(budget, shared))

    def _waiting(self, budget: int, shared: bool) -> list[Trial]:
        waiting = [trial for trial in self._index(TrialState.WAITING) if trial.slot < budget]
        alone = self._alone() if shared else set()
        return [trial for trial in waiting if trial.id not in alone]

    def _add_waiting(self, slot: int, attempt: int, crashes: int, alone: bool = False) -> None:
        attributes = {"slot": slot, "attempt": attempt, "crashes": crashes}
        if alone:
            attributes["alone"] = True
        template = create_trial(state=TrialState.WAITING, user_attrs=attributes)
        with self._errors():
            self._storage.create_new_trial(self._id, template)

    def claim(self, budget: int, owner: Owner, *, shared: bool = False) -> Claim | None:
        """Take the lowest waiting slot of the budget; None when none waits.

        Args:
            shared: the caller shares its GPU, so slots that need one to themselves are not for it.
        """
        with self._errors():
            for trial in sorted(self._waiting(budget, shared), key=lambda t: (t.slot, t.number)):
                # The bid stands before the state changes: a process that dies in between is known.
                self._write(trial.id, f"{BID}{owner.place}/{owner.pid}", owner.to_dict())
                if not self._set_state(trial.id, TrialState.RUNNING):
                    continue
                self.beat(trial.id, owner, 0)
                attributes = self._storage.get_trial_user_attrs(trial.id)
                known = (attributes["attempt"], attributes["crashes"], attributes.get("alone", False))
                claim = Claim(trial.id, trial.slot, *known)
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
            name: (distribution_of(space[name]), for_optuna(space[name], value))
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

    def put_back(self, claim: Claim, message: str, *, crashed: bool = False, alone: bool = False) -> bool:
        """Close a trial that came to no result and let its slot wait again.

        Args:
            crashed: the trial takes the blame for its dead process.
            alone: the next trial of the slot is to have a GPU to itself, as all after it.
        """
        with self._errors():
            if not self._close(claim.trial_id, INTERRUPTED, message):
                return False
            crashes = claim.crashes + crashed
            self._add_waiting(claim.slot, claim.attempt + 1, crashes, alone or claim.alone)
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
            alive = owner_alive(trial)
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
            unread = [t.id for t in index if is_finished(t) and t.id not in self._finished]
            if len(unread) > _FEW:
                read = self._storage.get_all_trials(self._id, deepcopy=False)
            else:
                read = [self._storage.get_trial(trial_id) for trial_id in unread]
            whole = {trial._trial_id: from_optuna(trial) for trial in read}
            self._finished.update({id_: trial for id_, trial in whole.items() if is_finished(trial)})
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
            Trial(id_, number, number if text is None else json.loads(text), STATES[state])
            for id_, number, state, text in rows
        ]

    def _alone(self) -> set[int]:
        """Ids of the trials that are to have a GPU to themselves."""
        trials, attributes = TrialModel.__table__, TrialUserAttributeModel.__table__
        query = (
            sqlalchemy.select(trials.c.trial_id)
            .join(attributes, attributes.c.trial_id == trials.c.trial_id)
            .where(trials.c.study_id == self._id, attributes.c.key == "alone")
        )
        with self._storage.engine.connect() as connection:
            return set(connection.execute(query).scalars())

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
        return store_errors(self._storage.url)
