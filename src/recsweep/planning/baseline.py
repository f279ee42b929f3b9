"""The study that trains what every model is to be better than: the most popular items, for everybody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recsweep.planning.plan import StudyPlan
from recsweep.study.record import BASELINE
from recsweep.sweeps.config import ModelConfig, PruningConfig, SearchConfig, TrainingConfig

POP = "Pop"
"""RecBole's model, and the name of its studies."""
NONE = "none"


@dataclass(frozen=True)
class BaselinePlan(StudyPlan):
    """`Pop` on one data set, split and measured as the sweep's models are: one trial."""

    @property
    def kind(self) -> str:
        return BASELINE

    @property
    def budget(self) -> int:
        return 1

    @property
    def how(self) -> str:
        return "the most popular items, for everybody"


def baselines(plans: Sequence[StudyPlan]) -> list[BaselinePlan]:
    """The study of `Pop` on each data set of these studies.

    None where the sweep has it switched off, has a model of that name among its own, or measures predictions:
    `Pop` ranks, and predicts nothing.
    """
    if not plans or plans[0].sweep.popularity == NONE or plans[0].sweep.evaluation.predicts:
        return []
    if any(POP in (plan.model_name, plan.model.model) for plan in plans):
        return []
    by_dataset = {plan.dataset_name: plan for plan in reversed(plans)}
    return [_baseline(by_dataset[name]) for name in dict.fromkeys(plan.dataset_name for plan in plans)]


def _baseline(beside: StudyPlan) -> BaselinePlan:
    """Nothing of the search, and of the training only where it runs, decides what `Pop` comes to."""
    sweep, where = beside.sweep, beside.sweep.training
    own = {
        "search": SearchConfig(engine="optuna", algo="random", max_evals=1),
        "pruning": PruningConfig(),
        "training": TrainingConfig(epochs=1, device=where.device, eval_batch_size=where.eval_batch_size),
        "evaluation": sweep.evaluation.model_copy(update={"objectives": ()}),
        "timeout_minutes": None,
    }
    return BaselinePlan(
        sweep.model_copy(update=own),
        beside.dataset_name,
        POP,
        beside.dataset,
        ModelConfig(model=POP, space={}),
        beside.files,
        BASELINE,
        (BASELINE,),
        folder=beside.folder,
    )
