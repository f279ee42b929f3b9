"""Ray's schedulers as a study's trials meet them; `make test-ray` runs it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from helpers.ray import needs_ray
from recsweep.sweeps.scheduler_table import NO_SCHEDULER, POPULATION, SCHEDULERS

pytestmark = needs_ray
NAMES = [name for name in SCHEDULERS if name not in (NO_SCHEDULER, POPULATION)]


class Trial(SimpleNamespace):
    __hash__ = object.__hash__


class Judged:
    """Trials that a scheduler meets one after the other, each with a score that it keeps."""

    def __init__(self, plan):
        from recsweep.running.ray_schedulers import Scheduler

        self.ended: dict[int, str] = {}
        self.scheduler = Scheduler(plan, lambda trial, why: self.ended.setdefault(trial.config["slot"], why))
        self.epochs = plan.sweep.training.epochs

    def meet(self, slot, score):
        trial = Trial(
            trial_id=f"t{slot}", config={"slot": slot}, status="RUNNING", placement_group_factory=None
        )
        cache = SimpleNamespace(increase_max=lambda key, by: None)
        own = SimpleNamespace(_actor_cache=cache)
        controller = SimpleNamespace(get_live_trials=list, _tune_controller=own)
        self.scheduler.on_trial_add(controller, trial)
        for epoch in range(1, self.epochs + 1):
            told = self.scheduler.on_trial_result(controller, trial, {"epoch": epoch, "score": score})
            assert told == "CONTINUE", "its actor ends it"
            if slot in self.ended:
                return epoch
        return self.epochs


@pytest.mark.parametrize("name", NAMES)
def test_a_poor_trial_is_ended_and_the_first_never(make_plan, name):
    plan = make_plan(engine="ray", scheduler=name, epochs=30)
    judged = Judged(plan)
    assert judged.meet(0, 0.01) == 30
    for slot in range(1, 12):
        judged.meet(slot, 0.5)
    ran = [judged.meet(slot, 0.1) for slot in range(12, 18)]
    assert min(ran) >= 2, "the grace period"
    assert max(ran) < 30
    assert 0 not in judged.ended
    assert set(judged.ended.values()) == {f"by Ray Tune's {name}"}


@pytest.mark.parametrize("name", NAMES)
def test_a_search_that_goes_on_judges_as_if_never_ended(make_plan, name):
    plan = make_plan(engine="ray", scheduler=name, epochs=12)
    scores = [0.3, 0.5, 0.4, 0.6, 0.35, 0.45, 0.2, 0.55, 0.1, 0.15]
    whole, resumed = Judged(plan), Judged(plan)
    ran = [whole.meet(slot, score) for slot, score in enumerate(scores)]
    curves = [dict.fromkeys(range(1, epochs + 1), score) for epochs, score in zip(ran, scores, strict=True)]
    past = [Trial(id=slot, slot=slot, state="pruned", curve=curves[slot]) for slot in range(6)]
    resumed.scheduler.learn(past)
    assert [resumed.meet(slot, scores[slot]) for slot in range(6, 10)] == ran[6:]
