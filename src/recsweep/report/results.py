"""What a study has found so far, read from the store alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from recsweep.common.address import StoreAddress
from recsweep.common.paths import is_made
from recsweep.planning.plan import StudyPlan
from recsweep.search.limits import closed
from recsweep.search.starts import as_begun
from recsweep.search.stopping import Ended
from recsweep.study import DATA_ATTRIBUTE, State, Store, Study, Trial, best
from recsweep.sweeps.space import Params

FINISHED, NOT_FINISHED, NOT_BEGUN = "finished", "not finished", "not begun"
CHANGED, GONE = "has changed", "is not there"


@dataclass(frozen=True)
class StudyResult:
    """What a study has found so far."""

    plan: StudyPlan
    trials: list[Trial]
    """Counted trials, by slot."""
    winner: Trial | None
    test: dict[str, float] | None
    """Test metrics of the winner, once the study is closed and the winner was evaluated."""
    ended: Ended | None = None
    """The limit that ended the study; None where it goes on, or where nobody asked."""
    before: tuple[StudyResult, ...] = ()
    """The earlier phases of the model, where they are to be counted too."""
    runs: bool = False
    """Whether a trial runs at this moment."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """What is in the data that the study trains on: `users`, `items`; empty where nobody has said so."""
    moved: str = ""
    """How the data files are no longer those of the study: `has changed`, `is not there`; empty: they are."""

    @property
    def budget(self) -> int:
        """Trials that the study is to train: an inherited one costs nothing."""
        return self.plan.budget - self.plan.inherits

    @property
    def state(self) -> str:
        """`finished`, `not finished` or `not begun`."""
        if self.ended is not None or len(self.trials) >= self.plan.budget:
            return FINISHED
        return NOT_FINISHED if self.trained or self.runs else NOT_BEGUN

    @property
    def parameters(self) -> Params:
        """The winner's, with those that its phase did not search."""
        return self.plan.complete(self.winner.params) if self.winner else {}

    @property
    def trained(self) -> int:
        """Trials that the study trained: an inherited one was trained before."""
        return sum(not trial.inherited for trial in self.trials)

    @property
    def failed(self) -> int:
        return sum(trial.state == State.FAILED for trial in self.trials)

    @property
    def pruned(self) -> int:
        return sum(trial.state == State.PRUNED for trial in self.trials)

    @property
    def seconds(self) -> float:
        """Training time of all trials that the study trained."""
        own = (trial for trial in self.trials if not trial.inherited)
        return sum(float(trial.result.seconds or 0.0) for trial in own)

    @property
    def all_state(self) -> str:
        """With the earlier phases."""
        states = {result.state for result in (self, *self.before)}
        return states.pop() if len(states) == 1 else NOT_FINISHED

    @property
    def all_budget(self) -> int:
        """With the earlier phases."""
        return self.budget + sum(result.budget for result in self.before)

    @property
    def all_trained(self) -> int:
        """With the earlier phases."""
        return self.trained + sum(result.trained for result in self.before)

    @property
    def all_failed(self) -> int:
        """With the earlier phases."""
        return self.failed + sum(result.failed for result in self.before)

    @property
    def all_pruned(self) -> int:
        """With the earlier phases."""
        return self.pruned + sum(result.pruned for result in self.before)

    @property
    def all_seconds(self) -> float:
        """With the earlier phases."""
        return self.seconds + sum(result.seconds for result in self.before)


def read_result(plan: StudyPlan, study: Study, store: Store | None = None) -> StudyResult:
    """A study's result as the store has it; the store is asked for what ended it."""
    trials = study.results()
    winner = best(trials, maximize=plan.maximize)
    ended = closed(plan, study) if store is not None else None
    test = study.test_metrics(winner) if winner else None
    data = study.attributes.get(DATA_ATTRIBUTE, {})
    return StudyResult(plan, trials, winner, test, ended, runs=bool(study.running()), data=data)


def not_begun(plan: StudyPlan) -> StudyResult:
    """The result of a study that is not in the store yet."""
    return StudyResult(plan, [], None, None)


def with_missing(results: Sequence[StudyResult], plans: Sequence[StudyPlan]) -> list[StudyResult]:
    """The results of all studies of a sweep, in its order; of those that are not in the store too."""
    found = {result.plan.name: result for result in results}
    return [found.get(plan.name) or not_begun(plan) for plan in plans]


def read_results(plans: Sequence[StudyPlan]) -> list[StudyResult]:
    """What is in the store of these studies. Makes no store where there is none."""
    results: list[StudyResult] = []
    stores: dict[StoreAddress, Store] = {}
    try:
        for plan in plans:
            if not is_made(plan.storage_url):
                continue
            if plan.storage_url not in stores:
                stores[plan.storage_url] = Store(plan.storage_url)
            found = _found(plan, stores[plan.storage_url])
            if found is not None:
                results.append(found)
    finally:
        for store in stores.values():
            store.close()
    return results


def _found(plan: StudyPlan, store: Store) -> StudyResult | None:
    study = store.find_study(plan.name)
    if study is None:
        return None
    plan, moved = _on_its_data(plan, study)
    begun = as_begun(plan, store)
    found = store.find_as_opened(plan.name, begun.definition)
    return replace(read_result(begun, found, store), moved=moved) if found is not None else None


def _on_its_data(plan: StudyPlan, study: Study) -> tuple[StudyPlan, str]:
    """A study with the data that it was opened on, and how the files of today differ from them.

    To look at what was found needs no data; only training does, and it compares them.
    """
    hashes, there = study.attributes.get("definition", {}).get("data"), dict(plan.files.hashes)
    if hashes is None or hashes == there:
        return plan, ""
    files = replace(plan.files, hashes=dict(hashes))
    return replace(plan, files=files), CHANGED if there else GONE
