"""The state of a slot's trial, kept while it trains, so that its slot's next trial goes on from there.

A trial is a pure function, so that the next trial of a slot with the same definition, parameters, seed and
versions would come to the same state again; it takes the state instead. Where something differs, or the file
is damaged, it begins anew.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from typing import Any

from recsweep.common.errors import TrialError
from recsweep.common.files import content_hash, to_plain
from recsweep.common.provenance import commit, versions
from recsweep.planning.plan import StudyPlan
from recsweep.study import Claim
from recsweep.training.run import EpochEnd
from recsweep.training.state import TrialState

LEAST_SECONDS = 30.0
"""Of training between two times that the state is written: a kill costs no more than these and an epoch."""
SHARE = 0.01
"""Of the time, at most, that goes into writing states."""


class Resume:
    """All that is kept of one trial in training.

    Args:
        plan: the study.
        claim: of the trial's slot.
    """

    def __init__(self, plan: StudyPlan, claim: Claim) -> None:
        dataset, model, phase = plan.folder_names
        self._file = plan.outputs.trial_state(dataset, model, claim.slot, phase)
        self._plan = plan
        self._end: EpochEnd | None = None
        self._written = time.perf_counter()
        self._pause = LEAST_SECONDS
        self._cannot = False

    @cached_property
    def _of(self) -> str:
        return content_hash([self._plan.content_hash, versions(), commit()])

    def find(self, settings: Mapping[str, Any]) -> TrialState | None:
        """The state to go on from; None where the trial begins, and what lies there is removed."""
        state = TrialState.load(self._file)
        if state is not None and state.of == self._of and state.settings == to_plain(dict(settings)):
            return state
        self.remove()
        return None

    def watch(self, end: EpochEnd) -> None:
        """An epoch is over: its state can be asked for until the next one begins."""
        self._end = end

    def keep_now_and_then(self) -> None:
        """Write the state of the epoch that is over, if that was not done for some time."""
        if time.perf_counter() - self._written >= self._pause:
            self.keep()

    def keep(self) -> None:
        """Write the state of the epoch that is over. What cannot be written costs nothing but that.

        A disk may have room again; what was written before stays, and is whole.
        """
        if self._end is None or self._cannot:
            return
        began = time.perf_counter()
        try:
            replace(self._end.state(), of=self._of).save(self._file)
        except TrialError:  # the model keeps what no file can hold
            self._cannot = True
        except (OSError, RuntimeError):  # the latter is torch's, of a disk that is full
            pass
        self._written = time.perf_counter()
        self._pause = max(LEAST_SECONDS, (self._written - began) / SHARE)

    def remove(self) -> None:
        """The slot is filled, or nothing is to go on from here."""
        with suppress(OSError):
            self._file.unlink(missing_ok=True)
            self._file.parent.rmdir()  # with the last one of them
