"""The test of a winner, as a supervisor sees it: one worker is asked, and asked again where it dies."""

from __future__ import annotations

from recsweep.common.interrupts import as_interrupt
from recsweep.running.commands import Evaluate
from recsweep.running.crew import Crew, Member
from recsweep.running.deaths import Deaths
from recsweep.running.events import Died, Evaluated, Event
from recsweep.running.progress import Display
from recsweep.running.reactions import Reactions
from recsweep.running.study_run import StudyRun
from recsweep.running.user_files import has_users
from recsweep.running.watch import WorkerView

TICK_SECONDS = 1.0


class WinnerTest:
    """Has the winner of one closed study tested.

    Args:
        display: shows that it is tested.
        crew: the workers, of which one does it.
        deaths: judges that one.
        reactions: takes all else that workers tell.
    """

    def __init__(self, display: Display, crew: Crew, deaths: Deaths, reactions: Reactions) -> None:
        self._display, self._crew, self._deaths, self._reactions = display, crew, deaths, reactions
        self._metrics: dict[str, float] | None = None
        self._death: str | None = None
        """Why the worker that tests is no more."""

    def metrics(self, run: StudyRun, *, users: bool = False) -> dict[str, float] | None:
        """The winner's test metrics: those of the store, or now; None where nothing succeeded.

        Args:
            users: its scores per user are made again, where they are no longer there.

        Raises:
            RecsweepError: one worker after the other dies of it.
        """
        trial = run.winner()
        if trial is None:
            run.say(f"{run.label}: no trial succeeded, there is nothing to evaluate")
            return None
        metrics = run.study.test_metrics(trial)
        again = users and metrics is not None and not has_users(run.plan, trial)
        deaths = 0
        with as_interrupt():
            while metrics is None or again:
                metrics = self._asked(run, deaths, again)
                again, deaths = again and metrics is None, deaths + 1
        return metrics

    def _asked(self, run: StudyRun, deaths: int, users: bool) -> dict[str, float] | None:
        """The metrics that a worker finds; None where it died, and the test is to run again."""
        tester = self._crew.take(run.plan, 1)[0]
        self._metrics = self._death = None
        self._crew.send(tester, Evaluate(run.plan, tester.seat, users), tester.seat)
        run.view.workers = {tester.number: WorkerView("testing the winner")}
        self._display.show(run.view, force=True)
        hung: str | None = None
        while self._metrics is None:
            self._crew.events(TICK_SECONDS, lambda member, event: self._take(run, tester, member, event))
            self._display.show(run.view)
            if self._death is not None:
                self._deaths.died_at_test(tester, hung or self._death, run, deaths)
                return None
            hung = hung or self._deaths.silent_at_test(tester, run)
        return self._metrics

    def _take(self, run: StudyRun, tester: Member, member: Member, event: Event) -> None:
        if member is not tester:
            self._reactions.take(run, member, event)
            return
        match event:
            case Evaluated(metrics):
                tester.idle, self._metrics = True, metrics
            case Died(reason):
                self._crew.forget(tester)
                self._death = reason
            case _:
                self._reactions.take(run, tester, event)
