"""A trial's life in its worker: started, trained, and closed with what it came to.

Whatever a trial does wrong becomes a result with its reason; what is not a trial's fault (disk full,
store unreachable) is raised.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from recsweep.common.errors import SweepPaused, TrialInterrupted, TrialLeft, TrialPruned, TrialStopped
from recsweep.common.tracebacks import keep_traceback
from recsweep.planning.evidence import EvidencePlan
from recsweep.planning.lineage import training_along
from recsweep.running import evidence, gpu_memory
from recsweep.running.bench import Bench
from recsweep.running.checkpoints import keep_if_best
from recsweep.running.commands import Bred, Prune, Save, Word
from recsweep.running.events import EpochDone, Interrupted, Left, Measured, PutBack, TrialDone
from recsweep.running.failures import classify
from recsweep.search.curves import Curve
from recsweep.search.engines.base import Observation
from recsweep.study import Claim, Energy, Lineage, Reason, Result
from recsweep.study.trial import SEEN
from recsweep.sweeps.config import SECONDS
from recsweep.sweeps.space import Params
from recsweep.training import training, users
from recsweep.training.run import EpochEnd
from recsweep.training.schedules import Schedule, settings_at
from recsweep.training.state import TrialState

SENT_SECONDS = 5.0
"""How long a trial that was told to stop, whose slot waits again, lets its last state be sent."""
MOST_DROPPED = 3
"""So many results in a row are dropped, as another process had put their slots back."""


class TrialRun:
    """One trial, from its parameters to its result.

    Args:
        bench: where it is trained.
        claim: of its slot.
        params: that it trains with.
        bred: of a member of a population, whose training has parts.
    """

    def __init__(self, bench: Bench, claim: Claim, params: Params, bred: Bred | None = None) -> None:
        self._bench, self._run, self._claim, self._params = bench, bench.run, claim, params
        self._bred = bred
        self._curve: dict[int, float] = {}
        self._seen: dict[str, Mapping[str, float]] = {}
        """The metrics and the loss of the last epoch, for trackers."""
        self._batches = 0
        """Of an epoch."""
        self._started = 0.0
        self._energy: Energy | None = None
        self._resume = bench.resume(claim, bred)
        self.began = False
        """True where it was still ours to train."""
        self.left = False
        """True where it goes on later."""

    def train(self) -> Observation:
        """Train it, and keep what it comes to; never raises for a trial's own fault.

        Raises:
            SweepPaused: what is no trial's fault.
        """
        plan, claim = self._run.plan, self._claim
        if self._bred is None:
            self._params = self._bench.kept_params(claim, self._params)
        seed = plan.trial_seed(claim.slot)
        if not self._run.study.start(claim, self._params, plan.space, seed, self._bench.environment):
            return self._dropped()
        self.began, self._started = True, time.perf_counter()
        if self._bench.seat.measure:
            gpu_memory.start(self._bench.device)
        try:
            trained = self._trained(seed)
            test = self._tested(trained, seed)
        except TrialStopped:
            return self._dropped()
        except TrialLeft:
            self.left = True
            self._bench.meter.hold(self._claim.trial_id)
            return self._without_result
        except TrialPruned as stop:
            return self._pruned(str(stop))
        except TrialInterrupted as stop:
            return self._interrupted(str(stop))
        except Exception as error:
            return self._failed(error)
        return self._finished(trained, test)

    def _trained(self, seed: int) -> training.Trained:
        """Train to the end, from wherever the trial can go on, and measure the energy that it takes."""
        self._bench.meter.start(self._claim.trial_id)
        try:
            settings, schedule = self._training(seed)
            return training.train(
                settings,
                self._bench.split_for(self._params, self._claim.slot),
                self._bench.device,
                self._after_epoch,
                watch=self._watch,
                resume=self._going_on(settings, schedule),
                schedule=schedule,
                cache=self._bench.run.plan.outputs.cache,
            )
        finally:
            self._energy = self._bench.meter.stop()

    @property
    def _seconds(self) -> float:
        return time.perf_counter() - self._started

    @property
    def _lineage(self) -> Lineage | None:
        """That of a trial which took up another one's weights."""
        return (
            self._bred.lineage if self._bred is not None and len(self._bred.lineage.stretches) > 1 else None
        )

    @property
    def _spent(self) -> Result:
        """The part of a trial that counts though it comes to nothing."""
        return Result(energy=self._energy)

    @property
    def _without_result(self) -> Observation:
        return Observation(self._claim.slot, self._params, None)

    def _training(self, seed: int) -> tuple[dict[str, Any], Schedule]:
        """The settings that it begins with, and how they change."""
        plan, slot = self._run.plan, self._claim.slot
        if self._bred is not None:
            return training_along(plan, self._bred.lineage)
        split = plan.split_seed(slot)
        if stretches := plan.stretches(slot):
            return training_along(plan, Lineage(seed, stretches), split)
        return plan.settings(self._params, seed, split), ()

    def _going_on(self, settings: dict[str, Any], schedule: Schedule) -> TrialState | None:
        """The state that an earlier trial of the slot left, whose epochs are told to the store again."""
        state = self._resume.find(settings, schedule)
        if state is None:
            return None
        slot, epoch, curve = self._claim.slot, state.epoch, dict(state.curve)
        self._started -= state.seconds
        self._report(curve)
        if self._bred is None:
            self._run.say(f"{self._run.label} trial {slot}: goes on after epoch {epoch}, where it was left")
        elif epoch > self._bred.since:  # which nobody has heard of yet
            self._resume.watch(EpochEnd(epoch, curve[epoch], lambda: state))
            self._ended(epoch, curve[epoch])
        return state

    def _watch(self, end: EpochEnd) -> None:
        self._resume.watch(end)
        self._batches = end.batches
        if self._run.plan.sweep.tracking.on():  # nobody else reads it
            self._seen = {f"{SEEN}{end.epoch}": end.seen}

    def _report(self, scores: Mapping[int, float]) -> None:
        self._curve |= scores
        seen, self._seen = self._seen, {}
        if not self._run.study.report_all(self._claim, scores, seen):
            raise TrialStopped("the trial was closed by another process")

    def _after_epoch(self, epoch: int, score: float) -> None:
        self._report({epoch: score})
        self._ended(epoch, score)

    def _ended(self, epoch: int, score: float) -> None:
        """An epoch is over: tell so, and see whether the trial goes on."""
        self._bench.send(EpochDone(self._claim.slot, epoch, score, self._batches))
        self._heed_stop(epoch)
        self._heed_share(epoch)
        if self._bench.judge is not None:
            self._heed(epoch, self._bench.judge())
        elif (verdict := self._bench.verdict(Curve(self._claim.slot, self._curve))) is not None:
            raise TrialPruned(f"pruned at epoch {epoch}: {verdict}")
        self._resume.keep_now_and_then()

    def _heed_share(self, epoch: int) -> None:
        """End where the study has used its seconds or epochs; a trial's own last epoch ends it anyway."""
        run = self._run
        if run.plan.share is None or epoch >= run.plan.training.epochs:
            return
        if run.share_is_used(self._claim.trial_id, self._seconds):
            raise TrialPruned(f"pruned at epoch {epoch}: the {run.plan.search.budget} of the study are used")

    def _heed_stop(self, epoch: int) -> None:
        if (stop := self._bench.stop_asked()) is not None and stop.now:
            self._resume.keep()
            raise TrialInterrupted(f"told to stop at epoch {epoch}")

    def _heed(self, epoch: int, word: Word | None) -> None:
        """Do what somebody else says of the trial."""
        match word:
            case Prune(reason):
                raise TrialPruned(f"pruned at epoch {epoch}: {reason}")
            case Save(path):
                self._resume.keep_at(Path(path))
                self._bench.send(Left(self._claim.slot, path))
                raise TrialLeft(f"left at epoch {epoch}")
            case None:
                self._heed_stop(epoch)

    # -- what it came to ---------------------------------------------------------------------------

    def _tested(self, trained: training.Trained, seed: int) -> dict[str, float] | None:
        """The test metrics of a trial of evidence; None in a search, whose winner alone is tested."""
        plan = self._run.plan
        if not isinstance(plan, EvidencePlan):
            return None
        settings, schedule = self._training(seed)
        at_best = settings_at(settings, schedule, trained.best_epoch)
        split = self._bench.split_for(self._params, self._claim.slot)
        tested = users.tested(at_best, split, self._bench.device, trained.best)
        return evidence.kept(plan, self._claim.slot, tested)

    def _finished(self, trained: training.Trained, test: dict[str, float] | None) -> Observation:
        claim = self._claim
        self._bench.say_path(trained.path)
        seconds = round(trained.seconds, 3)
        found = (trained.metrics, trained.best_epoch, trained.epochs, seconds, trained.path)
        result = Result(*found, self._lineage, self._energy, test, trained.pretraining or None)
        values = tuple(_value(objective.name, trained) for objective in self._run.plan.objectives)
        if not self._run.study.finish(claim, values, result):
            return self._dropped()
        self._resume.remove()
        self._bench.host.dropped = 0
        if test is None:  # what was tested needs its weights no more
            keep_if_best(self._run, self._bench.keeper, claim, trained)
        done = TrialDone(claim.slot, trained.score, trained.epochs, trained.seconds, params=self._params)
        self._bench.send(done)
        self._tell_memory()
        return Observation(claim.slot, self._params, trained.score, values)

    def _pruned(self, reason: str) -> Observation:
        """Close a trial that is not worth its epochs, with its best until then and without weights."""
        claim, curve, seconds = self._claim, self._curve, self._seconds
        score = (max if self._run.plan.maximize else min)(curve.values())
        best_epoch = max(epoch for epoch, found in curve.items() if found == score)
        result = Result({}, best_epoch, max(curve), round(seconds, 3), energy=self._energy)
        if not self._run.study.prune(claim, [score], result, reason):
            return self._dropped()
        self._resume.remove()
        done = TrialDone(claim.slot, score, max(curve), seconds, reason, pruned=True, params=self._params)
        self._bench.send(done)
        self._tell_memory()
        return Observation(claim.slot, self._params, score, pruned=True)

    def _interrupted(self, reason: str) -> Observation:
        """Somebody wants the work to stop: nobody is to blame, and the slot waits again."""
        self._bench.over = True
        if not self._run.study.put_back(self._claim, reason, spent=self._spent):
            return self._dropped()
        self._bench.keeper.hands.sender.settle(SENT_SECONDS)
        self._bench.send(Interrupted(self._claim.slot, reason))
        return self._without_result

    def _failed(self, error: Exception) -> Observation:
        claim = self._claim
        kind, message = classify(error)
        if self._bench.device.type == "cuda":
            torch.cuda.empty_cache()
        if kind == Reason.OUT_OF_MEMORY and self._bench.seat.shared:
            return self._out_of_memory(message)
        seconds, epochs = self._seconds, max(self._curve, default=0)
        where = "" if kind == Reason.DIVERGED else self._keep_traceback(error)
        self._run.study.fail(claim, kind, message, seconds, traceback=where, energy=self._energy)
        self._resume.remove()
        self._bench.send(
            TrialDone(claim.slot, None, epochs, seconds, message, params=self._params, traceback=where)
        )
        return self._without_result

    def _out_of_memory(self, message: str) -> Observation:
        """Out of memory beside others says nothing of the parameters: the slot gets a GPU to itself."""
        reason = f"{message} (the GPU was shared)"
        self._bench.over = True  # one fewer on this GPU
        if not self._run.study.put_back(self._claim, reason, alone=True, spent=self._spent):
            return self._dropped()
        self._bench.send(PutBack(self._claim.slot, reason))
        return self._without_result

    def _dropped(self) -> Observation:
        """Another process gave this trial up and closed it: its slot is no longer ours to fill.

        Raises:
            SweepPaused: that happens again and again, while this process lives.
        """
        slot, host = self._claim.slot, self._bench.host
        self._run.say(f"trial {slot} was closed by another process; this result is dropped")
        host.dropped += 1
        if host.dropped >= MOST_DROPPED:
            raise SweepPaused(
                f"{self._run.label}: {MOST_DROPPED} trials one after the other were put back by another "
                f"process while this one ran them, the last one trial {slot}; it takes this process "
                "for dead; see that there is one store, and that hosts and containers have names of their "
                "own, then run the same command again, no trial is lost"
            )
        return self._without_result

    def _tell_memory(self) -> None:
        """After a trial that succeeded: one that failed may have ended before its peak."""
        found = gpu_memory.measured(self._bench.device) if self._bench.seat.measure else None
        if found is not None:
            self._bench.send(Measured(self._bench.seat.device, found))
            self._bench.over = True

    def _keep_traceback(self, error: Exception) -> str:
        """The name of the file that now holds a failure as Python tells it; empty where there is none."""
        plan, claim = self._run.plan, self._claim
        dataset, model, phase = plan.folder_names
        path = plan.outputs.trial_traceback(dataset, model, claim.slot, claim.attempt, phase)
        about = {"study": plan.name, "trial": claim.slot, "parameters": self._params}
        return str(keep_traceback(path, error, {**about, **self._bench.environment}) or "")


def _value(objective: str, trained: training.Trained) -> float:
    """The value of a trial in one objective."""
    return trained.seconds if objective == SECONDS else trained.metrics[objective.lower()]
