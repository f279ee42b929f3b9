"""One study: its slots, their claims, and what came of them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Protocol

from optuna.trial import TrialState

from recsweep.common.errors import StoreDamaged
from recsweep.common.files import to_plain
from recsweep.common.owner import Owner
from recsweep.study.backend import Backend, Change
from recsweep.study.database import Patience
from recsweep.study.details import Energy, Failure, Holder, Result
from recsweep.study.distributions import in_optunas_terms
from recsweep.study.finished import Finished
from recsweep.study.orphans import STALE_AFTER_SECONDS, Orphans
from recsweep.study.outcomes import latest
from recsweep.study.points import Points
from recsweep.study.record import StudyRecord
from recsweep.study.records import Step
from recsweep.study.slots import Slot, is_duplicate, missing_slots, next_slot
from recsweep.study.states import Reason, State
from recsweep.study.trial import Claim, Trial, claim_of, inheriting, owner_alive
from recsweep.study.wholeness import check_study
from recsweep.sweeps.space import Params, Space

TEST_ATTRIBUTE = "test"
DATA_ATTRIBUTE, SHARING_ATTRIBUTE = "data", "sharing"
"""Attributes: how many users, items and samples trials train on; how many trials share each GPU, and why."""
_TOLD: dict[str, Callable[[StudyRecord, Any], StudyRecord]] = {
    DATA_ATTRIBUTE: StudyRecord.counted,
    TEST_ATTRIBUTE: StudyRecord.tested,
}
"""Attributes that a study's record tells too."""


class Shelf(Protocol):
    """The store that a study is in, as it is asked for others."""

    def find_study(self, name: str, definition: Mapping[str, Any] | None = None) -> Study | None: ...

    def studies(self, *, sweep: str | None = None) -> list[Study]: ...

    def names(self) -> list[str]: ...


class Study:
    """One study in the store.

    What is finished is immutable, so each finished trial is read once; what a step costs depends on
    what is new, not on how many trials there are.

    Args:
        backend: the store.
        patience: waits while the store is away.
        store: knows the other studies.
    """

    def __init__(self, backend: Backend, patience: Patience, name: str, study_id: int, store: Shelf) -> None:
        self.name, self.id, self._backend, self._patience = name, study_id, backend, patience
        self.store = store
        self._finished = Finished(backend, patience, study_id)
        self._orphans = Orphans(name, patience)
        self.points = Points(backend, patience, study_id, lambda: (*self.results(), *self.running()))

    def hurry(self) -> None:
        """Wait no more for a store that is away."""
        self._patience.seconds = 0.0

    # -- reading ---------------------------------------------------------------------------------

    @property
    def attributes(self) -> dict[str, Any]:
        """The value that is kept with the study.

        Raises:
            StoreDamaged: some of it is not what recsweep writes.
        """
        storage = self._backend.storage
        try:
            found = self._patience.call(lambda again: dict(storage.get_study_user_attrs(self.id)))
        except ValueError as error:
            raise StoreDamaged(
                f"the store is damaged; what stands with the study {self.name} is no JSON ({error}); "
                "put back a copy of the store, or give the sweep a new name"
            ) from None
        check_study(self.name, found)
        return found

    def set_attribute(self, name: str, value: Any) -> None:
        storage, plain = self._backend.storage, to_plain(value)
        # The attribute last: after a kill in between it is missing, and whoever asks for it does both again.
        if (told := _TOLD.get(name)) is not None:
            self.update_record(lambda record: told(record, plain))
        self._patience.call(lambda again: storage.set_study_user_attr(self.id, name, plain))

    def record(self) -> StudyRecord | None:
        """The record of the study itself; None where it was removed, or is none of ours."""
        return self._patience.call(lambda again: self._backend.records.one(self.id))

    def change_record(self, step: Step) -> StudyRecord | None:
        """Make the record what `step` makes of it; no other process changes it meanwhile.

        Args:
            step: is given None where the study has no record, and gives None where nothing is to be written.
                It may be called again.
        """
        return self._patience.call(lambda again: self._backend.records.change(self.id, step))

    def update_record(self, step: Callable[[StudyRecord], StudyRecord]) -> None:
        """Likewise, of a study that has a record, or can be given one."""
        self.change_record(lambda record: None if record is None else step(record))

    def trials(self) -> list[Trial]:
        """Every trial, in the order in which they were made; waiting ones without their details."""
        waiting = self._patience.call(lambda again: self._backend.waiting(self.id))
        running = self.running()
        found = {trial.id: trial for trial in (*waiting, *running, *self._finished.trials())}
        return [found[id_] for id_ in sorted(found)]

    def running(self) -> list[Trial]:
        """The trials that run now, whoever runs them."""
        return self._patience.call(lambda again: self._backend.running(self.id))

    def over(self) -> list[Trial]:
        """The trials that ended, whatever they came to."""
        return list(self._finished.trials())

    def slots(self) -> dict[int, Trial]:
        """The latest trial of each slot, by slot; unfinished ones without their details."""
        return latest(self.trials())

    def results(self) -> list[Trial]:
        """The counted trials, one a slot, by slot: what the study has found so far.

        Not to be changed: the same list is given until something new is found.
        """
        return self._finished.results()

    def touched(self) -> bool:
        """True where a trial came to a result here, or runs. What waits or was put back has done neither."""
        return any(not trial.inherited for trial in self.results()) or bool(self.at_work())

    def at_work(self) -> list[Trial]:
        """The trials that run, without those whose process is known to be gone."""
        return [trial for trial in self.running() if owner_alive(trial) is not False]

    def all_failed(self) -> bool:
        """True where there are results and none of them is a success."""
        return bool(results := self.results()) and all(trial.state == State.FAILED for trial in results)

    def test_metrics(self, winner: Trial) -> dict[str, float] | None:
        """The metrics of the winner on the test split, or None if it has not been evaluated."""
        stored = self.attributes.get(TEST_ATTRIBUTE)
        return dict(stored["metrics"]) if stored and stored.get("trial_id") == winner.id else None

    # -- budget ----------------------------------------------------------------------------------

    def ensure_slots(self, budget: int) -> int:
        """See to it that each of the first `budget` slots is filled, running or waiting.

        Returns:
            How many slots of the budget are not filled yet.
        """
        slots = self.slots()
        if missing_slots(slots, budget):
            with self._backend.exclusive(self.id):
                # Twice: a slot that was put back between two reads looks as if it were lost.
                missing = missing_slots(self.slots(), budget)
                slots = self.slots()
                again = missing_slots(slots, budget)
                lost = [slot for number, slot in again.items() if missing.get(number) == slot]
                self._patience.call(lambda _: self._backend.add(self.id, lost))
        return sum(not (slot in slots and slots[slot].counted) for slot in range(budget))

    def open_slots(self, budget: int, *, shared: bool = False) -> int:
        """How many slots of the budget wait; `shared`: for a worker that shares its GPU."""
        waiting = self._patience.call(lambda again: self._backend.waiting(self.id))
        return sum(trial.slot < budget and not (shared and trial.alone) for trial in waiting)

    def claim(self, budget: int, owner: Owner, *, shared: bool = False) -> Claim | None:
        """Take the lowest waiting slot of the budget; None when none waits.

        Args:
            shared: the caller shares its GPU, so slots that need one to themselves are not for it.
        """
        while True:
            named = Holder(owner, 0, 0.0, uuid.uuid4().hex).to_dict()

            def step(again: bool, named: dict[str, Any] = named) -> Trial | None:
                return self._backend.claim(self.id, budget, named, shared=shared, again=again)

            trial = self._patience.call(step)
            if trial is None:
                return None
            claim = claim_of(trial)
            if not (claim.attempt and is_duplicate(trial, self.trials())):
                return claim
            self._close(trial.id, Failure(Reason.DUPLICATE, "another trial fills the slot"))

    def inherit(self, origin: Trial, phase: str, space: Space, params: Params) -> None:
        """Fill slot 0 with a trial of an earlier phase, unless it is filled.

        Args:
            origin: the trial; its result becomes this slot's.
            phase: where it was trained.
            params: of the slot.
        """
        template = inheriting(origin, phase, space, params)
        with self._backend.exclusive(self.id):
            storage = self._backend.storage

            def step(again: bool) -> None:
                if 0 not in self.slots():
                    storage.create_new_trial(self.id, template)

            self._patience.call(step)

    # -- one trial -------------------------------------------------------------------------------

    def start(
        self, claim: Claim, params: Params, space: Space, seed: int, environment: Mapping[str, Any]
    ) -> bool:
        """Record what is about to be trained; False if the trial was closed meanwhile."""
        setup = to_plain({"params": params, "seed": seed, "environment": environment})
        return self._apply(claim.trial_id, Change({"setup": setup}, in_optunas_terms(space, params)))

    def report(self, claim: Claim, epoch: int, score: float) -> bool:
        """Record a validation score; False if the trial was closed meanwhile."""
        return self.report_all(claim, {epoch: score})

    def report_all(self, claim: Claim, scores: Mapping[int, float], seen: Params | None = None) -> bool:
        """Likewise, of several epochs; `seen`: attributes of the trial that are written with them."""
        return self._apply(claim.trial_id, Change(to_plain(dict(seen or {})), scores=scores))

    def finish(self, claim: Claim, values: float | Sequence[float], result: Result) -> bool:
        """Close a trial with its result; False if it was closed before, and the result is dropped.

        Args:
            values: of the objectives; a number where there is one.
        """
        several = values if isinstance(values, Sequence) else (values,)
        attributes = {"result": to_plain(result.to_dict())}
        return self._apply(claim.trial_id, Change(attributes, state=TrialState.COMPLETE, values=several))

    def prune(self, claim: Claim, values: float | Sequence[float], result: Result, reason: str) -> bool:
        """Close a trial that was stopped early, with its best until then; False if it was closed before."""
        several = values if isinstance(values, Sequence) else (values,)
        failure = Failure(Reason.PRUNED, reason).to_dict()
        attributes = {"result": to_plain(result.to_dict()), "failure": failure}
        return self._apply(claim.trial_id, Change(attributes, state=TrialState.PRUNED, values=several))

    def fail(
        self,
        claim: Claim,
        kind: Reason,
        message: str,
        seconds: float | None = None,
        *,
        traceback: str | None = None,
        energy: Energy | None = None,
    ) -> bool:
        """Close a trial with the reason of its failure; False if it was closed before.

        Args:
            seconds: that it ran, by a clock that nobody sets.
            traceback: name of the file that holds it.
        """
        why, took = Failure(kind, message, traceback or ""), None if seconds is None else round(seconds, 3)
        return self._close(claim.trial_id, why, spent=Result(seconds=took, energy=energy))

    def put_back(
        self,
        claim: Claim,
        message: str,
        *,
        crashed: bool = False,
        alone: bool = False,
        spent: Result | None = None,
    ) -> bool:
        """Close a trial that came to no result, whatever it has spent, and let its slot wait again.

        Args:
            crashed: the trial takes the blame for its dead process.
            alone: the next trial of the slot is to have a GPU to itself, as all after it.
        """
        then = Slot(claim.slot, claim.attempt + 1, claim.crashes + crashed, alone or claim.alone)
        return self._close(claim.trial_id, Failure(Reason.INTERRUPTED, message), then, spent)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Keep other processes from adding slots meanwhile."""
        with self._backend.exclusive(self.id):
            yield

    def drop_waiting(self, trial: Trial, message: str) -> bool:
        """Close a trial that waits, as another one fills its slot; False if it was taken meanwhile."""
        return self._close(trial.id, Failure(Reason.DUPLICATE, message))

    def return_slots(self, trials: list[Trial]) -> None:
        """Let slots wait again whose failures were not the fault of their trials."""
        with self._backend.exclusive(self.id):
            slots = self.slots()  # another process may have returned them already
            lost = [next_slot(trial) for trial in trials if slots[trial.slot].id == trial.id]
            self._patience.call(lambda again: self._backend.add(self.id, lost))

    def put_back_owned(self, owner: Owner, message: str) -> None:
        """Put back every running trial of a process's workers, which are all gone."""
        for trial in self.running():
            owners = trial.bids if trial.owner is None else (trial.owner.process,)
            if any(replace(holder, worker=None) == replace(owner, worker=None) for holder in owners):
                self.put_back(claim_of(trial), message)

    def beat(self, trial_id: int, owner: Owner, count: int, ran: float = 0.0) -> None:
        """A sign of life, with the seconds that the trial has run by the owner's own clock."""
        named = Holder(owner, count, round(ran, 1)).to_dict()
        self._apply(trial_id, Change(attributes={"owner": named}))

    def put_back_orphans(self, stale_after: float = STALE_AFTER_SECONDS) -> int:
        """Put back the running trials whose processes are gone; how many there were.

        A process of this machine is looked up. One that cannot be seen from here, or that died
        before its first sign of life, is given up when its beat has not changed for `stale_after`
        seconds of this process's own clock, the store being there all the time; call again meanwhile.

        Raises:
            SweepPaused: one slot was put back so again and again: what is taken for dead may live.
        """
        orphans = 0
        for trial in self.running():
            if self._orphans.is_one(trial, stale_after):
                self._orphans.require_an_end(trial)
                orphans += self.put_back(claim_of(trial), "the process that ran the trial is gone")
        return orphans

    def _apply(self, trial_id: int, change: Change) -> bool:
        return self._patience.call(lambda again: self._backend.apply(self.id, trial_id, change, again=again))

    def _close(
        self, trial_id: int, why: Failure, then: Slot | None = None, spent: Result | None = None
    ) -> bool:
        attributes: dict[str, Any] = {"failure": why.to_dict()}
        if spent is not None and (spent.seconds is not None or spent.energy is not None):
            attributes["result"] = to_plain(spent.to_dict())
        return self._apply(trial_id, Change(attributes, state=TrialState.FAIL, then=then))
