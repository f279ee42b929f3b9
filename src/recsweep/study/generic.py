"""A store that is asked through Optuna: its journal file, for network file systems, and databases that
`database.py` knows no other way to ask.

A claim is Optuna's change of state from waiting to running, of which one process wins. It takes a few
steps, so a process that claims first writes a bid: should it die in between, the bids say who it was.
"""

from __future__ import annotations

import contextlib
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.storages.journal import JournalFileSymlinkLock
from optuna.trial import TrialState, create_trial

from recsweep.study.backend import Backend, Change
from recsweep.study.journal_storage import everything
from recsweep.study.records import AttributeRecords
from recsweep.study.slots import Slot
from recsweep.study.trial import BID, CLOSED, ENDED, Trial, from_optuna

# What Optuna raises for a trial that was closed, or whose study was restarted.
_GONE = (UpdateFinishedTrialError, KeyError)


class Generic(Backend):
    """Any storage of Optuna.

    Args:
        storage: opened.
        lock: path of a file that processes which add slots lock; None where the storage has no folder.
    """

    def __init__(self, storage: BaseStorage, lock: str | None) -> None:
        self.storage, self._lock = storage, lock
        self.records = AttributeRecords(storage, self.exclusive)

    def claim(
        self, study_id: int, budget: int, owner: Mapping[str, Any], *, shared: bool, again: bool
    ) -> Trial | None:
        if again:
            for trial in self.running(study_id):
                if trial.owner is not None and trial.owner.claim == owner["claim"]:
                    return trial
        open_ = [trial for trial in self.waiting(study_id) if trial.slot < budget]
        for trial in sorted(open_, key=lambda t: (t.slot, t.number)):
            if shared and trial.alone:
                continue
            with contextlib.suppress(*_GONE):
                self.storage.set_trial_user_attr(
                    trial.id, f"{BID}{owner['place']}/{owner['pid']}", dict(owner)
                )
                if self.storage.set_trial_state_values(trial.id, TrialState.RUNNING):
                    self.storage.set_trial_user_attr(trial.id, "owner", dict(owner))
                    return trial
        return None

    def apply(self, study_id: int, trial_id: int, change: Change, *, again: bool) -> bool:
        try:
            self.storage.get_study_name_from_id(study_id)  # a journal keeps the trials of a removed study
            frozen = self.storage.get_trial(trial_id)
            if frozen.state.is_finished():
                return again and frozen.state == change.state and change.is_written(frozen.user_attrs)
            for name, value in change.attributes.items():
                self.storage.set_trial_user_attr(trial_id, name, value)
            for name, (distribution, value) in change.params.items():
                internal = distribution.to_internal_repr(value)
                self.storage.set_trial_param(trial_id, name, internal, distribution)
            for step, score in change.scores.items():
                self.storage.set_trial_intermediate_value(trial_id, step, score)
            if change.state is None:
                return True
            return self._close(study_id, trial_id, change)
        except _GONE:
            return False

    def _close(self, study_id: int, trial_id: int, change: Change) -> bool:
        if change.state is None or change.then is None:
            self.storage.set_trial_user_attr(trial_id, ENDED, self._ended(study_id) + 1)
            values = list(change.values) or None
            return self.storage.set_trial_state_values(trial_id, change.state or TrialState.FAIL, values)
        with self.exclusive(study_id):
            if not self.storage.set_trial_state_values(trial_id, change.state):
                return False
            self.add(study_id, [change.then])
        return True

    def _ended(self, study_id: int) -> int:
        """How many trials have ended. Two that end at the same moment may find the same."""
        closed = self.storage.get_all_trials(study_id, deepcopy=False, states=CLOSED)
        return max((int(trial.user_attrs.get(ENDED, 0)) for trial in closed), default=0)

    def add(self, study_id: int, slots: Sequence[Slot]) -> None:
        for slot in slots:
            template = create_trial(state=TrialState.WAITING, user_attrs=slot.attributes)
            self.storage.create_new_trial(study_id, template)

    @contextmanager
    def exclusive(self, study_id: int) -> Iterator[None]:
        if self._lock is None:
            yield
            return
        lock = JournalFileSymlinkLock(self._lock)
        lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def waiting(self, study_id: int) -> list[Trial]:
        return self._all(study_id, TrialState.WAITING)

    def retried(self, study_id: int) -> list[Trial]:
        return [t for t in self._all(study_id, TrialState.WAITING, TrialState.RUNNING) if t.attempt]

    def running(self, study_id: int) -> list[Trial]:
        return self._all(study_id, TrialState.RUNNING)

    def at_work(self) -> list[int]:
        return [
            study._study_id
            for study, trials in everything(self.storage)
            if any(trial.state == TrialState.RUNNING for trial in trials)
        ]

    def finished(self, study_id: int, since: int, read: Container[int]) -> tuple[list[Trial], int]:
        trials = self.storage.get_all_trials(study_id, deepcopy=False)
        found = [from_optuna(t) for t in trials if t._trial_id not in read and t.state.is_finished()]
        return found, since

    def _all(self, study_id: int, *states: TrialState) -> list[Trial]:
        return [from_optuna(t) for t in self.storage.get_all_trials(study_id, deepcopy=False, states=states)]

    def now(self) -> None:
        self.storage.get_all_studies()

    def close(self) -> None:
        self.storage.remove_session()
