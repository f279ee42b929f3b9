"""The parent of the workers. It holds no torch, sees every death, and loses no trial.

A worker that dies alone takes the blame: its trial is run again a few times, then counted as
crashed. When the whole group is killed, nobody is to blame: the next run finds the orphans by their
owner, which is this process, and puts their slots back for free.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import FrameType
from typing import Any

from recsweep import errors
from recsweep.errors import RecsweepError, SweepPaused, UserError, disk_trouble
from recsweep.events import (
    Broken,
    Claimed,
    Cooling,
    EpochDone,
    Evaluated,
    Event,
    Idle,
    Note,
    Ready,
    TrialDone,
)
from recsweep.owner import Owner, this_process
from recsweep.plan import StudyPlan
from recsweep.progress import Display, StudyView, WorkerView, duration
from recsweep.study import CRASH, HEARTBEAT_SECONDS, TIMEOUT, Claim, Store, Study, best, claim_of

ALIKE_FAILURES = 3
"""A study pauses when its first trials, this many, all fail with the same message."""
MAX_START_FAILURES = 3
_TICK_SECONDS = 1.0
_GOODBYE_SECONDS = 5.0
_POLL_OTHERS_SECONDS = 2.0


@dataclass
class _Child:
    """One worker process."""

    number: int
    process: SpawnProcess
    pipe: Connection
    owner: Owner
    log: Path
    claim: Claim | None = None
    claimed_at: float = 0.0
    idle: bool = True
    ready: bool = False


class Supervisor:
    """Runs studies with a pool of workers that stay warm from one study to the next.

    Args:
        display: shows what happens.
    """

    def __init__(self, display: Display) -> None:
        self._display = display
        self._children: list[_Child] = []
        self._beats = 0
        self._beaten = time.monotonic()
        self._start_failures = 0
        self._stopping = False

    def __enter__(self) -> Supervisor:
        return self

    def __exit__(self, *details: Any) -> None:
        self.close()

    def run_study(
        self, plan: StudyPlan, position: int, count: int, *, restart: bool = False
    ) -> dict[str, float] | None:
        """Fill every slot of a study, then evaluate its winner on the test split.

        Returns:
            The winner's test metrics, or None when no trial succeeded.

        Raises:
            SweepPaused: something that is no trial's fault; nothing is lost.
        """
        store = Store(plan.storage_url)
        try:
            study = store.open_study(plan.name, plan.definition, maximize=plan.maximize, restart=restart)
            view = _view(plan, study, position, count)
            self._search(plan, study, view)
            return self._evaluate(plan, study, view)
        finally:
            store.close()

    def join_study(self, plan: StudyPlan, position: int, count: int) -> None:
        """Fill the slots that wait in a study that another process made, then leave.

        Raises:
            UserError: the store has no such study.
        """
        store = Store(plan.storage_url)
        try:
            if store.find_study(plan.name) is None:
                raise UserError(
                    f"study {plan.name} is not in the store; a worker joins a sweep that runs; "
                    "start it with `recsweep tune`"
                )
            study = store.open_study(plan.name, plan.definition, maximize=plan.maximize)
            waiting = study.open_slots(plan.budget)
            view = _view(plan, study, position, count)
            self._announce(plan, view, waiting)
            if waiting:
                with self._stoppable(study):
                    self._work(plan, study, view, waiting, join=True)
        finally:
            store.close()

    def close(self) -> None:
        """End all workers: those that wait for work at once, the others by force."""
        for child in self._children:
            child.pipe.close()
            if not child.idle:
                child.process.kill()
        for child in self._children:
            child.process.join(timeout=_GOODBYE_SECONDS)
            if child.process.is_alive():
                child.process.kill()
                child.process.join()
        self._children.clear()

    # -- searching -------------------------------------------------------------------------------

    def _search(self, plan: StudyPlan, study: Study, view: StudyView) -> None:
        orphans = study.put_back_orphans()
        if orphans:
            self._display.line(f"{plan.label}: {orphans} unfinished trial(s) of a dead process wait again")
        open_slots = study.ensure_slots(plan.budget)
        self._announce(plan, view, open_slots)
        if not open_slots:
            return
        with self._stoppable(study):
            self._work(plan, study, view, open_slots)

    @contextmanager
    def _stoppable(self, study: Study) -> Iterator[None]:
        """Whatever ends the work early, running trials go back and no worker stays."""
        with _sigterm_as_interrupt():
            try:
                yield
            except BaseException:
                self._abandon(study, "the sweep was stopped")
                raise

    def _work(
        self, plan: StudyPlan, study: Study, view: StudyView, open_slots: int, *, join: bool = False
    ) -> None:
        for child in self._pool(plan, min(plan.sweep.workers.count, open_slots)):
            self._send(child, ("search", plan))
        while True:
            self._pump(plan, study, view)
            busy = [child for child in self._children if not child.idle]
            if busy:
                continue
            waiting = study.open_slots(plan.budget)
            if not waiting and (join or not study.ensure_slots(plan.budget)):
                return
            if waiting:  # slots that were put back
                for child in self._pool(plan, min(plan.sweep.workers.count, waiting)):
                    self._send(child, ("search", plan))
            else:  # other machines run the rest
                study.put_back_orphans()
                time.sleep(_POLL_OTHERS_SECONDS)
                view.filled = len(study.results())
                self._display.show(view, force=True)

    def _pump(self, plan: StudyPlan, study: Study, view: StudyView) -> None:
        """Wait for something to happen, and deal with it."""
        sources: list[Any] = [child.pipe for child in self._children]
        sources += [child.process.sentinel for child in self._children]
        ready = wait(sources, timeout=_TICK_SECONDS)
        for child in list(self._children):
            if child.pipe in ready or child.process.sentinel in ready:
                self._drain(child, plan, study, view)
            if not child.process.is_alive():
                self._bury(child, plan, study, view)
        self._beat(study)
        self._end_hung_trials(plan, study, view)
        view.workers = {
            child.number: view.workers.get(child.number, WorkerView()) for child in self._children
        }
        self._display.show(view)

    def _drain(self, child: _Child, plan: StudyPlan, study: Study, view: StudyView) -> None:
        try:
            while child.pipe.poll():
                self._handle(child, child.pipe.recv(), plan, study, view)
        except (EOFError, OSError):
            return  # it died; the sentinel tells

    def _handle(self, child: _Child, event: Event, plan: StudyPlan, study: Study, view: StudyView) -> None:
        worker = view.workers.setdefault(child.number, WorkerView())
        match event:
            case Ready(device, prepared):
                child.ready, self._start_failures = True, 0
                worker.doing = "ready"
                self._display.line(f"{plan.label}: worker {child.number} on {device}, data {prepared}")
            case Note(text):
                self._display.line(text)
            case Claimed(claim):
                child.claim, child.claimed_at = claim, time.monotonic()
                view.workers[child.number] = WorkerView(doing=f"trial {claim.slot}")
            case EpochDone(_, epoch, score):
                worker.epoch, worker.last = epoch, score
                better = worker.best is None or (
                    score > worker.best if view.maximize else score < worker.best
                )
                worker.best = score if better else worker.best
            case TrialDone():
                child.claim = None
                self._trial_done(event, plan, study, view)
            case Cooling(seconds):
                worker.doing = f"cooling down, at most {duration(seconds)}"
            case Idle(retired):
                child.idle, child.claim = True, None
                if retired:
                    self._remove(child)
            case Broken(kind, message):
                raise _rebuild(kind, message)
            case Evaluated():
                raise AssertionError("nobody asked for an evaluation")

    def _trial_done(self, event: TrialDone, plan: StudyPlan, study: Study, view: StudyView) -> None:
        view.add(event.slot, event.score)
        view.seconds.append(event.seconds)
        head = f"{plan.label} trial {event.slot} ({view.filled}/{view.budget})"
        if event.score is None:
            self._display.line(f"{head} failed after {duration(event.seconds)}: {event.reason}")
            self._pause_if_all_fail(plan, study)
            return
        best_so_far = (
            "best so far"
            if view.best_slot == event.slot
            else f"best {view.best:.4f} (trial {view.best_slot})"
        )
        self._display.line(
            f"{head} {view.metric} {event.score:.4f}, {best_so_far}, "
            f"{event.epochs} epochs in {duration(event.seconds)}"
        )

    def _pause_if_all_fail(self, plan: StudyPlan, study: Study) -> None:
        results = study.results()
        failures = [trial for trial in results if trial.state == "failed"]
        messages = {trial.failure.get("message") for trial in failures}
        if len(failures) < len(results) or len(messages) != 1:
            return
        if len(failures) < min(ALIKE_FAILURES, plan.budget):
            return
        message = messages.pop() or ""
        self._abandon(study, "the study was paused")
        failures = study.results()  # a worker may have gone on to fail until it was stopped
        study.return_slots(failures)
        raise SweepPaused(
            f"{plan.label}: the first {len(failures)} trials all failed alike; {message}; "
            "correct the cause and run the same command again, their slots are back in the budget"
        )

    # -- deaths ----------------------------------------------------------------------------------

    def _bury(self, child: _Child, plan: StudyPlan, study: Study, view: StudyView) -> None:
        """A worker died. Its trial is run again, or counted as crashed when it did so too often."""
        if child not in self._children:
            return
        self._drain(child, plan, study, view)
        if child not in self._children:
            return
        self._remove(child)
        reason = _death(child.process)
        claim = child.claim or self._unreported_claim(child, study)
        if claim is None:
            self._start_failures += 0 if child.ready else 1
            if self._start_failures >= MAX_START_FAILURES:
                raise RecsweepError(f"workers cannot start; {reason}; see {child.log}")
        else:
            self._crashed(claim, reason, child, plan, study, view)
        if not child.idle and study.open_slots(plan.budget):
            for fresh in self._pool(plan, len(self._children) + 1)[-1:]:
                self._send(fresh, ("search", plan))

    def _crashed(
        self, claim: Claim, reason: str, child: _Child, plan: StudyPlan, study: Study, view: StudyView
    ) -> None:
        message = f"the worker died: {reason}"
        if claim.crashes < plan.sweep.workers.crash_retries:
            if study.put_back(claim, message, crashed=True):
                left = plan.sweep.workers.crash_retries - claim.crashes
                self._display.line(
                    f"{plan.label} trial {claim.slot}: {message}; "
                    f"run again (at most {left} more), see {child.log}"
                )
        elif study.fail(claim, CRASH, message):
            seconds = time.monotonic() - child.claimed_at
            self._trial_done(TrialDone(claim.slot, None, 0, seconds, message), plan, study, view)

    def _unreported_claim(self, child: _Child, study: Study) -> Claim | None:
        """A trial that the dead worker had claimed but not told of."""
        for trial in study.running():
            if trial.owner:
                owner = Owner.from_dict(trial.owner)
                if owner == child.owner:
                    return claim_of(trial)
        return None

    def _end_hung_trials(self, plan: StudyPlan, study: Study, view: StudyView) -> None:
        minutes = plan.sweep.workers.trial_timeout_minutes
        if minutes is None:
            return
        for child in list(self._children):
            if child.claim is None or time.monotonic() - child.claimed_at < minutes * 60:
                continue
            self._drain(child, plan, study, view)
            claim = child.claim
            if claim is None:
                continue
            child.process.kill()
            child.process.join()
            message = f"took longer than trial_timeout_minutes={minutes:g}"
            if study.fail(claim, TIMEOUT, message):
                self._trial_done(TrialDone(claim.slot, None, 0, minutes * 60, message), plan, study, view)
            child.claim, child.ready = None, True
            self._bury(child, plan, study, view)

    def _abandon(self, study: Study, message: str) -> None:
        """Stop at once; the trials that ran go back for free."""
        self.close()
        with suppress(SweepPaused):  # the store is away; the next run finds the orphans
            study.put_back_owned(this_process(), message)

    # -- evaluating ------------------------------------------------------------------------------

    def _evaluate(self, plan: StudyPlan, study: Study, view: StudyView) -> dict[str, float] | None:
        trial = best(study.results(), maximize=plan.maximize)
        if trial is None:
            self._display.line(f"{plan.label}: no trial succeeded, there is nothing to evaluate")
            return None
        stored = study.attributes.get("test")
        if stored and stored.get("trial_id") == trial.id:
            return dict(stored["metrics"])
        with _sigterm_as_interrupt():
            child = self._pool(plan, 1)[0]
            self._send(child, ("evaluate", plan))
            while True:
                metrics = self._await_evaluation(child, plan, study, view)
                if metrics is not None:
                    return metrics

    def _await_evaluation(
        self, child: _Child, plan: StudyPlan, study: Study, view: StudyView
    ) -> dict[str, float] | None:
        wait([child.pipe, child.process.sentinel], timeout=_TICK_SECONDS)
        while child.pipe.poll():
            try:
                event = child.pipe.recv()
            except EOFError:
                break
            if isinstance(event, Evaluated):
                child.idle = True
                return event.metrics
            self._handle(child, event, plan, study, view)
        if not child.process.is_alive():
            raise RecsweepError(
                f"{plan.label}: the worker died while it evaluated the winner; "
                f"{_death(child.process)}; see {child.log}"
            )
        return None

    # -- processes -------------------------------------------------------------------------------

    def _pool(self, plan: StudyPlan, count: int) -> list[_Child]:
        """`count` live workers; new ones where there are too few."""
        while len(self._children) < count:
            self._children.append(self._start(plan))
        return self._children[:count]

    def _start(self, plan: StudyPlan) -> _Child:
        taken = {child.number for child in self._children}
        number = next(n for n in range(1, len(taken) + 2) if n not in taken)
        log = plan.outputs.worker_log(plan.dataset_name, plan.model_name, number)
        log.parent.mkdir(parents=True, exist_ok=True)
        threads = plan.sweep.workers.threads or max(1, _cores() // plan.sweep.workers.count)
        ours, theirs = get_context("spawn").Pipe()
        process = get_context("spawn").Process(
            target=child_main, args=(theirs, this_process(), str(log), threads), daemon=True
        )
        with _without_main_module():
            process.start()
        theirs.close()
        owner = replace(this_process(), worker=process.pid)
        return _Child(number, process, ours, owner, log)

    def _send(self, child: _Child, message: tuple[str, StudyPlan]) -> None:
        child.idle = False
        child.pipe.send(message)

    def _remove(self, child: _Child) -> None:
        self._children.remove(child)
        child.pipe.close()
        child.process.join(timeout=_GOODBYE_SECONDS)
        if child.process.is_alive():
            child.process.kill()
            child.process.join()

    def _beat(self, study: Study) -> None:
        """Signs of life for all running trials, from here: a busy worker may hold Python's lock."""
        if time.monotonic() - self._beaten < HEARTBEAT_SECONDS:
            return
        self._beaten = time.monotonic()
        self._beats += 1
        for child in self._children:
            if child.claim is not None:
                study.beat(child.claim.trial_id, child.owner, self._beats)

    def _announce(self, plan: StudyPlan, view: StudyView, open_slots: int) -> None:
        head = f"study {view.position}/{view.count} {plan.label}"
        if not open_slots:
            self._display.line(f"{head}: all {plan.budget} trials are in the store, nothing to train")
            return
        search = plan.sweep.search
        self._display.line(
            f"{head}: {open_slots} of {plan.budget} trials to run, {search.engine}/{search.algo}, "
            f"at most {plan.sweep.training.epochs} epochs each"
        )


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """SIGTERM ends a sweep as Ctrl-C does: slots go back, nothing stays behind."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _view(plan: StudyPlan, study: Study, position: int, count: int) -> StudyView:
    view = StudyView(plan.label, position, count, plan.sweep.evaluation.metric, plan.maximize, plan.budget)
    for trial in study.results():
        view.add(trial.slot, trial.score)
    return view


def _death(process: SpawnProcess) -> str:
    code = process.exitcode
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        hint = " (the kernel kills so when memory runs out)" if name == "SIGKILL" else ""
        return f"killed by {name}{hint}"
    return f"exit code {code}"


def _rebuild(kind: str, message: str) -> Exception:
    """A worker's error on this side; one about input carries its place in its message already."""
    error = getattr(errors, kind, None)
    if not (isinstance(error, type) and issubclass(error, RecsweepError)):
        return RecsweepError(message)
    return UserError(message) if issubclass(error, errors.InputError) else error(message)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _without_main_module() -> Iterator[None]:
    """A spawned process would import the parent's main script again; our workers need none of it."""
    main = sys.modules["__main__"]
    spec, path = getattr(main, "__spec__", None), getattr(main, "__file__", None)
    main.__spec__ = None
    if path is not None:
        del main.__file__
    try:
        yield
    finally:
        main.__spec__ = spec
        if path is not None:
            main.__file__ = path


# -- the child's side ----------------------------------------------------------------------------


def child_main(pipe: Connection, parent: Owner, log: str, threads: int) -> None:
    """A worker process from its first line to its last. Imports torch only after its settings."""
    _die_with(parent.pid)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)
    # OpenMP's idle threads spin for a millisecond by default. Where another process wants the core,
    # that slows small models 4 to 20 times; this much less spinning costs nothing measurable.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    os.environ["TQDM_DISABLE"] = "1"
    _redirect(log)
    try:
        import torch
        from tqdm import tqdm

        tqdm.set_lock(threading.RLock())  # its own would be a semaphore that outlives a killed worker

        torch.set_num_threads(threads)
        _serve(pipe, replace(parent, worker=os.getpid()))
    except Exception as caught:
        error = disk_trouble(caught) or caught
        if not isinstance(error, RecsweepError):
            traceback.print_exc()
            message = f"{type(error).__name__}: {error} (traceback in {log})"
        else:
            message = str(error)
        kind = type(error).__name__ if isinstance(error, RecsweepError) else "bug"
        pipe.send(Broken(kind, message))


def _serve(pipe: Connection, owner: Owner) -> None:
    from recsweep.worker import Worker

    send: Callable[[Event], None] = pipe.send
    worker = Worker(owner, send, lambda: False)
    while True:
        try:
            operation, plan = pipe.recv()
        except EOFError:
            return
        if operation == "search":
            worker.search(plan)
        elif operation == "evaluate":
            worker.evaluate(plan)


def _redirect(log: str) -> None:
    """What RecBole and HyperOpt print goes to the worker's log."""
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (1, 2):
        os.dup2(handle, stream)
    os.close(handle)


def _die_with(parent: int) -> None:
    """End when the parent ends, however it ended."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, signal.SIGKILL)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
