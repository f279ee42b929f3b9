"""A worker: a warm process that takes slots and trains them until none is left.

It prepares a data set once and keeps it. Whatever a trial does wrong becomes a result with its
reason; what is not a trial's fault (disk full, store unreachable) ends the worker, not the trial.
"""

from __future__ import annotations

import shutil
import time
import traceback
from collections.abc import Callable
from typing import Any

import torch

from recsweep import cooldown, memory, training
from recsweep.datasets.prepare import Prepared, prepare
from recsweep.engines import make_engine
from recsweep.engines.base import Observation, Search
from recsweep.errors import SweepPaused, TrialDiverged, TrialStopped, disk_trouble
from recsweep.evaluate import evaluate_winner, winner
from recsweep.events import (
    Claimed,
    Cooling,
    EpochDone,
    Evaluated,
    Event,
    Idle,
    Measured,
    Note,
    PutBack,
    Ready,
    TrialDone,
)
from recsweep.gpus import Seat
from recsweep.owner import Owner
from recsweep.plan import StudyPlan
from recsweep.provenance import git_commit, hardware, versions
from recsweep.recbole_api.config import resolve_device
from recsweep.space import Params
from recsweep.study import DIVERGED, ERROR, OUT_OF_MEMORY, Claim, Store, Study

_KEPT_SPLITS = 2
_NO_MEMORY = (
    "can't allocate memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)
"""What libraries say, in an error of no class of its own, when there is no memory left."""


class Worker:
    """One process's work on any number of studies.

    Args:
        owner: who answers for this worker's trials; the supervisor, which outlives it.
        send: takes every event.
        should_stop: asked before each claim.
    """

    def __init__(self, owner: Owner, send: Callable[[Event], None], should_stop: Callable[[], bool]) -> None:
        self.owner, self.send, self.should_stop = owner, send, should_stop
        self._stores: dict[str, Store] = {}
        self._splits: dict[str, Prepared] = {}
        self._trials_run = 0
        self.last_study = ""
        """Name of the study that this worker last trained for."""

    def search(self, plan: StudyPlan, seat: Seat | None = None) -> None:
        """Fill slots of a study until none waits, or until the seat's terms end the search.

        Args:
            seat: a GPU and the terms on which it may be used; None: the config's device, unshared.
        """
        device = _device(plan, seat)
        prepared = self.prepared(plan, device)
        session = _StudySession(self, plan, self.study(plan), prepared, device, seat)
        state = make_engine(plan.sweep.search.engine).search(session)
        if state is not None:
            tried = len(state.params2result)
            self.send(Note(f"{plan.label}: the engine tried {tried}, best {state.best_params}"))
        memory.release(device)  # for those that train on while this worker waits
        self.send(Idle(retired=session.retired))

    def evaluate(self, plan: StudyPlan, seat: Seat | None = None) -> None:
        """Evaluate the winner of a closed study on the test split."""
        device = _device(plan, seat)
        metrics = evaluate_winner(plan, self.study(plan), device, lambda text: self.send(Note(text)))
        memory.release(device)
        self.send(Evaluated(metrics))

    def study(self, plan: StudyPlan) -> Study:
        """The study's place in the store."""
        url = plan.storage_url
        if url not in self._stores:
            self._stores[url] = Store(url)
        return self._stores[url].open_study(plan.name, plan.definition, maximize=plan.maximize)

    def prepared(self, plan: StudyPlan, device: torch.device) -> Prepared:
        """The study's data, kept from one study to the next where it is the same."""
        started = time.perf_counter()
        found = prepare(plan.settings(plan.defaults, plan.sweep.seed), plan.files, plan.outputs.cache)
        known = self._splits.pop(found.key, found)
        self._splits[found.key] = known
        while len(self._splits) > _KEPT_SPLITS:
            self._splits.pop(next(iter(self._splits)))
        how = "cached" if found.cached else f"made in {time.perf_counter() - started:.1f} s"
        self.send(Ready(str(device), how))
        return known

    def count_trial(self, limit: int) -> bool:
        """Whether the worker has run its share of trials and is to be replaced."""
        self._trials_run += 1
        return self._trials_run >= limit


def _device(plan: StudyPlan, seat: Seat | None) -> torch.device:
    device = resolve_device(seat.device if seat else plan.sweep.training.device)
    if seat and device.type == "cuda":
        torch.cuda.set_device(device)  # some of RecBole's models say `.cuda()`, which is the current one
    return device


class _StudySession:
    """One worker's view of a study, as an engine wants it (`engines.base.Session`)."""

    def __init__(
        self,
        worker: Worker,
        plan: StudyPlan,
        study: Study,
        prepared: Prepared,
        device: torch.device,
        seat: Seat | None,
    ) -> None:
        self._worker, self._plan, self._study = worker, plan, study
        self._split, self._device = prepared.split, device
        self._seat = seat or Seat(str(device))
        self._claim: Claim | None = None
        self._said_paths: set[str] = set()
        self._cooldown = cooldown.decide(plan.sweep.cooldown, str(device))
        if self._cooldown.seconds == 0 and plan.sweep.cooldown.seconds is None:
            worker.send(Note(f"{plan.label}: no cooldown: {self._cooldown.reason}"))
        # A study on a GPU may be one search after another; the rest between two trials stays.
        self._ran_one = seat is not None and worker.last_study == plan.name
        self._ended = False  # by the terms of the seat
        self.retired = False
        self.search = Search(
            plan.model.space,
            plan.defaults,
            plan.maximize,
            plan.sweep.search.algo,
            plan.sweep.search.startup_trials,
        )
        self._environment = {
            "device": str(device),
            "threads": torch.get_num_threads(),
            "versions": versions(),
            "commit": git_commit(),
            "hardware": hardware(),
        }

    def next_slot(self) -> int | None:
        if self.retired or self._ended or self._worker.should_stop():
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
        return [Observation(trial.slot, trial.params, trial.score) for trial in self._study.results()]

    def running(self) -> list[Params]:
        return []

    def run(self, slot: int, params: Params) -> Observation:
        claim = self._claim
        if claim is None or claim.slot != slot:
            raise AssertionError(f"slot {slot} was not claimed by this session")
        seed = self._plan.trial_seed(slot)
        if not self._study.start(claim, params, self._plan.model.space, seed, self._environment):
            self._drop(claim)
            return Observation(slot, params, None)
        score = self._train(claim, self._plan.settings(params, seed))
        self._ran_one, self._worker.last_study = True, self._plan.name
        self.retired = self._worker.count_trial(self._plan.sweep.workers.trials_per_worker)
        return Observation(slot, params, score)

    def _train(self, claim: Claim, settings: dict[str, Any]) -> float | None:
        started = time.perf_counter()
        epochs = 0

        def after_epoch(epoch: int, score: float) -> None:
            nonlocal epochs
            epochs = epoch
            if not self._study.report(claim, epoch, score):
                raise TrialStopped("the trial was closed by another process")
            self._worker.send(EpochDone(claim.slot, epoch, score))

        if self._seat.measure:
            memory.start(self._device)
        try:
            trained = training.train(settings, self._split, self._device, after_epoch)
        except TrialStopped:
            self._drop(claim)
            return None
        except Exception as error:
            kind, message = classify(error)
            if self._device.type == "cuda":
                torch.cuda.empty_cache()
            if kind == OUT_OF_MEMORY and self._seat.shared:
                self._put_back(claim, message)
                return None
            self._study.fail(claim, kind, message)
            self._worker.send(TrialDone(claim.slot, None, epochs, time.perf_counter() - started, message))
            return None
        self._say_path(trained.path)
        result = {
            "metrics": trained.metrics,
            "best_epoch": trained.best_epoch,
            "epochs": trained.epochs,
            "seconds": round(trained.seconds, 3),
            "path": trained.path,
        }
        if self._study.finish(claim, trained.score, result):
            self._keep_if_best(claim, trained)
            self._worker.send(TrialDone(claim.slot, trained.score, trained.epochs, trained.seconds))
            self._tell_memory()
            return trained.score
        self._drop(claim)
        return None

    def _tell_memory(self) -> None:
        """After a trial that succeeded: one that failed may have ended before its peak."""
        found = memory.measured(self._device) if self._seat.measure else None
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
        """Another process gave this trial up and closed it: its slot is no longer ours to fill."""
        self._worker.send(Note(f"trial {claim.slot} was closed by another process; this result is dropped"))

    def _keep_if_best(self, claim: Claim, trained: training.Trained) -> None:
        """Write the weights of the best trial so far, and remove those that it beat."""
        outputs, plan = self._plan.outputs, self._plan
        if not self._is_best(claim):
            return
        folder = outputs.trial_checkpoints(plan.dataset_name, plan.model_name, claim.slot)
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
        for other in outputs.checkpoints(plan.dataset_name, plan.model_name).glob("trial-*"):
            if best is not None and other.name != f"trial-{best.slot}":
                shutil.rmtree(other, ignore_errors=True)

    def _is_best(self, claim: Claim) -> bool:
        best = winner(self._plan, self._study)
        return best is not None and best.id == claim.trial_id


def classify(error: Exception) -> tuple[str, str]:
    """Kind and message of a trial's failure.

    Raises:
        SweepPaused: when the error is no trial's fault.
    """
    if isinstance(error, SweepPaused):
        raise error
    if (pause := disk_trouble(error)) is not None:
        raise pause from error
    if isinstance(error, TrialDiverged):
        return DIVERGED, str(error)
    no_memory = isinstance(error, torch.cuda.OutOfMemoryError | MemoryError)
    if no_memory or any(words in str(error) for words in _NO_MEMORY):
        return OUT_OF_MEMORY, f"out of memory: {_first_line(error)}"
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}"
    return ERROR, f"{type(error).__name__} at {place}: {_first_line(error)}"


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0][:300]
