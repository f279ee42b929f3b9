"""One study being worked on: what its supervisor and each of its workers ask of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property

from recsweep.common.errors import StudyStopped, SweepPaused
from recsweep.common.owner import Owner
from recsweep.planning.plan import StudyPlan
from recsweep.running.watch import StudyView
from recsweep.search.begun import tell_the_end
from recsweep.search.limits import closed
from recsweep.search.shares import used
from recsweep.search.stopping import Ended
from recsweep.study import Claim, FlagWatch, State, StopFlag, Store, Study, Trial, best
from recsweep.sweeps.sections import EPOCHS

Say = Callable[[str], None]
"""Takes a line for people."""


class StudyRun:
    """A plan, its place in the store, its slots and limits, and what is shown of it; opened once.

    The supervisor has one, and each of its workers one of its own. What happens to a single trial is
    asked of `study`.

    Args:
        plan: what is searched, and how.
        study: its place in the store, opened.
        say: takes a line for people.
        position: of the study among those of the run.
        count: how many these are.
    """

    def __init__(self, plan: StudyPlan, study: Study, say: Say, position: int = 1, count: int = 1) -> None:
        self.plan, self.study, self.say = plan, study, say
        self.position, self.count = position, count
        self._flag = FlagWatch(study)

    @classmethod
    @contextmanager
    def opened(
        cls, plan: StudyPlan, find: Callable[[Store], Study], say: Say, position: int = 1, count: int = 1
    ) -> Iterator[StudyRun]:
        """A study, for as long as it is worked on.

        Args:
            find: opens or finds it in the store.

        Raises:
            StoreUnavailable: the store cannot be opened.
        """
        store = Store(plan.storage_url, plan.sweep.workers.store_patience_seconds, say)
        try:
            yield cls(plan, find(store), say, position, count)
        finally:
            store.close()

    @property
    def label(self) -> str:
        return self.plan.label

    @cached_property
    def view(self) -> StudyView:
        """The study as it is shown, with the results that were there."""
        plan = self.plan
        view = StudyView(
            plan.label, self.position, self.count, plan.sweep.evaluation.metric, plan.maximize, plan.budget
        )
        view.epochs = plan.sweep.training.epochs
        for trial in self.results():
            view.add(trial.slot, trial.score, pruned=trial.state == State.PRUNED)
        return view

    # -- its slots ---------------------------------------------------------------------------------

    def closed(self) -> Ended | None:
        """The limit that ended it; None while there is something to run."""
        return closed(self.plan, self.study)

    @property
    def ended_early(self) -> bool:
        """True where something else than its budget has ended it; asked of the store where there is such."""
        if self.share_is_used():  # by those that run too
            return True
        search = self.plan.sweep.search
        limits = (search.timeout_minutes, search.no_improvement_after, self.plan.sweep.timeout_minutes)
        return any(limit is not None for limit in limits) and self.closed() is not None

    def share_is_used(self, trial: int | None = None, seconds: float = 0.0) -> bool:
        """True where the study's trials have used its seconds or epochs; False where trials are counted.

        Args:
            trial: the id of one that knows better how long it has run.
            seconds: those.
        """
        share, unit = self.plan.share, self.plan.search.budget
        if share is None:
            return False
        trials = [*self.results(), *self.running()]
        if unit == EPOCHS:
            return used(trials, unit) >= share
        return seconds + used([one for one in trials if one.id != trial], unit) >= share

    def told_end(self) -> Ended | None:
        """`closed`; where it is, the study's record says so from now on, and what won."""
        ended = self.closed()
        if ended is not None:
            tell_the_end(self.study, ended, maximize=self.plan.maximize)
        return ended

    def stop_asked(self, *, fresh: bool = False) -> StopFlag | None:
        """The wish that it be worked on no more, as it stood some seconds ago; `fresh`: as it stands now."""
        return self._flag.look(fresh=fresh)

    def require_no_stop(self) -> None:
        """Work goes on only where nobody has asked to stop.

        Raises:
            StudyStopped: `recsweep stop` asked for it.
            SweepPaused: it asked the whole run.
        """
        if (flag := self.stop_asked(fresh=True)) is not None:
            kind = SweepPaused if flag.everything else StudyStopped
            raise kind(stopped_text(self.label, flag))

    def open_slots(self, *, shared: bool = False) -> int:
        """How many slots wait; `shared`: for a worker that shares its GPU."""
        return self.study.open_slots(self.plan.budget, shared=shared)

    def ensure_slots(self) -> int:
        """See to it that each slot is filled, runs or waits; how many are not filled yet."""
        return self.study.ensure_slots(self.plan.budget)

    def put_back_orphans(self) -> int:
        """Put back what ran in processes that are gone; how many trials these were."""
        return self.study.put_back_orphans()

    def claim(self, owner: Owner, *, shared: bool = False) -> Claim | None:
        """Take the lowest slot that waits; None when none does."""
        return self.study.claim(self.plan.budget, owner, shared=shared)

    # -- what it found -----------------------------------------------------------------------------

    def results(self) -> list[Trial]:
        """The counted trials, by slot; not to be changed."""
        return self.study.results()

    def own_results(self) -> list[Trial]:
        """Those that were trained here, and not in an earlier phase."""
        return [trial for trial in self.results() if not trial.inherited]

    def running(self) -> list[Trial]:
        """The trials that run now, whoever runs them."""
        return self.study.running()

    def winner(self) -> Trial | None:
        """The best counted trial; ties go to the lower slot."""
        return best(self.results(), maximize=self.plan.maximize)

    def longest_seconds(self) -> float | None:
        """How long the longest trial took that came to a score; None while there is none."""
        scored = [trial for trial in self.own_results() if trial.score is not None]
        return max((float(trial.result.seconds or 0.0) for trial in scored), default=None)


def stopped_text(label: str, flag: StopFlag) -> str:
    """One line on a study that was stopped, with how to go on."""
    return (
        f"{label}: stopped, as `recsweep stop` asked at {flag.at} on {flag.by}; no trial is lost, and "
        "running `recsweep tune` (or `open`, for workers) on it again goes on"
    )
