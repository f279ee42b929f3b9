"""Ray Tune's schedulers, as a study's trials meet them.

Ray's own classes decide. What is put around them: they are told the study's history first, so that a search
that was killed goes on as if nothing had been; a trial that is to end is told so by its actor, which closes
it in the store; and the first trial of a study is never ended, nor one that has trained all its epochs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, MedianStoppingRule, TrialScheduler

from recsweep.planning.plan import StudyPlan
from recsweep.study import State, Trial
from recsweep.sweeps.scheduler_table import NO_SCHEDULER

EPOCH, SCORE = "epoch", "score"
"""Keys of a result that Ray Tune is told."""
_ONE_IN = 3
_BRACKETS = 3
End = Callable[[Any, str], None]
"""Takes a trial of Ray's that is to end, and why."""


class Scheduler(FIFOScheduler):  # type: ignore[misc]  # Ray has no types
    """A scheduler of Ray's that only advises; `FIFOScheduler` is what starts one trial after the other.

    Args:
        plan: the study.
        end: ends a trial.
    """

    def __init__(self, plan: StudyPlan, end: End) -> None:
        super().__init__()
        self._warm = Warm(plan.sweep.workers.count)
        self._name, self._end, self._epochs = plan.sweep.search.scheduler, end, plan.sweep.training.epochs
        self._rule = None if self._name == NO_SCHEDULER else _rule(plan)

    def __reduce__(self) -> Any:
        return dict, ()  # Ray Tune keeps no copy: it is made again of what the store holds

    def waits(self) -> bool:
        """True where trials need a seat later; none of these does."""
        return False

    def learn(self, trials: Iterable[Trial]) -> None:
        """Tell the rule how the trials of the store went."""
        for trial in trials:
            if self._rule is None or trial.state == State.FAILED or not trial.curve:
                continue
            past = _Past(trial)
            with _chance(trial.slot):
                self._rule.on_trial_add(_NoController(), past)
            for epoch, score in sorted(trial.curve.items()):
                self._note(_NoController(), past, {EPOCH: epoch, SCORE: score})

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        super().on_trial_add(tune_controller, trial)
        self._warm.keep(tune_controller, trial)
        if self._rule is not None:
            with _chance(trial.config["slot"]):
                self._rule.on_trial_add(tune_controller, trial)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        if self._rule is not None and SCORE in result:
            if trial.config["slot"] == 0 or result[EPOCH] >= self._epochs:
                self._note(tune_controller, trial, result)
            elif self._rule.on_trial_result(tune_controller, trial, result) == TrialScheduler.STOP:
                self._end(trial, f"by Ray Tune's {self._name}")
        return str(TrialScheduler.CONTINUE)

    def _note(self, controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Let the rule know a result on which it has not to decide."""
        if isinstance(self._rule, MedianStoppingRule):
            self._rule.on_trial_complete(controller, trial, result)  # it keeps it, and that is all
        elif self._rule is not None:
            self._rule.on_trial_result(controller, trial, result)


class Warm:
    """Actors that stay for the next trial, all of them.

    Ray Tune ends what it sees no trial for at the moment when one is over, and starts another a moment later.

    Args:
        count: how many.
    """

    def __init__(self, count: int) -> None:
        self._count = count

    def keep(self, controller: Any, trial: Any) -> None:
        """Tell Ray Tune's own cache, once, in which room trials run."""
        if self._count:
            cache = controller._tune_controller._actor_cache  # of this version, which `ray_link` asks for
            cache.increase_max(trial.placement_group_factory, by=self._count)
            self._count = 0


def _rule(plan: StudyPlan) -> Any:
    """Ray's class by its name."""
    epochs = plan.sweep.training.epochs
    grace = max(1, min(plan.sweep.pruning.warmup_epochs, epochs))
    told = {"time_attr": EPOCH, "metric": SCORE, "mode": "max" if plan.maximize else "min"}
    if plan.sweep.search.scheduler == "median":
        return MedianStoppingRule(**told, grace_period=grace, min_samples_required=3)
    brackets = _BRACKETS if plan.sweep.search.scheduler == "hyperband" else 1
    fitting = next(n for n in range(brackets, 0, -1) if n == 1 or grace * _ONE_IN ** (n - 1) <= epochs)
    return AsyncHyperBandScheduler(
        **told, grace_period=grace, max_t=epochs, reduction_factor=_ONE_IN, brackets=fitting
    )


@contextmanager
def _chance(slot: int) -> Iterator[None]:
    """Ray draws a trial's bracket from NumPy's global generator: here by the slot, also after a resume."""
    before = np.random.get_state()
    np.random.seed(slot)
    try:
        yield
    finally:
        np.random.set_state(before)


class _Past:
    """A trial of the store, as far as a rule asks for one of Ray's."""

    def __init__(self, trial: Trial) -> None:
        self.trial_id = f"past-{trial.id}"
        self.status = "TERMINATED"


class _NoController:
    """The controller that a rule may ask while Ray Tune does not run yet."""

    def get_live_trials(self) -> list[Any]:
        return []
