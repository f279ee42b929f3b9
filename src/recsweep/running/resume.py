"""The states of a slot's trial, kept while it trains, so that its slot's next trial goes on from there.

A trial is a pure function, so that the next trial of a slot with the same definition, parameters, seed and
versions would come to the same state again; it takes the state instead. Where something differs, or the file
is damaged, the one before is taken; where none is left, it begins anew. A member of a population, whose
training has parts, can go on from any state on its way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from recsweep.checkpoints.keeper import Candidate, Keeper, Tell
from recsweep.common.errors import TrialError, disk_trouble
from recsweep.common.files import content_hash, to_plain
from recsweep.recbole_api.settings import placed
from recsweep.running.commands import Bred
from recsweep.study import Claim
from recsweep.sweeps.config import CheckpointsConfig
from recsweep.training.run import EpochEnd
from recsweep.training.schedules import Schedule, settings_at
from recsweep.training.state import TrialState

LEAST_SECONDS = 30.0
"""Of training between two times that the state is written: a kill costs no more than these and an epoch."""
SHARE = 0.01
"""Of the time, at most, that training waits for copies of its state."""
WRITTEN_SECONDS = 30.0
"""How long a trial that is told to stop waits for its state to be on the disk."""


class Resume:
    """All that is kept of one trial in training.

    Args:
        keeper: the study's checkpoints.
        config: how often one is made.
        claim: of the trial's slot.
        tell: takes a line for people.
        bred: of a member of a population.
    """

    def __init__(
        self,
        keeper: Keeper,
        config: CheckpointsConfig,
        claim: Claim,
        tell: Tell,
        bred: Bred | None = None,
    ) -> None:
        self._keeper, self._config, self._claim, self._tell = keeper, config, claim, tell
        self._bred = bred
        self._end: EpochEnd | None = None
        self._kept_at = time.perf_counter()
        self._pause = LEAST_SECONDS
        self._cannot = False

    def _of(self, epoch: int) -> str:
        """Whose the state of an epoch is."""
        own = self._keeper.identity
        way = [] if self._bred is None else [self._bred.lineage.until(epoch).to_dict()]
        return content_hash([own.definition, own.versions, own.commit, *way])

    @property
    def _again(self) -> bool:
        """True where an earlier trial of the slot may have left something, on any machine."""
        return self._claim.attempt > 0

    def is_there(self) -> bool:
        """True where an earlier trial of the slot left a checkpoint of this study."""
        own, found = self._keeper.identity, self._candidates() if self._again else []
        return any(one.manifest is not None and not one.manifest.foreign(own) for one in found)

    def find(self, settings: Mapping[str, Any], schedule: Schedule = ()) -> TrialState | None:
        """The state to go on from; None where the trial begins, and what lies there is removed."""

        def unfit(state: TrialState | None) -> str:
            return self._unfit(state, settings, schedule)

        handed = TrialState.load(Path(self._bred.state)) if self._bred and self._bred.state else None
        handed = None if unfit(handed) else handed
        for one in self._candidates():
            state, wrong = self._taken(one, unfit)
            if state is not None and not wrong:
                return state if handed is None or state.epoch > handed.epoch else handed
            where = "here" if one.here else f"at {self._keeper.mirror and self._keeper.mirror.depot}"
            self._tell(f"the checkpoint {one.unit.name} {where} is not used, as {wrong}")
        self.remove()
        return handed

    def _taken(
        self, one: Candidate, unfit: Callable[[TrialState | None], str]
    ) -> tuple[TrialState | None, str]:
        """The state of a candidate, and what is wrong with it; one that nobody can use is removed."""
        try:
            wrong, state = self._keeper.brought(one), None
        except OSError as error:
            return None, f"it cannot be brought here ({error})"
        if not wrong:
            state = TrialState.load(self._file(one))
            wrong = unfit(state)
        if wrong:
            self._keeper.forget(one)
        return state, wrong

    def _candidates(self) -> list[Candidate]:
        return self._keeper.candidates(self._claim.slot, self._tell, sent=self._again)

    def _file(self, one: Candidate) -> Path:
        return one.unit.folder / f"{one.unit.name}.pt"

    def _unfit(self, state: TrialState | None, settings: Mapping[str, Any], schedule: Schedule) -> str:
        if state is None:
            return "it is no state of a trial"
        if state.of != self._of(state.epoch):
            return "it is of another study" if self._bred is None else "it is of another training"
        wanted = to_plain(settings_at(settings, schedule, state.epoch))
        same = placed(state.settings, wanted) == wanted
        return "" if same else "it was trained with other parameters"

    def watch(self, end: EpochEnd) -> None:
        """An epoch is over: its state can be asked for until the next one begins."""
        self._end = end

    def keep_now_and_then(self) -> None:
        """Keep the state of the epoch that is over, where it is time to."""
        if self._is_due():
            self._keep()

    def _is_due(self) -> bool:
        epochs, minutes = self._config.every_epochs, self._config.every_minutes
        passed = time.perf_counter() - self._kept_at
        if epochs is None and minutes is None:
            return passed >= self._pause
        by_epochs = epochs is not None and self._end is not None and self._end.epoch % epochs == 0
        return by_epochs or (minutes is not None and passed >= minutes * 60)

    def keep(self) -> None:
        """Keep the state of the epoch that is over, and wait until it is on the disk."""
        self._keep()
        self._keeper.hands.writer.settle(WRITTEN_SECONDS)

    def _keep(self) -> None:
        """A copy of the state is written in the background. What cannot be written costs nothing but that.

        A disk may have room again; what was written before stays, and is whole.
        """
        if self._end is None or self._cannot:
            return
        began = time.perf_counter()
        try:
            state = self._state(self._end)
        except TrialError:  # the model keeps what no file can hold
            self._cannot = True
            return
        about = self._keeper.described(self._claim.slot, self._claim.attempt, state.epoch, self._end.score)
        self._keeper.write(about, state.save, self._config.keep_last)
        self._kept_at = time.perf_counter()
        self._pause = max(LEAST_SECONDS, (self._kept_at - began) / SHARE)

    def _state(self, end: EpochEnd) -> TrialState:
        return replace(end.state(), of=self._of(end.epoch))

    def keep_at(self, path: Path) -> None:
        """Write the state of the epoch that is over to a file from which it, or another trial, goes on.

        Raises:
            TrialError: the model keeps what no file can hold.
            SweepPaused: the disk is full.
        """
        if self._end is None:
            raise AssertionError("no epoch is over")
        try:
            self._state(self._end).save(path)
        except (OSError, RuntimeError) as error:
            raise (disk_trouble(error) or error) from None
        self.remove()  # what is kept besides is older

    def remove(self) -> None:
        """The slot is filled, or nothing is to go on from here."""
        self._keeper.drop(self._claim.slot, sent=self._again)
