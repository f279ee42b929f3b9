"""One worker's view of a study, as an engine wants it: slots claimed, trials trained, results kept.

Whatever a trial does wrong becomes a result with its reason; what is not a trial's fault (disk full,
store unreachable) is raised.
"""

from __future__ import annotations

import shutil
import time
import traceback
from collections.abc import Callable
from typing import Any, Protocol

import torch

from recsweep.common.errors import SweepPaused, TrialDiverged, TrialPruned, TrialStopped, disk_trouble
from recsweep.common.masking import mask
from recsweep.common.owner import Owner
from recsweep.common.provenance import commit, hardware, repository, versions
from recsweep.common.tracebacks import keep_traceback
from recsweep.datasets.prepare import Prepared
from recsweep.planning.plan import StudyPlan
from recsweep.recbole_api.data import Split
from recsweep.running import cooldown, gpu_memory
from recsweep.running.evaluate import winner
from recsweep.running.events import (
    Claimed,
    Cooling,
    EpochDone,
    Event,
    Measured,
    Note,
    PutBack,
    TrialDone,
)
from recsweep.running.gpus import Seat
from recsweep.search import pruning
from recsweep.search.curves import Curve
from recsweep.search.engines.base import Observation, Search
from recsweep.search.limits import closed
from recsweep.search.starts import settled_starts
from recsweep.study import Claim, Reason, Result, State, Store, Study, Trial
from recsweep.sweeps.config import SECONDS
from recsweep.sweeps.space import Params
from recsweep.training import training

_NO_MEMORY = (
    "can't allocate memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)
"""What libraries say, in an error of no class of its own, when there is no memory left."""

MOST_DROPPED = 3
"""So many results in a row are dropped, as another process had put their slots back."""


class Host(Protocol):
    """What a session needs of the worker that it runs in."""

    owner: Owner
    last_study: str
    dropped: int

    @property
    def send(self) -> Callable[[Event], None]: ...

    @property
    def should_stop(self) -> Callable[[], bool]: ...

    def store(self, plan: StudyPlan) -> Store: ...

    def prepared(self, plan: StudyPlan, device: torch.device, params: Params | None = None) -> Prepared: ...

    def count_trial(self, limit: int) -> bool: ...


class StudySession:
    """One worker's view of a study, as an engine wants it (`engines.base.Session`)."""

    def __init__(
        self,
        worker: Host,
        plan: StudyPlan,
        study: Study,
        prepared: Prepared,
        device: torch.device,
        seat: Seat | None,
    ) -> None:
        self._worker, self._plan, self._study = worker, plan, study
        self._splits = {plan.model_of(plan.defaults): prepared.split}
        self._device = device
        self._seat = seat or Seat(str(device))
        self._claim: Claim | None = None
        self._said_paths: set[str] = set()
        self._curves: dict[int, Curve] = {}
        """Of the closed trials, by id."""
        self._cooldown = cooldown.decide(plan.sweep.cooldown, str(device))
        if self._cooldown.seconds > 0:
            rest = f"{self._cooldown.seconds:g} s of rest between trials"
            worker.send(Note(f"{plan.label}: {rest}, {self._cooldown.reason}"))
        # A study on a GPU may be one search after another; the rest between two trials stays.
        self._ran_one = seat is not None and worker.last_study == plan.name
        self._ended = False  # by the terms of the seat
        search = plan.sweep.search
        self._may_end_early = any(
            (search.timeout_minutes, search.no_improvement_after, plan.sweep.timeout_minutes)
        )
        self.retired = False
        self.search = Search(
            plan.space,
            plan.defaults,
            plan.maximize,
            plan.sweep.search.algo,
            plan.sweep.search.startup_trials,
            settled_starts(plan, study),
            tuple(plan.directions) if len(plan.directions) > 1 else (),
        )
        self._environment = {
            "device": str(device),
            "threads": torch.get_num_threads(),
            "versions": versions(),
            "commit": commit(),
            "repository": repository(),
            "hardware": hardware(),
        }

    def next_slot(self) -> int | None:
        if self.retired or self._ended or self._worker.should_stop():
            return None
        if self._may_end_early and closed(self._plan, self._study, self._worker.store(self._plan)):
            return None
        budget, shared = self._plan.budget, self._seat.shared
        if self._ran_one and self._cooldown.seconds > 0 and self._study.open_slots(budget, shared=shared):
            self._rest()
            if self._worker.should_stop():
                return None
        self._claim = self._study.claim(budget, self._worker.owner, shared=shared)
        if self._claim is None:
            return None
        self._worker.send(Claimed(self._claim))
        return self._claim.slot

    def _rest(self) -> None:
        self._worker.send(Cooling(self._cooldown.seconds))
        cooldown.rest(self._cooldown, cooldown.gpu_temperature, self._worker.should_stop)

    def proposal_seed(self, slot: int) -> int:
        return self._plan.proposal_seed(slot)

    def history(self) -> list[Observation]:
        return [
            Observation(
                trial.slot, trial.params, trial.score, trial.values, pruned=trial.state == State.PRUNED
            )
            for trial in self._study.results()
        ]

    def running(self) -> list[Params]:
        mine = self._claim.trial_id if self._claim else None
        return [trial.params for trial in self._study.running() if trial.params and trial.id != mine]

    def run(self, slot: int, params: Params) -> Observation:
        claim = self._claim
        if claim is None or claim.slot != slot:
            raise AssertionError(f"slot {slot} was not claimed by this session")
        seed = self._plan.trial_seed(slot)
        if not self._study.start(claim, params, self.search.space, seed, self._environment):
            self._drop(claim)
            return Observation(slot, params, None)
        observation = self._train(claim, params, self._plan.settings(params, seed))
        self._ran_one, self._worker.last_study = True, self._plan.name
        self.retired = self._worker.count_trial(self._plan.sweep.workers.trials_per_worker)
        return observation

    def _train(self, claim: Claim, params: Params, settings: dict[str, Any]) -> Observation:
        started = time.perf_counter()
        curve: dict[int, float] = {}
        without_result = Observation(claim.slot, params, None)

        def after_epoch(epoch: int, score: float) -> None:
            curve[epoch] = score
            if not self._study.report(claim, epoch, score):
                raise TrialStopped("the trial was closed by another process")
            self._worker.send(EpochDone(claim.slot, epoch, score))
            if (verdict := self._verdict(Curve(claim.slot, curve))) is not None:
                raise TrialPruned(f"pruned at epoch {epoch}: {verdict}")

        if self._seat.measure:
            gpu_memory.start(self._device)
        try:
            trained = training.train(settings, self._split_for(params), self._device, after_epoch)
        except TrialStopped:
            self._drop(claim)
            return without_result
        except TrialPruned as stop:
            return self._prune(claim, params, curve, time.perf_counter() - started, str(stop))
        except Exception as error:
            kind, message = classify(error)
            if self._device.type == "cuda":
                torch.cuda.empty_cache()
            if kind == Reason.OUT_OF_MEMORY and self._seat.shared:
                self._put_back(claim, message)
                return without_result
            seconds = time.perf_counter() - started
            where = "" if kind == Reason.DIVERGED else self._keep_traceback(claim, params, error)
            self._study.fail(claim, kind, message, seconds, traceback=where)
            self._worker.send(
                TrialDone(
                    claim.slot, None, max(curve, default=0), seconds, message, params=params, traceback=where
                )
            )
            return without_result
        self._say_path(trained.path)
        seconds = round(trained.seconds, 3)
        result = Result(trained.metrics, trained.best_epoch, trained.epochs, seconds, trained.path)
        values = tuple(_value(objective.name, trained) for objective in self._plan.objectives)
        if self._study.finish(claim, values, result):
            self._worker.dropped = 0
            self._keep_if_best(claim, trained)
            self._worker.send(
                TrialDone(claim.slot, trained.score, trained.epochs, trained.seconds, params=params)
            )
            self._tell_memory()
            return Observation(claim.slot, params, trained.score, values)
        self._drop(claim)
        return without_result

    def _keep_traceback(self, claim: Claim, params: Params, error: Exception) -> str:
        """The name of the file that now holds a failure as Python tells it; empty where there is none."""
        dataset, model, phase = self._plan.place
        path = self._plan.outputs.trial_traceback(dataset, model, claim.slot, claim.attempt, phase)
        about = {"study": self._plan.name, "trial": claim.slot, "parameters": params}
        return str(keep_traceback(path, error, {**about, **self._environment}) or "")

    def _split_for(self, params: Params) -> Split:
        """The data as the model of a trial needs them: models searched together may differ in that."""
        model = self._plan.model_of(params)
        if model not in self._splits:
            self._splits[model] = self._worker.prepared(self._plan, self._device, params).split
        return self._splits[model]

    def _verdict(self, own: Curve) -> str | None:
        """Why the pruner ends the trial now. The store is asked for the others only where it may."""
        config, epochs = self._plan.sweep.pruning, self._plan.sweep.training.epochs
        if not pruning.is_due(config, own, max_epochs=epochs):
            return None
        others = [self._closed_curve(trial) for trial in self._study.results() if trial.state != State.FAILED]
        if pruning.needs_running(config):
            others += [Curve(trial.slot, trial.curve) for trial in self._study.running()]
        return pruning.verdict(config, own, others, maximize=self._plan.maximize, max_epochs=epochs)

    def _closed_curve(self, trial: Trial) -> Curve:
        if trial.id not in self._curves:
            self._curves[trial.id] = Curve(trial.slot, trial.curve, trial.state)
        return self._curves[trial.id]

    def _prune(
        self, claim: Claim, params: Params, curve: dict[int, float], seconds: float, reason: str
    ) -> Observation:
        """Close a trial that is not worth its epochs, with its best until then and without weights."""
        score = (max if self._plan.maximize else min)(curve.values())
        best_epoch = max(epoch for epoch, found in curve.items() if found == score)
        result = Result({}, best_epoch, max(curve), round(seconds, 3))
        if not self._study.prune(claim, [score], result, reason):
            self._drop(claim)
            return Observation(claim.slot, params, None)
        self._worker.send(
            TrialDone(claim.slot, score, max(curve), seconds, reason, pruned=True, params=params)
        )
        self._tell_memory()
        return Observation(claim.slot, params, score, pruned=True)

    def _tell_memory(self) -> None:
        """After a trial that succeeded: one that failed may have ended before its peak."""
        found = gpu_memory.measured(self._device) if self._seat.measure else None
        if found is not None:
            self._worker.send(Measured(self._seat.device, found))
            self._ended = True

    def _put_back(self, claim: Claim, message: str) -> None:
        """Out of memory beside others says nothing of the parameters: the slot gets a GPU to itself."""
        reason = f"{message} (the GPU was shared)"
        self._ended = True  # one fewer on this GPU
        if self._study.put_back(claim, reason, alone=True):
            self._worker.send(PutBack(claim.slot, reason))
        else:
            self._drop(claim)

    def _say_path(self, path: str) -> None:
        """Tell once whose code trains, as it is the same for nearly all trials of a study."""
        if path not in self._said_paths:
            self._said_paths.add(path)
            self._worker.send(Note(f"{self._plan.label}: trained by {path}"))

    def _drop(self, claim: Claim) -> None:
        """Another process gave this trial up and closed it: its slot is no longer ours to fill.

        Raises:
            SweepPaused: that happens again and again, while this process lives.
        """
        self._worker.send(Note(f"trial {claim.slot} was closed by another process; this result is dropped"))
        self._worker.dropped += 1
        if self._worker.dropped >= MOST_DROPPED:
            raise SweepPaused(
                f"{self._plan.label}: {MOST_DROPPED} trials one after the other were put back by another "
                f"process while this one ran them, the last one trial {claim.slot}; it takes this process "
                "for dead; see that there is one store, and that hosts and containers have names of their "
                "own, then run the same command again, no trial is lost"
            )

    def _keep_if_best(self, claim: Claim, trained: training.Trained) -> None:
        """Write the weights of the best trial so far, and remove those that it beat."""
        outputs, plan = self._plan.outputs, self._plan
        if not self._is_best(claim):
            return
        dataset, model, phase = plan.place
        folder = outputs.trial_checkpoints(dataset, model, claim.slot, phase)
        try:
            stored = training.save_checkpoints(folder, trained)
        except (OSError, RuntimeError) as error:
            raise (disk_trouble(error) or error) from None
        if not stored:
            self._worker.send(
                Note(
                    f"{plan.label}: {plan.model.model} holds state that cannot be stored safely; "
                    "no checkpoint"
                )
            )
        best = winner(plan, self._study)  # another worker may have been better meanwhile
        for other in outputs.checkpoints(dataset, model, phase).glob("trial-*"):
            if best is not None and other.name != f"trial-{best.slot}":
                shutil.rmtree(other, ignore_errors=True)

    def _is_best(self, claim: Claim) -> bool:
        best = winner(self._plan, self._study)
        return best is not None and best.id == claim.trial_id


def _value(objective: str, trained: training.Trained) -> float:
    """What a trial came to in one objective."""
    return trained.seconds if objective == SECONDS else trained.metrics[objective.lower()]


def classify(error: Exception) -> tuple[Reason, str]:
    """Kind and message of a trial's failure.

    Raises:
        SweepPaused: when the error is no trial's fault.
    """
    if isinstance(error, SweepPaused):
        raise error
    if (pause := disk_trouble(error)) is not None:
        raise pause from error
    if isinstance(error, TrialDiverged):
        return Reason.DIVERGED, str(error)
    no_memory = isinstance(error, torch.cuda.OutOfMemoryError | MemoryError)
    if no_memory or any(words in str(error) for words in _NO_MEMORY):
        return Reason.OUT_OF_MEMORY, f"out of memory: {_first_line(error)}"
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}"
    return Reason.ERROR, f"{type(error).__name__} at {place}: {_first_line(error)}"


def _first_line(error: BaseException) -> str:
    return mask((str(error).splitlines() or [""])[0])[:300]
