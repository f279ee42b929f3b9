"""The reactions of a supervisor to each event of a worker."""

from __future__ import annotations

import time

from recsweep.common.errors import StudyPaused
from recsweep.running.child import error_of
from recsweep.running.commands import unknown
from recsweep.running.crew import Crew, Member
from recsweep.running.deaths import Deaths
from recsweep.running.events import (
    Broken,
    Changeable,
    Claimed,
    Cooling,
    Died,
    EpochDone,
    Evaluated,
    Event,
    Gauged,
    Idle,
    Interrupted,
    Left,
    Measured,
    Note,
    PutBack,
    Ready,
    Started,
    TrialDone,
)
from recsweep.running.lines import outcome
from recsweep.running.seats import Seats
from recsweep.running.study_run import StudyRun
from recsweep.running.threads import spared
from recsweep.running.watch import WorkerView, duration
from recsweep.study import State, Trial

ALIKE_FAILURES = 3
"""A study pauses when its first trials, this many, all fail with the same message."""
_OfTrial = Claimed | EpochDone | Left | TrialDone | PutBack | Interrupted | Cooling


class Reactions:
    """Takes the events of a crew's workers.

    Args:
        crew: the workers.
        seats: where they train.
        deaths: who judges those that die.
    """

    def __init__(self, crew: Crew, seats: Seats, deaths: Deaths) -> None:
        self._crew, self._seats, self._deaths = crew, seats, deaths

    def take(self, run: StudyRun, member: Member, event: Event) -> None:
        """Do what an event asks for.

        Raises:
            StudyPaused: the first trials all failed alike.
            RecsweepError: what a worker broke at; or an event that is none of those there are.
        """
        match event:
            case Started(gpus):
                self._crew.gpus = gpus
            case Ready(device, prepared):
                member.ready = True
                self._deaths.ready()
                self._worker(run, member).doing = "ready"
                run.say(f"{run.label}: worker {member.number} on {device}, data {prepared}")
                _once(run, spared(run.plan.sweep.workers))
            case Note(text):
                _once(run, text)
            case Measured():
                self._seats.measured(run, event)
            case Idle(retired):
                self._idle(run, member, retired=retired)
            case Broken():
                raise error_of(event)
            case Died(reason):
                self._bury(run, member, reason)
            case Changeable() | Evaluated() | Gauged():
                raise AssertionError(f"nobody asked for it: {event}")
            case Claimed() | EpochDone() | Left() | TrialDone() | PutBack() | Interrupted() | Cooling():
                self._of_trial(run, member, event)
            case _:
                raise unknown(event)

    def _of_trial(self, run: StudyRun, member: Member, event: _OfTrial) -> None:
        worker = self._worker(run, member)
        match event:
            case Claimed(claim):
                member.took(claim)
                run.view.workers[member.number] = WorkerView(f"trial {claim.slot}", since=member.claimed_at)
            case EpochDone(_, epoch, score):
                member.heard_at = time.monotonic()
                worker.scored(epoch, score, maximize=run.view.maximize)
                self._seats.heard(run, member, event)
            case Left(slot):
                member.claim, worker.since = None, None
                worker.doing = f"trial {slot} waits for the others"
            case TrialDone():
                member.claim, worker.since = None, None
                self.trial_done(run, event)
            case PutBack(slot, reason):
                member.claim, worker.since = None, None
                self._seats.out_of_memory(run, member)
                run.say(f"{run.label} trial {slot}: {reason}; run again with a GPU to itself")
            case Interrupted(slot, reason):
                member.claim, worker.since = None, None
                run.say(f"{run.label} trial {slot}: {reason}; its slot waits")
            case Cooling(seconds):
                worker.doing = f"cooling down, at most {duration(seconds)}"

    def _worker(self, run: StudyRun, member: Member) -> WorkerView:
        return run.view.workers.setdefault(member.number, WorkerView())

    def _idle(self, run: StudyRun, member: Member, *, retired: bool) -> None:
        member.idle, member.claim = True, None
        if self._seats.given:  # others may train on for long
            run.view.workers[member.number] = WorkerView(doing="waiting")
        if retired:
            self._crew.let_go(member)

    def _bury(self, run: StudyRun, member: Member, reason: str) -> None:
        """A worker died: its trial is judged, and another worker takes its place."""
        self._crew.forget(member)
        self._deaths.blame(member, reason, run, lambda done: self.trial_done(run, done))
        if not member.idle:
            self._seats.replace(run)

    def trial_done(self, run: StudyRun, event: TrialDone) -> None:
        """A trial came to something: count it, and say what.

        Raises:
            StudyPaused: all failed alike until now.
        """
        run.view.add(event.slot, event.score, pruned=event.pruned)
        run.view.took(event.seconds)
        run.say(outcome(run, event))
        if event.score is None:
            self.pause_if_all_fail(run)

    def pause_if_all_fail(self, run: StudyRun) -> None:
        """End a study whose trials cannot be to blame.

        Raises:
            StudyPaused: the first trials all failed alike; their slots are back in the budget.
        """
        if (message := _alike(run)) is None:
            return
        self._crew.abandon(run, "the study was paused")
        failures = _failures(run)  # a worker may have gone on to fail until it was stopped
        run.study.return_slots(failures)
        last = failures[-1].failure
        kept = last.traceback if last is not None else ""
        where = f" (traceback in {kept})" if kept else ""
        raise StudyPaused(
            f"{run.label}: the first {len(failures)} trials all failed alike; {message}{where}; "
            "correct the cause and run the same command again, their slots are back in the budget"
        )


def _once(run: StudyRun, text: str) -> None:
    """Say what several workers find, the first time."""
    if text and text not in run.view.said:
        run.view.said.add(text)
        run.say(text)


def _failures(run: StudyRun) -> list[Trial]:
    return [trial for trial in run.own_results() if trial.state == State.FAILED]


def _alike(run: StudyRun) -> str | None:
    """The message with which all trials failed so far, where that are enough to pause."""
    failures = _failures(run)
    messages = {trial.failure.message if trial.failure else "" for trial in failures}
    if len(failures) < len(run.own_results()) or len(messages) != 1:
        return None
    enough = min(ALIKE_FAILURES, run.plan.budget - run.plan.inherits)
    return messages.pop() if len(failures) >= enough else None
