"""The parameters that the trials of a study have: a point is one slot's, so that it is trained once."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from recsweep.common.files import canonical_json, to_plain
from recsweep.study.backend import Backend, Change
from recsweep.study.database import Patience
from recsweep.study.distributions import in_optunas_terms
from recsweep.study.trial import Claim, Trial
from recsweep.sweeps.space import Params, Space


class Points:
    """The points of one study.

    Args:
        trials: the counted trials and those that run, as the store has them now.
    """

    def __init__(
        self, backend: Backend, patience: Patience, study_id: int, trials: Callable[[], Iterable[Trial]]
    ) -> None:
        self._backend, self._patience, self._id, self._trials = backend, patience, study_id, trials

    def take(self, claim: Claim, params: Params, space: Space) -> int | None:
        """Make a point that of a trial, where no trial of another slot has it or had it.

        Returns:
            The other slot; None where it is the trial's now, for all who ask after it.
        """
        setup = to_plain({"params": params, "seed": None, "environment": {}})  # the rest comes as it starts
        change = Change({"setup": setup}, in_optunas_terms(space, params))

        def step(again: bool) -> int | None:
            with self._backend.exclusive(self._id):  # two that ask at once would both find nobody
                other = self.slot_of(params, but=claim.slot)
                if other is None:
                    self._backend.apply(self._id, claim.trial_id, change, again=again)
                return other

        return self._patience.call(step)

    def slot_of(self, params: Params, *, but: int) -> int | None:
        """The slot whose trial runs, or ran, with these parameters; None where none but `but` does."""
        # Plain equality is fast, but does not tell True from 1.
        alike = (trial for trial in self._trials() if trial.slot != but and trial.params == params)
        wanted = canonical_json(params)
        return next((trial.slot for trial in alike if canonical_json(trial.params) == wanted), None)
