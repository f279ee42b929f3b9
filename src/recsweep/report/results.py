"""The results of a study so far, read from the store alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from recsweep.common.paths import Outputs
from recsweep.report.energy import Spent, spent, together
from recsweep.report.evidence import PARTS, EvidenceResult, read_evidence
from recsweep.search.limits import closed
from recsweep.search.shares import used
from recsweep.search.stopping import SHARE, Ended
from recsweep.study import SHARING_ATTRIBUTE, State, Store, Study, StudyRecord, Trial, best
from recsweep.study.earlier import in_order_of
from recsweep.sweeps.sections import EPOCHS
from recsweep.sweeps.space import Params

FINISHED, NOT_FINISHED, NOT_BEGUN = "finished", "not finished", "not begun"


@dataclass(frozen=True)
class StudyResult:
    """The results of a study so far."""

    record: StudyRecord
    """The study's record, with the slots that it has."""
    root: Path
    """The folder of all outputs, where its files are."""
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
    """True where a trial runs at this moment."""
    given_back: int = 0
    """Slots that failed for a reason that is no result, and have none yet."""
    failure: str = ""
    """The reason of the last of them."""
    energy: Spent | None = None
    """That its trials took, those put back too; None where nobody measured it."""
    evidence: tuple[EvidenceResult, ...] = ()
    """Of its best configurations over seeds, where they were trained again; the best first."""
    sharing: dict[str, Any] = field(default_factory=dict)
    """By GPU, how many trials trained there at once, and the batches a second; empty: it was not tried."""
    moved: str = ""
    """How the files of today are no longer those of the study; empty: they are, or nobody has asked."""

    @property
    def outputs(self) -> Outputs:
        """The names of its files."""
        return self.record.outputs_below(self.root)

    @property
    def budget(self) -> int:
        """Trials that the study is to train: an inherited one costs nothing."""
        if self.ended is not None and self.ended.limit == SHARE:  # of which trials are no part
            return self.trained
        return self.record.budget - self.record.inherits

    @property
    def epochs(self) -> int:
        """Epochs of all trials that the study trained."""
        return int(used(self.trials, EPOCHS))

    @property
    def state(self) -> str:
        """`finished`, `not finished` or `not begun`."""
        if self.ended is not None or len(self.trials) >= self.record.budget:
            return FINISHED
        return NOT_FINISHED if self.trained or self.runs or self.given_back else NOT_BEGUN

    @property
    def best_evidence(self) -> EvidenceResult | None:
        """The evidence of the winner."""
        return next((one for one in self.evidence if one.rank == 1 and one.done), None)

    @property
    def over_seeds(self) -> dict[str, float]:
        """`validation` and `test` of the metric, as means of the winner's configuration over seeds; empty
        until all of its trainings are there, two at least.
        """
        found = self.best_evidence
        if found is None or not found.is_whole or len(found.done) < 2:
            return {}
        measures = {part: found.measure(part, found.metric) for part in PARTS}
        means = {part: one.spread.mean for part, one in measures.items() if one is not None}
        return means if len(means) == len(PARTS) else {}

    @property
    def parameters(self) -> Params:
        """The winner's, with those that its phase did not search."""
        return self.record.complete(self.winner.params) if self.winner else {}

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
    def finished(self) -> bool:
        """True where all phases of the model are."""
        return self.all_state == FINISHED

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
    def all_energy(self) -> Spent | None:
        """With the earlier phases."""
        return together(result.energy for result in (self, *self.before))

    @property
    def all_epochs(self) -> int:
        """With the earlier phases."""
        return self.epochs + sum(result.epochs for result in self.before)

    @property
    def all_shares(self) -> float | None:
        """Seconds or epochs that the model may use; None where trials are counted."""
        shares = [result.record.share for result in (*self.before, self)]
        return None if None in shares else sum(share for share in shares if share is not None)

    @property
    def used_share(self) -> bool:
        """True where each of its phases was ended by having used its seconds or epochs."""
        return all(one.ended is not None and one.ended.limit == SHARE for one in (*self.before, self))

    @property
    def all_seconds(self) -> float:
        """With the earlier phases."""
        return self.seconds + sum(result.seconds for result in self.before)


def read_result(record: StudyRecord, root: Path, store: Store) -> StudyResult:
    """The results of a study, as the store has them; and what ended it.

    Args:
        root: the folder of all outputs.
    """
    study = store.study_of(record)
    trials = study.results()
    record = _as_it_stands(record, trials)
    winner = best(trials, maximize=record.maximize)
    ended = closed(record, study)
    test = study.test_metrics(winner) if winner else None
    result = StudyResult(record, root, trials, winner, test, ended, runs=bool(study.running()))
    sharing = study.attributes.get(SHARING_ATTRIBUTE) or {}
    return _with_every_trial(replace(result, evidence=read_evidence(record, store), sharing=sharing), study)


def _with_every_trial(result: StudyResult, study: Study) -> StudyResult:
    """With the slots that failed and wait again, and why; with the energy of all trials."""
    filled, every = {trial.slot for trial in result.trials}, study.trials()
    back = [one for one in every if one.state == State.FAILED and one.slot not in filled]
    last = max(back, key=lambda one: one.id, default=None)
    why = last.failure.message if last is not None and last.failure is not None else ""
    given_back = len({one.slot for one in back})
    return replace(result, given_back=given_back, failure=why, energy=spent(every))


def _as_it_stands(record: StudyRecord, trials: list[Trial]) -> StudyRecord:
    """A record with the slots that there are: more than its budget, where the budget was lowered."""
    slots = max(record.budget, 1 + max((trial.slot for trial in trials), default=-1))
    if trials and record.is_made_again:
        record = in_order_of(record, trials[0].params)
    return replace(record, budget=slots)


def not_begun(record: StudyRecord, root: Path) -> StudyResult:
    """The result of a study that is not in the store yet."""
    return StudyResult(record, root, [], None, None)


def with_missing(
    results: Sequence[StudyResult], records: Sequence[StudyRecord], root: Path
) -> list[StudyResult]:
    """The results of all studies of a sweep, in its order; of those that are not in the store too."""
    found = {result.record.name: result for result in results}
    return [found.get(record.name) or not_begun(record, root) for record in records]
