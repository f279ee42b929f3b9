"""A worker's bench: what the trials of one search share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch

from recsweep.checkpoints.keeper import Hands
from recsweep.common.owner import Owner
from recsweep.common.provenance import commit, hardware, repository, versions
from recsweep.datasets.prepare import Prepared
from recsweep.planning.plan import StudyPlan
from recsweep.recbole_api.data import Split
from recsweep.running import cooldown, nvml
from recsweep.running.commands import Bred, Stop, Word
from recsweep.running.events import Cooling, Event
from recsweep.running.gpus import Seat
from recsweep.running.keeping import keeper_of
from recsweep.running.meter import Meter
from recsweep.running.resume import Resume
from recsweep.running.study_run import StudyRun
from recsweep.search import pruning
from recsweep.search.curves import Curve
from recsweep.study import Claim, State, Trial
from recsweep.sweeps.space import Params


class Data(Protocol):
    """Whoever holds the data of studies."""

    def prepared(
        self,
        plan: StudyPlan,
        device: torch.device,
        params: Params | None = None,
        split_seed: int | None = None,
    ) -> Prepared: ...


class Host(Data, Protocol):
    """The needs of a search of the worker that it runs in."""

    owner: Owner
    last_study: str
    dropped: int

    @property
    def send(self) -> Callable[[Event], None]: ...

    @property
    def stop(self) -> Callable[[], Stop | None]: ...

    @property
    def hands(self) -> Hands: ...

    def count_trial(self, limit: int) -> bool: ...


class Bench:
    """Where the trials of one search are trained, with what, and beside which others.

    Args:
        host: the worker.
        run: the study.
        prepared: its data.
        seat: the terms on which the device may be used.
    """

    def __init__(
        self, host: Host, run: StudyRun, prepared: Prepared, device: torch.device, seat: Seat | None
    ) -> None:
        self.host, self.run, self.device = host, run, device
        self.seat = seat or Seat(str(device))
        self.keeper = keeper_of(run.plan, host.hands)
        """The study's checkpoints."""
        self.seated = seat is not None
        """True where the device was given with terms."""
        self.over = False
        """True where the terms of the seat have ended the search."""
        self.meter = Meter(run.plan.sweep.energy, device)
        self.environment: dict[str, Any] = {
            "device": str(device),
            "threads": torch.get_num_threads(),
            "versions": versions(),
            "commit": commit(),
            "repository": repository(),
            "hardware": hardware(),
        }
        self.judge: Callable[[], Word | None] | None = None
        """Somebody else who decides whether a trial goes on, in the place of the pruner."""
        self.cooldown = cooldown.decide(run.plan.sweep.cooldown, str(device))
        self._splits = {(run.plan.model_of(run.plan.defaults), run.plan.seed): prepared.split}
        """By model and the split's seed."""
        self._said_paths: set[str] = set()
        self._curves: dict[int, Curve] = {}
        """Of the closed trials, by id."""

    def send(self, event: Event) -> None:
        self.host.send(event)

    def stop_asked(self) -> Stop | None:
        """The word of the supervisor, or of the store, to this worker: to stop, or nothing."""
        if (stop := self.host.stop()) is not None:
            return stop
        flag = self.run.stop_asked()
        return None if flag is None else Stop(flag.now)

    def resume(self, claim: Claim, bred: Bred | None = None) -> Resume:
        """The states of a slot's trial."""

        def tell(text: str) -> None:
            self.run.say(f"{self.run.label} trial {claim.slot}: {text}")

        return Resume(self.keeper, self.run.plan.sweep.checkpoints, claim, tell, bred)

    def kept_params(self, claim: Claim, proposed: Params) -> Params:
        """The parameters of the slot's earlier trial, where it left a checkpoint; else those proposed.

        Other trials may have ended since, of which an engine that learns knows now. What was proposed when
        the slot was taken first is what an undisturbed run would have trained.
        """
        if claim.attempt == 0:
            return proposed
        others = (one for one in self.run.study.trials() if one.id != claim.trial_id)
        earlier = [one for one in others if one.slot == claim.slot and one.params]
        last = max(earlier, key=lambda one: one.attempt, default=None)
        if last is None or last.params == proposed or not self.resume(claim).is_there():
            return proposed
        elsewhere = self.run.study.points.slot_of(last.params, but=claim.slot)
        if elsewhere is not None and not self.run.plan.repeats:  # trained there meanwhile
            return proposed
        self.run.say(f"{self.run.label} trial {claim.slot}: keeps the parameters that it was begun with")
        return last.params

    def split_for(self, params: Params, slot: int) -> Split:
        """The data as a slot's trial needs them: models searched together may differ in that."""
        plan = self.run.plan
        seed = plan.split_seed(slot)
        key = (plan.model_of(params), seed)
        if key not in self._splits:
            self._splits = {one: split for one, split in self._splits.items() if one[1] == seed}
            self._splits[key] = self.host.prepared(plan, self.device, params, seed).split
        return self._splits[key]

    def rest(self) -> None:
        """Let the device cool down, where that is wanted; ends where all is to stop."""
        if self.cooldown.seconds > 0:
            self.send(Cooling(self.cooldown.seconds))
            cooldown.rest(self.cooldown, nvml.gpu_temperature, lambda: self.stop_asked() is not None)

    def say_path(self, path: str) -> None:
        """Tell once whose code trains, as it is the same for nearly all trials of a study."""
        if path not in self._said_paths:
            self._said_paths.add(path)
            self.run.say(f"{self.run.label}: trained by {path}")

    def verdict(self, own: Curve) -> str | None:
        """Why the pruner ends the trial now. The store is asked for the others only where it may."""
        plan, run = self.run.plan, self.run
        config, epochs = plan.sweep.pruning, plan.sweep.training.epochs
        if not pruning.is_due(config, own, max_epochs=epochs):
            return None
        others = [self._closed_curve(trial) for trial in run.results() if trial.state != State.FAILED]
        if pruning.needs_running(config):
            others += [Curve(trial.slot, trial.curve) for trial in run.running()]
        return pruning.verdict(config, own, others, maximize=plan.maximize, max_epochs=epochs)

    def _closed_curve(self, trial: Trial) -> Curve:
        if trial.id not in self._curves:
            self._curves[trial.id] = Curve(trial.slot, trial.curve, trial.state)
        return self._curves[trial.id]
