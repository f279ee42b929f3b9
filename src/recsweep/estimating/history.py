"""Earlier trials, as the store knows them: of a model on a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recsweep.planning.plan import StudyPlan
from recsweep.study import State, Store, StudyRecord, Trial

ENOUGH = 3
"""So many trials say more than an assumption."""


@dataclass(frozen=True)
class History:
    """Earlier trials.

    Attributes:
        epochs: until each trial that was not pruned had stopped.
        seconds: of each trial of the study itself.
    """

    epochs: Sequence[float] = ()
    seconds: Sequence[float] = ()


def history_of(plan: StudyPlan, store: Store) -> History:
    """The trials of a plan's model on its data, of whatever sweep, that were trained by the same rules."""
    epochs: list[float] = []
    own: list[Trial] = []
    for record in store.records(dataset=plan.dataset_name, model=plan.model_name):
        if not _alike(plan, record):
            continue
        ended = [one for one in store.study_of(record).trials() if _counts(one)]
        epochs += [float(one.result.epochs or 0) for one in ended if one.state == State.COMPLETE]
        if record.name == plan.name and record.content_hash == plan.content_hash:
            own = ended
    most = float(plan.training.epochs)
    return History(
        [min(one, most) for one in epochs],
        [float(one.result.seconds or 0) for one in own],
    )


def _alike(plan: StudyPlan, record: StudyRecord) -> bool:
    """Trials of a record stop where those of the plan would."""
    ours, theirs = plan.training, record.training
    same = ("stopping_step", "eval_step", "train_batch_size")
    return theirs.epochs >= ours.epochs and all(getattr(ours, one) == getattr(theirs, one) for one in same)


def _counts(trial: Trial) -> bool:
    trained = trial.result.epochs and trial.result.seconds
    return bool(
        trial.counted and trained and not trial.inherited and trial.state in (State.COMPLETE, State.PRUNED)
    )
