"""The finished trials of a study. They are immutable, so each is read once."""

from __future__ import annotations

from collections.abc import Iterable

from recsweep.study.backend import Backend
from recsweep.study.database import Patience
from recsweep.study.outcomes import latest
from recsweep.study.states import State
from recsweep.study.trial import Trial


class Finished:
    """The finished trials of a study; what a question costs depends on what is new.

    Args:
        backend: the store.
        patience: waits while the store is away.
    """

    def __init__(self, backend: Backend, patience: Patience, study_id: int) -> None:
        self._backend, self._patience, self._study_id = backend, patience, study_id
        self._trials: dict[int, Trial] = {}
        self._since = 0
        self._latest: dict[int, Trial] = {}
        """Of the finished trials, the one that says what a slot came to."""
        self._results: list[Trial] | None = None
        self._reopened: frozenset[int] = frozenset()

    def trials(self) -> Iterable[Trial]:
        """All of them, as they stand in the store now."""
        self._read()
        return self._trials.values()

    def results(self) -> list[Trial]:
        """The counted trials, one a slot, by slot; the same list until something new is found."""
        self._read()
        latest_of = self._latest
        # A slot that failed and was put back since (`return_slots`) has no result yet.
        reopened = frozenset(
            trial.slot
            for trial in self._patience.call(lambda again: self._backend.retried(self._study_id))
            if trial.slot in latest_of and latest_of[trial.slot].state == State.FAILED
        )
        if self._results is None or reopened != self._reopened:
            counted = [t for slot, t in latest_of.items() if t.counted and slot not in reopened]
            self._results, self._reopened = sorted(counted, key=lambda t: t.slot), reopened
        return self._results

    def _read(self) -> None:
        """Read what has been finished since the last time."""
        found, self._since = self._patience.call(
            lambda again: self._backend.finished(self._study_id, self._since, self._trials)
        )
        for trial in found:
            self._note(trial)

    def _note(self, trial: Trial) -> None:
        """Take a trial in. Mostly it is the next slot's, and the results grow by it."""
        self._trials[trial.id] = trial
        before = self._latest.get(trial.slot)
        self._latest |= latest([trial] if before is None else [before, trial])
        results = self._results
        if results is None or (before is None and not trial.counted):
            return
        if before is None and (not results or results[-1].slot < trial.slot):
            self._results = [*results, trial]
        else:
            self._results = None
