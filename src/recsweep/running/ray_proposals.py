"""A study as its engine sees it in Ray Tune's thread: claims of slots, proposals, and no training."""

from __future__ import annotations

from recsweep.common.owner import Owner
from recsweep.running.history import observations, running_beside, search_of, take
from recsweep.running.study_run import StudyRun
from recsweep.search.engines.base import Observation
from recsweep.search.engines.ray_ import propose
from recsweep.study import Claim
from recsweep.sweeps.space import Params


class Proposals:
    """The knowledge of a search of its study (`engines.base.Known`).

    Args:
        run: the study, opened by the thread that asks.
    """

    def __init__(self, run: StudyRun) -> None:
        self.run = run
        self.search = search_of(run.plan, run.study)
        self._claim: Claim | None = None

    def claim(self, owner: Owner) -> Claim | None:
        """A slot, where one waits and nothing speaks against it."""
        if self.run.stop_asked() is not None or self.run.ended_early:
            return None
        self._claim = self.run.claim(owner)
        return self._claim

    def propose(self, claim: Claim) -> Params:
        return propose(self, claim.slot)

    def proposal_seed(self, slot: int) -> int:
        return self.run.plan.proposal_seed(slot)

    def history(self) -> list[Observation]:
        return observations(self.run)

    def running(self) -> list[Params]:
        return running_beside(self.run, self._claim)

    def take(self, slot: int, params: Params) -> bool:
        return take(self.run, self.search, self._claim, params)
