"""Population based training: Ray's class decides who takes up whose weights, every so many epochs.

It is told to compare trials at the same epoch (Jaderberg et al. 2017, appendix A.1): each member is left
there, in a file, until all are. So what is compared is comparable, a few workers can train many members,
and a search that was killed goes on as if nothing had been. What is put around it: members come from the
store's slots, parameters stay in their space and types, only those change that may, and the first trial of a
study, with its defaults, goes on as it is, whoever is better.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

from ray.tune.experiment import Trial as RayTuneTrial
from ray.tune.schedulers import PopulationBasedTraining, TrialScheduler

from recsweep.planning.plan import StudyPlan
from recsweep.running.population import Population, begun, state_file
from recsweep.running.ray_floor import Floor
from recsweep.running.ray_schedulers import EPOCH, SCORE, Warm
from recsweep.search.perturb import perturbed
from recsweep.study import Claim, Lineage
from recsweep.sweeps.scheduler_table import POPULATION
from recsweep.sweeps.space import Params

LEFT = "left"
"""Key of a result: the trial was left at its epoch."""


class RayPopulation(PopulationBasedTraining):  # type: ignore[misc]  # Ray has no types
    """Ray's class over the members of a study.

    Args:
        plan: the study.
        floor: where the members are.
    """

    def __init__(self, plan: StudyPlan, floor: Floor) -> None:
        search, step = plan.sweep.search, plan.sweep.training.eval_step
        super().__init__(
            time_attr=EPOCH,
            metric=SCORE,
            mode="max" if plan.maximize else "min",
            perturbation_interval=-(-search.perturbation_interval // step) * step,
            quantile_fraction=search.quantile_fraction,
            resample_probability=search.resample_probability,
            custom_explore_fn=dict,  # it wants one; `_get_new_config` is what explores
            synch=True,
        )
        self._plan, self._floor, self._warm = plan, floor, Warm(plan.sweep.workers.count)
        self._trial_state: dict[Any, Any] = {}
        self._epoch = floor.found.epoch
        self.changeable: tuple[str, ...] | None = None
        """The parameters that may be perturbed; None until a worker has said so."""

    def __reduce__(self) -> Any:
        return dict, ()  # Ray Tune keeps no copy: it is made again of what the store holds

    @property
    def _next(self) -> int:
        """The epoch at which members are compared next."""
        return self._epoch + int(self._perturbation_interval)

    # -- members -----------------------------------------------------------------------------------

    def way_of(self, claim: Claim) -> Lineage | None:
        """The way that a slot's trial came, if it was compared with others before; None where it begins."""
        return self._floor.found.members.get(claim.slot)

    def bred(self, claim: Claim, params: Params) -> dict[str, Any]:
        """All that the actor of a trial is told of it, as a part of its config."""
        lineage = self.way_of(claim) or begun(self._plan, claim.slot, params)
        state = state_file(self._plan, lineage, self._floor.found.epoch) if self.way_of(claim) else None
        return {
            "lineage": lineage.to_dict(),
            "state": str(state) if state is not None else None,
            "since": self._floor.found.epoch if state is not None else 0,
            "until": self._next,
            "asks": self.changeable is None,
        }

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        super().on_trial_add(_WithoutSearcher(), trial)
        self._warm.keep(tune_controller, trial)
        by_slot = sorted(self._trial_state.items(), key=lambda pair: pair[0].config["slot"])
        self._trial_state = dict(by_slot)  # equal scores are ranked in this order, also after a kill

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        if not result.get(LEFT):
            return str(TrialScheduler.CONTINUE)
        self._save_trial_state(self._trial_state[trial], result[EPOCH], result, trial)
        return str(TrialScheduler.PAUSE)

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        members = [trial for trial in tune_controller.get_trials() if not trial.is_finished()]
        waiting = [trial for trial in members if trial.status == RayTuneTrial.PAUSED]
        for trial in waiting:
            self._floor.park(trial)
        self._floor.beat()
        if waiting and self._floor.is_to_stop():
            self._stop(tune_controller, waiting)
            return None
        if waiting and len(waiting) == len(members) and self._are_all(waiting):
            self._compare(tune_controller, members)
        return self._going_on(waiting)

    def waits(self) -> bool:
        """True where there are members, which need seats later."""
        return any(not trial.is_finished() for trial in self._trial_state)

    def leave(self) -> None:
        """Where all have come to their ends, nobody goes on from a state."""
        self._floor.clear()

    def _are_all(self, waiting: list[Any]) -> bool:
        """True where all members came to the epoch at which they are compared, and none is to come."""
        slots = {int(trial.config["slot"]) for trial in waiting}
        came = all(self._trial_state[trial].last_train_time >= self._next for trial in waiting)
        return came and self._floor.is_whole(slots)

    def _going_on(self, waiting: list[Any]) -> Any:
        """The next member that trains on, with the seat that it has from now on."""
        for trial in sorted(waiting, key=lambda one: int(one.config["slot"])):
            came = self._trial_state[trial].last_train_time
            if came < self._next and (seat := self._floor.seat(trial)) is not None:
                bred = {**trial.config["bred"], "since": self._epoch, "until": self._next, "asks": False}
                trial.set_config({**trial.config, "seat": seat, "bred": bred})
                return trial
        return None

    def _stop(self, controller: Any, waiting: list[Any]) -> None:
        for trial in waiting:
            self._floor.put_back(trial)
            controller.stop_trial(trial)

    # -- compared ----------------------------------------------------------------------------------

    def _compare(self, controller: Any, members: list[Any]) -> None:
        """All are at one epoch: those in the lowest part go on from the weights of those in the highest."""
        lower, upper = self._quantiles()
        others = [trial for trial in members if trial not in upper and trial not in lower]
        epoch = self._next
        with _chance(self._plan.proposal_seed(epoch)):
            for trial in [*upper, *others, *lower]:
                self._trial_state[trial].last_perturbation_time = epoch
                self._checkpoint_or_exploit(trial, controller, upper, lower)
        self._epoch = epoch
        for trial in members:
            self._trial_state[trial].last_train_time = epoch
        ways = {int(trial.config["slot"]): _lineage(trial) for trial in members}
        self._floor.keep(Population(epoch, ways))

    def _quantiles(self) -> tuple[list[Any], list[Any]]:
        lower, upper = super()._quantiles()
        return [trial for trial in lower if trial.config["slot"] != 0], upper

    def _get_new_config(self, trial: Any, trial_to_clone: Any) -> tuple[dict[str, Any], dict[str, str]]:
        """How a member goes on: another one's way until here, and that one's parameters, perturbed."""
        slot, epoch, way = int(trial.config["slot"]), self._next, _lineage(trial_to_clone)
        chance = Random(f"{self._plan.proposal_seed(slot)}/{epoch}")
        names = self.changeable or ()
        params = perturbed(self._plan.space, way.params, names, self._resample_probability, chance)
        lineage = way.then(slot, epoch + 1, params)
        changed = ", ".join(
            f"{name} {params.get(name)}" for name in names if params.get(name) != way.params.get(name)
        )
        self._floor.say(
            f"trial {slot}: goes on from trial {trial_to_clone.config['slot']} after epoch {epoch}"
            + (f", with {changed}" if changed else "")
        )
        bred = {**trial.config["bred"], "lineage": lineage.to_dict()}
        return {**trial.config, "params": params, "bred": bred}, {}


def _lineage(trial: Any) -> Lineage:
    return Lineage.from_dict(trial.config["bred"]["lineage"])


@contextmanager
def _chance(seed: int) -> Iterator[None]:
    """Ray draws from Python's global generator whose weights are taken: here by the study and the epoch."""
    before = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)


class _WithoutSearcher:
    """Ray refuses searchers beside it, as they do not learn of changed parameters; the store does."""

    search_alg = None


def pointer(folder: str) -> Path:
    """The file of one of Ray's checkpoints that names the state's own file."""
    return Path(folder) / f"{POPULATION}-state.txt"
