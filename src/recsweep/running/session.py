"""One worker's view of a study, as an engine wants it: slots claimed, trials trained, results kept."""

from __future__ import annotations

from recsweep.running.bench import Bench
from recsweep.running.events import Claimed
from recsweep.running.history import observations, running_beside, search_of, take
from recsweep.running.trial_run import TrialRun
from recsweep.search.engines.base import Observation
from recsweep.study import Claim
from recsweep.sweeps.space import Params


class StudySession:
    """The answers to an engine (`engines.base.Session`), from a study and a bench.

    Args:
        bench: where trials are trained.
    """

    def __init__(self, bench: Bench) -> None:
        self._bench, self._run, self._host = bench, bench.run, bench.host
        plan = bench.run.plan
        self._claim: Claim | None = None
        self._rests = bench.cooldown.seconds > 0
        if self._rests:
            rest = f"{bench.cooldown.seconds:g} s of rest between trials"
            self._run.say(f"{plan.label}: {rest}, {bench.cooldown.reason}")
        # A study on a GPU may be one search after another; the rest between two trials stays.
        self._ran_one = bench.seated and self._host.last_study == plan.name
        self.retired = False
        self.search = search_of(plan, bench.run.study)

    def next_slot(self) -> int | None:
        if self.retired or self._bench.over or self._stopped():
            return None
        if self._run.ended_early:
            return None
        shared = self._bench.seat.shared
        if self._ran_one and self._rests and self._run.open_slots(shared=shared):
            self._bench.rest()
            if self._stopped():
                return None
        self._claim = self._run.claim(self._host.owner, shared=shared)
        if self._claim is None:
            return None
        self._bench.send(Claimed(self._claim))
        return self._claim.slot

    def _stopped(self) -> bool:
        return self._bench.stop_asked() is not None

    def proposal_seed(self, slot: int) -> int:
        return self._run.plan.proposal_seed(slot)

    def history(self) -> list[Observation]:
        return observations(self._run)

    def running(self) -> list[Params]:
        return running_beside(self._run, self._claim)

    def take(self, slot: int, params: Params) -> bool:
        return take(self._run, self.search, self._claim, params)

    def run(self, slot: int, params: Params) -> Observation:
        claim = self._claim
        if claim is None or claim.slot != slot:
            raise AssertionError(f"slot {slot} was not claimed by this session")
        trial = TrialRun(self._bench, claim, params)
        observation = trial.train()
        self._bench.over = self._bench.over or self._bench.seat.brief
        if trial.began:
            self._ran_one, self._host.last_study = True, self._run.plan.name
            self.retired = self._host.count_trial(self._run.plan.sweep.workers.trials_per_worker)
        return observation
