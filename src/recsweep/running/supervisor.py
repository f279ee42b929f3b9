"""The parent of the workers. It holds no torch, sees every death, and loses no trial.

A worker that dies alone takes the blame (`deaths.py`). When the whole group is killed, nobody is to
blame: the next run finds the orphans by their owner, which is this process, and puts their slots back
for free.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import wait
from typing import Any

from recsweep.common.errors import StudyPaused, SweepPaused, UserError
from recsweep.common.files import counted
from recsweep.common.interrupts import as_interrupt
from recsweep.common.owner import this_process
from recsweep.planning.plan import StudyPlan
from recsweep.running.child import error_of
from recsweep.running.deaths import Deaths
from recsweep.running.events import (
    Broken,
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
    Started,
    TrialDone,
)
from recsweep.running.gpus import Gpus, Memory
from recsweep.running.pool import Child, Pool
from recsweep.running.progress import Display
from recsweep.running.watch import StudyView, WorkerView, changed_text, duration
from recsweep.search.limits import closed
from recsweep.search.starts import open_study
from recsweep.search.stopping import MAX_EVALS
from recsweep.study import HEARTBEAT_SECONDS, State, Store, Study, Trial, best
from recsweep.sweeps.space import Params

ALIKE_FAILURES = 3
"""A study pauses when its first trials, this many, all fail with the same message."""
_TICK_SECONDS = 1.0
_POLL_OTHERS_SECONDS = 2.0


class Supervisor:
    """Runs studies with a pool of workers that stay warm from one study to the next.

    Args:
        display: shows what happens.
    """

    def __init__(self, display: Display) -> None:
        self._display = display
        self._pool = Pool()
        self._beats = 0
        self._beaten = time.monotonic()
        self._deaths = Deaths(display)
        self._gpus: Gpus | None = None
        """Who trains where; None where no GPU is used, or before a worker has told of any."""

    def __enter__(self) -> Supervisor:
        return self

    def __exit__(self, *details: Any) -> None:
        self._pool.close()

    def run_study(
        self,
        plan: StudyPlan,
        position: int,
        count: int,
        *,
        restart: bool = False,
        origin: Trial | None = None,
    ) -> dict[str, float] | None:
        """Fill every slot of a study, then evaluate its winner on the test split.

        A phase before the model's last one is not evaluated: its winner is not the model's.

        Args:
            origin: the trial of an earlier phase that the study inherits.

        Returns:
            The winner's test metrics, or None where there is nothing to evaluate.

        Raises:
            SweepPaused: something that is no trial's fault; nothing is lost.
        """
        with self._open(plan) as store, self._clean_slate():
            study = open_study(plan, store, restart=restart, origin=origin)
            view = _view(plan, study, position, count)
            view.sweep = self._display.sweep
            self._search(plan, study, store, view)
            return self._evaluate(plan, study, view) if plan.is_last else None

    @contextmanager
    def _clean_slate(self) -> Iterator[None]:
        """What goes wrong in one study leaves no worker in an unknown state for the next one."""
        self._deaths.ready()
        try:
            yield
        except BaseException:
            self._pool.close()
            raise

    @contextmanager
    def _open(self, plan: StudyPlan) -> Iterator[Store]:
        store = Store(plan.storage_url, plan.sweep.workers.store_patience_seconds, self._display.line)
        try:
            yield store
        finally:
            store.close()

    def join_study(self, plan: StudyPlan, position: int, count: int) -> None:
        """Fill the slots that wait in a study that another process opened; leave when all are filled.

        Where the slots that are left run elsewhere it waits for them: should one of their processes
        die, there is somebody to run its trial again.

        Raises:
            UserError: the store has no such study.
        """
        with self._open(plan) as store, self._clean_slate():
            study = store.find_study(plan.name, plan.definition)
            if study is None:
                raise UserError(
                    f"study {plan.name} is not in the store; a worker joins a sweep that was opened; "
                    "start it with `recsweep tune`, or open it with `recsweep open`"
                )
            view = _view(plan, study, position, count)
            view.sweep = self._display.sweep
            waiting = 0 if closed(plan, study, store) else study.open_slots(plan.budget)
            self._announce(plan, view, waiting)
            if waiting:
                with self._stoppable(study):
                    self._work(plan, study, store, view, waiting, join=True)

    # -- searching -------------------------------------------------------------------------------

    def _search(self, plan: StudyPlan, study: Study, store: Store, view: StudyView) -> None:
        orphans = study.put_back_orphans()
        if orphans:
            found = f"{counted(orphans, 'trial')} of a process that is gone"
            self._display.line(f"{plan.label}: {found}: back in the budget")
        open_slots = study.ensure_slots(plan.budget)
        ended = closed(plan, study, store)
        self._announce(plan, view, 0 if ended else open_slots)
        if ended is None:
            with self._stoppable(study):
                self._work(plan, study, store, view, open_slots)
            ended = closed(plan, study, store)
        if ended is not None and ended.limit != MAX_EVALS:
            self._display.line(f"{plan.label}: ended by {ended.reason}")

    @contextmanager
    def _stoppable(self, study: Study) -> Iterator[None]:
        """Whatever ends the work early, running trials go back and no worker stays."""
        with as_interrupt():
            try:
                yield
            except BaseException:
                self._abandon(study, "the sweep was stopped")
                raise

    def _work(
        self,
        plan: StudyPlan,
        study: Study,
        store: Store,
        view: StudyView,
        open_slots: int,
        *,
        join: bool = False,
    ) -> None:
        self._gpus = None  # every study's trials are measured anew
        self._deaths.say_bound(plan)
        self._employ(plan, study, open_slots)
        while True:
            self._pump(plan, study, view)
            if self._gpus is not None and closed(plan, study, store) is None:
                self._seat_workers(plan, study)
            busy = [child for child in self._pool.children if not child.idle]
            if busy:
                continue
            if closed(plan, study, store):
                return
            waiting = study.open_slots(plan.budget)
            if waiting:  # slots that were put back
                self._employ(plan, study, waiting)
            elif join and not study.running():
                return
            else:  # other machines run the rest
                if not join:
                    study.ensure_slots(plan.budget)
                study.put_back_orphans()
                time.sleep(_POLL_OTHERS_SECONDS)
                view.filled = len(study.results())
                self._display.show(view, force=True)

    def _employ(self, plan: StudyPlan, study: Study, waiting: int) -> None:
        """Set workers to search; none of them does so now."""
        workers = plan.sweep.workers
        gpus = 0 if plan.sweep.training.device in ("cpu", "mps") else self._pool.gpus
        if gpus:
            self._gpus = self._gpus or Gpus(gpus, workers.trials_per_gpu, workers.count)
            self._seat_workers(plan, study)
            return
        children = self._pool.take(plan, min(workers.count, waiting))
        if gpus is None:
            return  # the first of them will say what there is
        for child in children:
            self._pool.send(child, ("search", plan))

    def _seat_workers(self, plan: StudyPlan, study: Study) -> None:
        """Let as many workers search as the GPUs take and slots wait for."""
        gpus = self._gpus
        if gpus is None or gpus.next_seat(self._pool.seats, 1, 1) is None:
            return
        # A worker that searches without a trial is about to take one.
        coming = sum(not child.idle and child.claim is None for child in self._pool.children)
        waiting, open_slots = study.open_slots(plan.budget, shared=True), study.open_slots(plan.budget)
        ordinary = max(0, waiting - coming)
        alone = max(0, open_slots - coming - ordinary)
        while (seat := gpus.next_seat(self._pool.seats, ordinary, alone)) is not None:
            self._pool.send(self._pool.for_device(plan, seat.device), ("search", plan), seat)
            ordinary, alone = (ordinary - 1, alone) if ordinary else (0, alone - 1)

    def _pump(self, plan: StudyPlan, study: Study, view: StudyView) -> None:
        """Wait for something to happen, and deal with it."""
        sources: list[Any] = [child.pipe for child in self._pool.children]
        sources += [child.process.sentinel for child in self._pool.children]
        ready = wait(sources, timeout=_TICK_SECONDS)
        for child in list(self._pool.children):
            if child.pipe in ready or child.process.sentinel in ready:
                self._drain(child, plan, study, view)
            if not child.process.is_alive():
                self._bury(child, plan, study, view)
        self._beat(study)
        self._end_hung_trials(plan, study, view)
        view.workers = {
            child.number: view.workers.get(child.number, WorkerView()) for child in self._pool.children
        }
        self._display.show(view)

    def _drain(self, child: Child, plan: StudyPlan, study: Study, view: StudyView) -> None:
        try:
            while child.pipe.poll():
                self._handle(child, child.pipe.recv(), plan, study, view)
        except (EOFError, OSError):
            return  # it died; the sentinel tells

    def _handle(self, child: Child, event: Event, plan: StudyPlan, study: Study, view: StudyView) -> None:
        worker = view.workers.setdefault(child.number, WorkerView())
        match event:
            case Started(gpus):
                self._pool.gpus = gpus
            case Ready(device, prepared):
                child.ready = True
                self._deaths.ready()
                worker.doing = "ready"
                self._display.line(f"{plan.label}: worker {child.number} on {device}, data {prepared}")
            case Note(text):
                if text not in view.said:  # what all workers find is said once
                    view.said.add(text)
                    self._display.line(text)
            case Claimed(claim):
                child.claim = claim
                child.claimed_at = child.heard_at = time.monotonic()
                view.workers[child.number] = WorkerView(f"trial {claim.slot}", since=child.claimed_at)
            case EpochDone(_, epoch, score):
                child.heard_at = time.monotonic()
                worker.epoch, worker.last = epoch, score
                better = worker.best is None or (
                    score > worker.best if view.maximize else score < worker.best
                )
                worker.best = score if better else worker.best
            case TrialDone():
                child.claim, worker.since = None, None
                self._trial_done(event, plan, study, view)
            case Measured(device, memory):
                self._measured(device, memory, plan)
            case PutBack(slot, reason):
                child.claim, worker.since = None, None
                if self._gpus is not None and child.seat is not None:
                    self._gpus.out_of_memory(child.seat.device)
                self._display.line(f"{plan.label} trial {slot}: {reason}; run again with a GPU to itself")
            case Cooling(seconds):
                worker.doing = f"cooling down, at most {duration(seconds)}"
            case Idle(retired):
                child.idle, child.claim = True, None
                if self._gpus is not None:  # others may train on for long
                    view.workers[child.number] = WorkerView(doing="waiting")
                if retired:
                    self._pool.remove(child)
            case Broken():
                raise error_of(event)
            case Evaluated():
                raise AssertionError("nobody asked for an evaluation")

    def _measured(self, device: str, memory: Memory, plan: StudyPlan) -> None:
        if self._gpus is None:
            return
        contexts = sum(c.seat is not None and c.seat.device == device for c in self._pool.children)
        count = self._gpus.measured(device, memory, contexts)
        self._display.line(
            f"{plan.label}: {device} trains up to {count} at once; the first trial took "
            f"{memory.peak / 2**30:.1f} GiB, {memory.free / 2**30:.1f} of {memory.total / 2**30:.1f} are free"
        )

    def _trial_done(self, event: TrialDone, plan: StudyPlan, study: Study, view: StudyView) -> None:
        view.add(event.slot, event.score, pruned=event.pruned)
        view.took(event.seconds)
        head = f"{plan.label} trial {event.slot} ({view.filled}/{view.budget})"
        params = changed_text(event.params or _params_of(event.slot, study), plan.defaults)
        at = f" ({params})" if params else ""
        if event.pruned:
            self._display.line(f"{head} {event.reason}{at}")
            return
        if event.score is None:
            where = f"; traceback in {event.traceback}" if event.traceback else ""
            self._display.line(f"{head} failed after {duration(event.seconds)}{at}: {event.reason}{where}")
            self._pause_if_all_fail(plan, study)
            return
        best_so_far = (
            "best so far"
            if view.best_slot == event.slot
            else f"best {view.best:.4f} (trial {view.best_slot})"
        )
        self._display.line(
            f"{head} {view.metric} {event.score:.4f}, {best_so_far}, "
            f"{counted(event.epochs, 'epoch')} in {duration(event.seconds)}{at}"
        )

    def _pause_if_all_fail(self, plan: StudyPlan, study: Study) -> None:
        results = [trial for trial in study.results() if not trial.inherited]
        failures = [trial for trial in results if trial.state == State.FAILED]
        messages = {trial.failure.message if trial.failure else "" for trial in failures}
        if len(failures) < len(results) or len(messages) != 1:
            return
        if len(failures) < min(ALIKE_FAILURES, plan.budget - plan.inherits):
            return
        message = messages.pop() or ""
        self._abandon(study, "the study was paused")
        # A worker may have gone on to fail until it was stopped.
        failures = [trial for trial in study.results() if not trial.inherited]
        study.return_slots(failures)
        last = failures[-1].failure
        kept = last.traceback if last is not None else ""
        where = f" (traceback in {kept})" if kept else ""
        raise StudyPaused(
            f"{plan.label}: the first {len(failures)} trials all failed alike; {message}{where}; "
            "correct the cause and run the same command again, their slots are back in the budget"
        )

    # -- deaths ----------------------------------------------------------------------------------

    def _bury(self, child: Child, plan: StudyPlan, study: Study, view: StudyView) -> None:
        """A worker died: its trial is judged, and another worker takes its place."""
        if child not in self._pool.children:
            return
        self._drain(child, plan, study, view)
        if child not in self._pool.children:
            return
        self._pool.remove(child)
        self._deaths.blame(child, plan, study, lambda done: self._trial_done(done, plan, study, view))
        if not child.idle and self._gpus is None and study.open_slots(plan.budget):
            for fresh in self._pool.take(plan, len(self._pool.children) + 1)[-1:]:
                self._pool.send(fresh, ("search", plan))

    def _end_hung_trials(self, plan: StudyPlan, study: Study, view: StudyView) -> None:
        for child in list(self._pool.children):
            if not self._deaths.is_overdue(child, plan, study):
                continue
            self._drain(child, plan, study, view)  # what it has said meanwhile
            if not self._deaths.is_overdue(child, plan, study):
                continue
            self._deaths.end_hung(child, plan, study, lambda done: self._trial_done(done, plan, study, view))
            self._bury(child, plan, study, view)

    def _abandon(self, study: Study, message: str) -> None:
        """Stop at once; the trials that ran go back for free."""
        self._pool.close()
        study.hurry()  # whoever stops a sweep is not to wait for a store that is away
        with suppress(SweepPaused):  # the store is away; the next run finds the orphans
            study.put_back_owned(this_process(), message)

    # -- evaluating ------------------------------------------------------------------------------

    def _evaluate(self, plan: StudyPlan, study: Study, view: StudyView) -> dict[str, float] | None:
        trial = best(study.results(), maximize=plan.maximize)
        if trial is None:
            self._display.line(f"{plan.label}: no trial succeeded, there is nothing to evaluate")
            return None
        known = study.test_metrics(trial)
        if known is not None:
            return known
        deaths = 0
        with as_interrupt():
            while True:
                child = self._pool.take(plan, 1)[0]
                self._pool.send(child, ("evaluate", plan), child.seat)
                view.workers = {child.number: WorkerView("testing the winner")}
                self._display.show(view, force=True)
                metrics = self._await_evaluation(child, plan, study, view, deaths)
                if metrics is not None:
                    return metrics
                self._pool.remove(child)
                deaths += 1

    def _await_evaluation(
        self, child: Child, plan: StudyPlan, study: Study, view: StudyView, deaths: int
    ) -> dict[str, float] | None:
        """The winner's test metrics; None where the worker died and the test is to run again."""
        while True:
            wait([child.pipe, child.process.sentinel], timeout=_TICK_SECONDS)
            with suppress(EOFError, OSError):  # it died; its process tells
                while child.pipe.poll():
                    event = child.pipe.recv()
                    if isinstance(event, Evaluated):
                        child.idle = True
                        return event.metrics
                    self._handle(child, event, plan, study, view)
            self._display.show(view)
            if self._deaths.died_at_test(child, plan, study, deaths):
                return None

    def _beat(self, study: Study) -> None:
        """Signs of life for all running trials, from here: a busy worker may hold Python's lock."""
        if time.monotonic() - self._beaten < HEARTBEAT_SECONDS:
            return
        self._beaten = time.monotonic()
        self._beats += 1
        for child in self._pool.children:
            if child.claim is not None:
                ran = time.monotonic() - child.claimed_at
                study.beat(child.claim.trial_id, child.owner, self._beats, ran)

    def _announce(self, plan: StudyPlan, view: StudyView, open_slots: int) -> None:
        head = f"study {view.position}/{view.count} {plan.label}"
        own = plan.budget - plan.inherits  # a trial that is inherited is none of its own
        if not open_slots:
            filled = view.filled - plan.inherits
            count = f"all {own}" if filled >= own else f"{filled} of {own}"
            there = "the one trial is" if own == filled == 1 else f"{count} trials are"
            self._display.line(f"{head}: {there} in the store, nothing to train")
            return
        search = plan.sweep.search
        self._display.line(
            f"{head}: {open_slots} of {counted(own, 'trial')} to run, {search.engine}/{search.algo}, "
            f"at most {counted(plan.sweep.training.epochs, 'epoch')} each"
        )


def _view(plan: StudyPlan, study: Study, position: int, count: int) -> StudyView:
    view = StudyView(plan.label, position, count, plan.sweep.evaluation.metric, plan.maximize, plan.budget)
    view.epochs = plan.sweep.training.epochs
    for trial in study.results():
        view.add(trial.slot, trial.score, pruned=trial.state == State.PRUNED)
    return view


def _params_of(slot: int, study: Study) -> Params:
    """The parameters of a trial whose worker can tell no more."""
    return next((trial.params for trial in study.results() if trial.slot == slot), {})
