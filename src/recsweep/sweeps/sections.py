"""The sections of a sweep file: search, pruning, training, evaluation, cooldown, workers."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from recsweep.sweeps import engine_table, tasks
from recsweep.sweeps.engine_table import ENGINES, AlgoName, Can, EngineName
from recsweep.sweeps.pruner_table import NO_PRUNER, PrunerName
from recsweep.sweeps.scheduler_table import NO_SCHEDULER, POPULATION, SchedulerName
from recsweep.sweeps.values import MOST_ROWS, Flag, Real, Text, Whole

YEAR_SECONDS = 366 * 24 * 3600
Seconds = Annotated[Real, Field(ge=0, le=YEAR_SECONDS)]
Minutes = Annotated[Real, Field(gt=0, le=YEAR_SECONDS / 60)]
Most = Annotated[Whole, Field(le=1_000_000)]
"""A count that nothing sensible goes beyond; what multiplies it stays a number that a machine can hold."""
Phase = Literal["full", "coarse", "architecture", "training", "loss"]
WHOLE: Phase = "full"
"""The phase that searches the whole space; every model has it."""
TRIALS, EPOCHS = "trials", "epochs"
"""Units of a search's budget, beside `seconds`."""
SECONDS = "training_seconds"
"""An objective that is no metric: how long a trial trained."""


class Frozen(BaseModel):
    """A model that takes no key it does not know, and does not change."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SearchConfig(Frozen):
    """How a study searches, and how long."""

    engine: EngineName = "hyperopt"
    """The engine that drives a study."""
    algo: AlgoName = "bayes"
    """How parameters are proposed; `bayes` is TPE, and may be written `tpe`, which is another for Ray."""
    max_evals: Most = Field(20, ge=1)
    """Trials of each study, the first of them with the defaults."""
    budget: Literal["trials", "seconds", "epochs"] = "trials"
    """The unit in which every model gets the same: trials, seconds of training, or epochs."""
    share: Annotated[Real, Field(ge=1, le=YEAR_SECONDS)] | None = None
    """Seconds or epochs for each model, where `budget` counts these; `max_evals` is then the most trials."""
    startup_trials: Most = Field(8, ge=1)
    """Random trials before a model of the outcomes proposes. HyperOpt's own default of 20 would
    make a study of 20 trials a random search."""
    noise: Flag = False
    """A configuration may be trained again, on another seed. Without it no study trains one twice, and where
    a space has fewer than `max_evals`, the study has as many trials."""
    allow_large_grid: Flag = False
    """Confirms an exhaustive search of more than 1,000 combinations."""
    scheduler: SchedulerName = NO_SCHEDULER
    """Engine `ray`: the rule of Ray Tune that ends poor trials early, in the place of a pruner."""
    perturbation_interval: Most = Field(5, ge=1)
    """Scheduler `pbt`: epochs from one comparison of the trials to the next."""
    quantile_fraction: Real = Field(0.25, gt=0, le=0.5)
    """Scheduler `pbt`: share of the trials that go on from the weights of as many of the best."""
    resample_probability: Real = Field(0.25, ge=0, le=1)
    """Scheduler `pbt`: how likely a parameter is drawn anew, and not taken a step up or down."""
    phases: tuple[Phase, ...] = Field((WHOLE,), min_length=1)
    """Parts of the search space to search one after the other; each starts from the best before."""
    phase_shares: dict[Phase, Real] = {}
    """Parts of `max_evals` by phase, in any unit; a phase that is not named gets 1."""
    warm_start: tuple[Text, ...] = ()
    """Known good configurations, as files or studies; they become the first slots after the defaults."""
    transfer: Flag = False
    """Start with the best of the same model on the other data sets of the sweep."""
    timeout_minutes: Minutes | None = None
    """No trial of a study starts once trials of it have run for so long."""
    no_improvement_after: Most | None = Field(None, ge=1)
    """A study ends after so many trials in a row that did not better its best."""

    @field_validator("algo", mode="before")
    @classmethod
    def _known_as(cls, algo: Any, given: ValidationInfo) -> Any:
        return engine_table.known_as(given.data.get("engine"), algo)

    @field_validator("phases")
    @classmethod
    def _distinct(cls, phases: tuple[Phase, ...]) -> tuple[Phase, ...]:
        if len(set(phases)) < len(phases):
            raise ValueError(f"each phase must stand once, but got {', '.join(phases)}")
        return phases

    @field_validator("phase_shares")
    @classmethod
    def _positive(cls, shares: dict[Phase, float]) -> dict[Phase, float]:
        for phase, share in shares.items():
            if not 0 < share < math.inf:
                raise ValueError(f"the share of `{phase}` must be > 0, but got {share}")
        return shares

    @model_validator(mode="after")
    def _known_to_the_engine(self) -> SearchConfig:
        row = ENGINES[self.engine]
        if row.algo(self.algo) is None:
            raise ValueError(
                f"the engine {self.engine} has no algo {self.algo}; it has "
                f"{', '.join(row.names())}; or use engine {' or '.join(engine_table.having(self.algo))}"
            )
        return self

    @model_validator(mode="after")
    def _scheduled_by_ray(self) -> SearchConfig:
        if self.scheduler != NO_SCHEDULER and self.engine != engine_table.RAY:
            raise ValueError(
                f"scheduler {self.scheduler} is Ray Tune's, but got engine {self.engine}; use engine ray, "
                "or a pruner in its place"
            )
        if self.scheduler == POPULATION and self.can(Can.GRID):
            raise ValueError(
                f"scheduler {POPULATION} changes parameters while trials train, but got algo {self.algo}, "
                "which tries each point of a grid; use algo random, or another scheduler"
            )
        return self

    @model_validator(mode="after")
    def _shared_out(self) -> SearchConfig:
        if self.budget == TRIALS:
            return self
        if self.share is None:
            raise ValueError(f"budget {self.budget} needs share: how many {self.budget} each model gets")
        if self.engine == engine_table.RAY:
            raise ValueError(
                f"budget {self.budget} needs an engine that recsweep drives, but got engine ray; use engine "
                "optuna or hyperopt, or budget trials"
            )
        return self

    def can(self, ability: Can) -> bool:
        """The algo can do that."""
        return engine_table.can(self.engine, self.algo, ability)


class PruningConfig(Frozen):
    """The rule that stops a poor trial early. Asked after every validation, with validation scores only."""

    pruner: PrunerName = NO_PRUNER
    """The rule."""
    warmup_epochs: Most = Field(2, ge=0)
    """No trial is pruned before it has trained for so many epochs."""
    min_trials: Most = Field(1, ge=1)
    """No trial is pruned before so many others came to a result."""
    patience: Most = Field(5, ge=0)
    """How many validations in a row the rule may hold before the trial is pruned at the next."""


class TrainingConfig(Frozen):
    """Settings that every trial of every model shares."""

    epochs: Most = Field(300, ge=1)
    """Most epochs of a trial."""
    stopping_step: Most = Field(10, ge=0)
    """Early stop: validations without progress before a trial ends."""
    eval_step: Most = Field(1, ge=1)
    """Epochs from one validation to the next."""
    train_batch_size: Whole = Field(2048, ge=1, le=MOST_ROWS)
    """Samples in a batch."""
    eval_batch_size: Whole = Field(4096, ge=1, le=MOST_ROWS)
    """The same in validation and test; only speed and memory depend on it."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to train. `auto`: CUDA where there is one."""
    precision: Literal["float32", "mixed"] = "float32"
    """`mixed` computes in 16 bits where torch's autocast does; weights stay in float32."""
    fast: Flag = True
    """Train by recsweep's own faster steps where they are proven equal; False: RecBole's code only."""
    fast_negatives: Flag = False
    """Draw negatives by a faster stream than RecBole's: by the same law, not the same ones. Needs `fast`."""

    @model_validator(mode="after")
    def _negatives_of_fast_steps(self) -> TrainingConfig:
        if self.fast_negatives and not self.fast:
            raise ValueError("`fast_negatives` needs `fast: true`: RecBole's code draws by its own stream")
        return self


_METRIC = re.compile(r"[A-Za-z]+@[1-9][0-9]{0,6}")


class EvaluationConfig(Frozen):
    """The metrics that are measured, and the one that is searched for."""

    metric: Text = "NDCG@10"
    """The validation metric that early stop and search go by; one of predictions (`AUC`) has no cut-off."""
    metrics: tuple[Text, ...] = ("Recall", "MRR", "NDCG", "Hit")
    """The metrics that are reported as well, of the same task."""
    topk: tuple[Most, ...] = (10,)
    """The cut-offs of the reported metrics."""
    objectives: tuple[Text, ...] = ()
    """Several things to search for at once, `metric` the first of them. Empty: `metric` alone."""

    @model_validator(mode="before")
    @classmethod
    def _of_the_same_task(cls, given: Any) -> Any:
        metric = given.get("metric") if isinstance(given, dict) else None
        if isinstance(metric, str) and tasks.is_predicted(metric) and "metrics" not in given:
            return {**given, "metrics": tasks.usual(metric)}
        return given

    @field_validator("metric")
    @classmethod
    def _name_and_cutoff(cls, metric: str) -> str:
        if not _METRIC.fullmatch(metric) and not tasks.is_predicted(metric):
            raise ValueError(
                "a metric is a name and a cut-off such as NDCG@10, or one of predictions "
                f"({', '.join(tasks.LABELS)}), but got {metric!r}"
            )
        return metric

    @field_validator("objectives")
    @classmethod
    def _metrics_or_seconds(cls, objectives: tuple[str, ...]) -> tuple[str, ...]:
        for name in objectives:
            if name != SECONDS and not _METRIC.fullmatch(name) and not tasks.is_predicted(name):
                raise ValueError(f"an objective is a metric such as NDCG@10, or {SECONDS}, but got {name!r}")
        if len(set(objectives)) < len(objectives) or len(objectives) == 1:
            raise ValueError(f"objectives are two or more distinct ones, but got {', '.join(objectives)}")
        return objectives

    @model_validator(mode="after")
    def _metric_comes_first(self) -> EvaluationConfig:
        if self.objectives and self.objectives[0] != self.metric:
            raise ValueError(
                f"the first objective must be `metric`, which early stop goes by: {self.metric}, "
                f"but got {self.objectives[0]}"
            )
        return self

    @property
    def several(self) -> bool:
        """True where there is more than one objective."""
        return len(self.objectives) > 1

    @property
    def metric_name(self) -> str:
        return self.metric.split("@")[0]

    @property
    def predicts(self) -> bool:
        """True where models are measured by what they predict, and not by how they rank."""
        return tasks.is_predicted(self.metric)

    @property
    def searched(self) -> tuple[str, ...]:
        """The metrics that are searched for, `metric` first."""
        return tuple(dict.fromkeys(name for name in (self.metric, *self.objectives) if name != SECONDS))

    @property
    def cutoffs(self) -> tuple[int, ...]:
        """Those of the metrics that are searched for; none of predictions."""
        return tuple(int(name.split("@")[1]) for name in self.searched if "@" in name)

    @property
    def reported(self) -> tuple[str, ...]:
        """Every metric with its cut-off, those that are searched for first."""
        at = [""] if self.predicts else [f"@{cutoff}" for cutoff in self.topk]
        by_key: dict[str, str] = {}
        for name in (*self.searched, *(f"{name}{cutoff}" for cutoff in at for name in self.metrics)):
            by_key.setdefault(name.lower(), name)
        return tuple(by_key.values())


class CooldownConfig(Frozen):
    """Rest between the trials of a study, for the heat of a GPU."""

    seconds: Seconds | None = None
    """None: 60 where a GPU is used, 0 otherwise."""
    until_celsius: Real | None = Field(None, gt=0, le=150)
    """End the rest early once the GPU is cooler than this (needs NVML)."""


class WorkersConfig(Frozen):
    """The processes that train."""

    count: Whole = Field(1, ge=1, le=256)
    """Processes that train at once."""
    on: Literal["processes", "ray"] = "processes"
    """Where they run: processes of this machine, or Ray: the cluster of RAY_ADDRESS, else one of this run's
    own on this machine."""
    cpus: Real | None = Field(None, gt=0, le=4096)
    """Ray: cores that each worker takes. None: as many as it has threads."""
    gpus: Real = Field(0.0, ge=0, le=64)
    """Ray: GPUs that each worker takes; below 1 a share of one, which so many workers train on."""
    threads: Annotated[Whole, Field(ge=1, le=4096)] | Literal["spare"] | None = None
    """Threads of each worker. None: the cores, divided among the workers. `spare`: the same of the cores that
    other programs leave."""
    trials_per_gpu: int | Literal["auto"] = "auto"
    """Trials at once on each GPU. `auto`: one more while a tenth more batches a second come of it, and memory
    bears it."""
    trials_per_worker: Most = Field(50, ge=1)
    """A worker is replaced after this many trials, so that no leak grows."""
    trial_timeout_minutes: Minutes | None = None
    """A trial that takes longer is ended and recorded as timed out. None: one that shows no epoch for ten
    times what the study's longest took, at least an hour."""
    crash_retries: Most = Field(2, ge=0)
    """How often a trial whose process died is run again before it counts as failed."""
    store_patience_seconds: Seconds = 300.0
    """How long a store that cannot be reached is waited for before the sweep pauses."""
    workers_per_study: Whole = Field(0, ge=0, le=256)
    """Jobs that Snakemake starts for each study, each a `recsweep worker`. 0: one job does all."""

    @field_validator("threads", mode="before")
    @classmethod
    def _spare_or_a_count(cls, given: Any) -> Any:
        # Here rather than by pydantic's union, whose errors speak of one of its members only.
        if given not in (None, "spare") and (not isinstance(given, int) or isinstance(given, bool)):
            raise ValueError(f"must be spare or a whole number from 1, but got {given!r}")
        return given

    @field_validator("trials_per_gpu", mode="before")
    @classmethod
    def _auto_or_a_count(cls, given: Any) -> Any:
        # Here rather than by pydantic's union, whose errors speak of one of its members only.
        if given != "auto" and (not isinstance(given, int) or isinstance(given, bool) or given < 1):
            raise ValueError(f"must be auto or a whole number from 1, but got {given!r}")
        return given
