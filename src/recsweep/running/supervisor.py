"""The parent of the workers. It holds no torch, sees every death, and loses no trial.

A worker that dies alone takes the blame (`deaths.py`). When the whole group is killed, nobody is to
blame: the next run finds the orphans by their owner, which is this process, and puts their slots back
for free.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from recsweep.common.errors import TimeIsUp, UserError
from recsweep.common.files import counted
from recsweep.common.interrupts import AskedToLeave, EndIsNear, as_interrupt
from recsweep.planning.plan import StudyPlan
from recsweep.running.crew import GRACE_SECONDS, Crew
from recsweep.running.deadline import RESERVE_SECONDS, Deadline
from recsweep.running.deaths import Deaths
from recsweep.running.depots import keep_apart_there, note_depot
from recsweep.running.left_over import SEND_SECONDS, TOLD_AFTER, settle, tell_unsent
from recsweep.running.lines import announcement
from recsweep.running.local_workers import LocalWorkers
from recsweep.running.old_weights import keep_apart
from recsweep.running.progress import Display
from recsweep.running.reactions import Reactions
from recsweep.running.seats import Seats
from recsweep.running.study_run import StudyRun
from recsweep.running.watch import WorkerView
from recsweep.running.winner_test import WinnerTest
from recsweep.running.workers import Workers
from recsweep.search.starts import open_study
from recsweep.search.stopping import MAX_EVALS
from recsweep.study import HEARTBEAT_SECONDS, Store, Study, Trial

_TICK_SECONDS = 1.0
_POLL_OTHERS_SECONDS = 2.0


class Supervisor:
    """Runs studies with workers that stay warm from one study to the next.

    Args:
        display: shows what happens.
        workers: those that train; processes of this machine by default.
    """

    def __init__(self, display: Display, workers: Workers | None = None) -> None:
        self._display = display
        self._crew = Crew(workers or LocalWorkers())
        self._seats = Seats(self._crew)
        self._deaths = Deaths(display, self._crew)
        self._reactions = Reactions(self._crew, self._seats, self._deaths)
        self._deadline = Deadline.of_this_job()
        self._beats = 0
        self._send_seconds = SEND_SECONDS
        self._beaten = time.monotonic()

    def __enter__(self) -> Supervisor:
        return self

    def __exit__(self, *details: Any) -> None:
        self._crew.close()

    def run_study(
        self,
        plan: StudyPlan,
        position: int,
        count: int,
        *,
        restart: bool = False,
        origin: Trial | None = None,
        users: bool = False,
    ) -> dict[str, float] | None:
        """Fill every slot of a study, then evaluate its winner on the test split.

        A phase before the model's last one is not evaluated: its winner is not the model's.

        Args:
            origin: the trial of an earlier phase that the study inherits.
            users: the winner's scores per user are made again, where they are no longer there.

        Returns:
            The winner's test metrics, or None where there is nothing to evaluate.

        Raises:
            SweepPaused: something that is no trial's fault; nothing is lost.
        """

        def find(store: Store) -> Study:
            return open_study(plan, store, restart=restart, origin=origin)

        with self._opened(plan, find, position, count) as run:
            self._search(run)
            if not plan.is_last:
                return None
            return WinnerTest(self._display, self._crew, self._deaths, self._reactions).metrics(
                run, users=users
            )

    def join_study(self, plan: StudyPlan, position: int, count: int) -> None:
        """Fill the slots that wait in a study that another process opened; leave when all are filled.

        Where the slots that are left run elsewhere it waits for them: should one of their processes
        die, there is somebody to run its trial again.

        Raises:
            UserError: the store has no such study.
        """

        def find(store: Store) -> Study:
            study = store.find_study(plan.name, plan.definition)
            if study is None:
                raise UserError(
                    f"study {plan.name} is not in the store; a worker joins a sweep that was opened; "
                    "start it with `recsweep tune`, or open it with `recsweep open`"
                )
            return study

        with self._opened(plan, find, position, count) as run:
            waiting = 0 if run.closed() else run.open_slots()
            run.say(announcement(run, waiting))
            if waiting:
                run.require_no_stop()
                with self._stoppable(run):
                    self._work(run, waiting, join=True)
                run.told_end()
                self._settle(run, worked=True)

    @contextmanager
    def _opened(
        self, plan: StudyPlan, find: Callable[[Store], Study], position: int, count: int
    ) -> Iterator[StudyRun]:
        """A study to work on; what goes wrong in it leaves no worker in an unknown state for the next one."""
        with StudyRun.opened(plan, find, self._display.line, position, count) as run:
            keep_apart(run)
            keep_apart_there(run)
            note_depot(run)
            run.view.sweep = self._display.sweep
            self._deaths.ready()
            try:
                yield run
            except BaseException:
                self._crew.close()
                tell_unsent(run)
                raise

    def _search(self, run: StudyRun) -> None:
        orphans = run.put_back_orphans()
        if orphans:
            found = f"{counted(orphans, 'trial')} of a process that is gone"
            run.say(f"{run.label}: {found}: back in the budget")
        open_slots = run.ensure_slots()
        ended = run.told_end()
        run.say(announcement(run, 0 if ended else open_slots))
        begun = ended is None
        if ended is None:
            run.require_no_stop()
            with self._stoppable(run):
                self._work(run, open_slots)
            ended = run.told_end()
        if ended is not None and ended.limit != MAX_EVALS:
            run.say(f"{run.label}: ended by {ended.reason}")
        self._settle(run, worked=begun)

    def _settle(self, run: StudyRun, *, worked: bool) -> None:
        """See to checkpoints that are left; a place that was away for one study is not waited for again."""
        if not settle(run, self._send_seconds, worked=worked):
            self._send_seconds = TOLD_AFTER

    @contextmanager
    def _stoppable(self, run: StudyRun) -> Iterator[None]:
        """Whatever ends the work early, running trials go back and no worker stays."""
        with as_interrupt():
            try:
                yield
            except (AskedToLeave, TimeIsUp) as asked:
                try:
                    self._crew.end_epochs(self._grace(asked))
                finally:
                    self._crew.abandon(run, "the sweep was stopped")
                raise
            except BaseException:
                self._crew.abandon(run, "the sweep was stopped")
                raise

    def _grace(self, asked: BaseException) -> float:
        """Seconds in which trials may end their epochs: more than a few where the end is known to be far."""
        left = self._deadline.left()
        if left is None or not isinstance(asked, EndIsNear | TimeIsUp):
            return GRACE_SECONDS
        return max(GRACE_SECONDS, left - RESERVE_SECONDS)

    def _work(self, run: StudyRun, open_slots: int, *, join: bool = False) -> None:
        self._seats.begin()
        self._deaths.say_bound(run.plan)
        self._seats.employ(run, open_slots)
        while True:
            self._turn(run)
            if self._seats.given and run.stop_asked() is None and run.closed() is None:
                self._seats.fill(run)
            if self._crew.busy:
                continue
            if run.closed():
                return
            run.require_no_stop()
            waiting = run.open_slots()
            if waiting:  # slots that were put back
                self._seats.employ(run, waiting)
            elif join and not run.running():
                return
            else:
                self._wait_for_others(run, join=join)

    def _wait_for_others(self, run: StudyRun, *, join: bool) -> None:
        """Other machines run the rest; should they die, their slots are put back."""
        if not join:
            run.ensure_slots()
        run.put_back_orphans()
        time.sleep(_POLL_OTHERS_SECONDS)
        run.view.filled = len(run.results())
        self._display.show(run.view, force=True)

    def _turn(self, run: StudyRun) -> None:
        """Wait for something to happen, and deal with it."""
        self._hear(run, _TICK_SECONDS)
        self._beat(run)
        if self._deadline.near():
            raise TimeIsUp(
                f"{run.label}: paused, as the time of this job is nearly over; no trial is lost, and running "
                "the same command again goes on inside those that ran"
            )
        self._end_hung_trials(run)
        run.view.workers = {
            member.number: run.view.workers.get(member.number, WorkerView()) for member in self._crew.members
        }
        self._display.show(run.view)

    def _hear(self, run: StudyRun, seconds: float) -> None:
        self._crew.events(seconds, lambda member, event: self._reactions.take(run, member, event))

    def _end_hung_trials(self, run: StudyRun) -> None:
        if not any(self._deaths.is_overdue(member, run) for member in self._crew.members):
            return
        self._hear(run, 0.0)  # what they have said meanwhile
        for member in list(self._crew.members):
            if self._deaths.is_overdue(member, run):
                self._deaths.end_hung(member, run, lambda done: self._reactions.trial_done(run, done))

    def _beat(self, run: StudyRun) -> None:
        """Signs of life for all running trials, from here: a busy worker may hold Python's lock."""
        if time.monotonic() - self._beaten < HEARTBEAT_SECONDS:
            return
        self._beaten = time.monotonic()
        self._beats += 1
        for member in self._crew.members:
            if member.claim is not None:
                ran = time.monotonic() - member.claimed_at
                run.study.beat(member.claim.trial_id, member.hired.owner, self._beats, ran)
