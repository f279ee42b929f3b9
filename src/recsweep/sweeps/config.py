"""Strict, frozen models of a sweep, its data sets and its models. YAML loads into them (`loading.py`)."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    field_validator,
    model_validator,
)

from recsweep.common.address import StoreAddress
from recsweep.common.escape import for_terminal
from recsweep.common.names import checked_name
from recsweep.sweeps.space import Flag, Parameter, Real, Text, Value, Whole, checked_plain

YEAR_SECONDS = 366 * 24 * 3600
Name = Annotated[Text, AfterValidator(checked_name)]
Seconds = Annotated[Real, Field(ge=0, le=YEAR_SECONDS)]
Minutes = Annotated[Real, Field(gt=0, le=YEAR_SECONDS / 60)]
Most = Annotated[Whole, Field(le=1_000_000)]
"""A count that nothing sensible goes beyond; what multiplies it stays a number that a machine can hold."""
BUILTIN = "builtin"
MOST_ROWS = 2**31 - 1
MOST_SEED = 2**32 - 1
"""NumPy seeds with 32 bits."""
Phase = Literal["full", "coarse", "architecture", "training", "loss"]
WHOLE: Phase = "full"
"""The phase that searches the whole space; every model has it."""
WITH_MODEL = "full_with_model"
"""The phase of a study in which the model itself is a parameter."""
MODEL_PARAMETER = "model"
"""That parameter's name."""
SECONDS = "training_seconds"
"""An objective that is no metric: how long a trial trained."""
ALGOS: dict[str, tuple[str, ...]] = {
    "hyperopt": ("random", "bayes", "anneal", "exhaustive"),
    "optuna": ("random", "bayes", "exhaustive", "gp", "cmaes", "qmc", "nsga2"),
}
"""How each engine can propose."""
_PathT = TypeVar("_PathT", str, Path)
MULTI_OBJECTIVE_ALGOS = ("random", "bayes", "exhaustive", "qmc", "nsga2")


def _printable(path: _PathT) -> _PathT:
    """A path as it is; one with characters that nobody sees was not meant."""
    if for_terminal(path) != str(path):
        raise ValueError(f"a path has characters that can be seen, but got {str(path)!r}")
    return path


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SearchConfig(_Frozen):
    """How a study searches, and how long."""

    engine: Literal["hyperopt", "optuna"] = "hyperopt"
    """What drives a study."""
    algo: Literal["random", "bayes", "anneal", "exhaustive", "gp", "cmaes", "qmc", "nsga2"] = "bayes"
    """How parameters are proposed; `bayes` is TPE, and may be written `tpe`."""
    max_evals: Most = Field(20, ge=1)
    """Trials of each study, the first of them with the defaults."""
    startup_trials: Most = Field(8, ge=1)
    """Random trials before a model of the outcomes proposes. HyperOpt's own default of 20 would
    make a study of 20 trials a random search."""
    allow_large_grid: Flag = False
    """Confirms an exhaustive search of more than 1,000 combinations."""
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
    def _known_as(cls, algo: Any) -> Any:
        return "bayes" if algo == "tpe" else algo

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
        if self.algo not in ALGOS[self.engine]:
            others = " or ".join(name for name, algos in ALGOS.items() if self.algo in algos)
            raise ValueError(
                f"the engine {self.engine} has no algo {self.algo}; it has "
                f"{', '.join(ALGOS[self.engine])}; or use engine {others}"
            )
        return self


class PruningConfig(_Frozen):
    """What stops a poor trial early. Asked after every validation, with validation scores only."""

    pruner: Literal["none", "median", "asha", "hyperband", "wilcoxon"] = "none"
    """The rule."""
    warmup_epochs: Most = Field(2, ge=0)
    """No trial is pruned before it has trained for so many epochs."""
    min_trials: Most = Field(1, ge=1)
    """No trial is pruned before so many others came to a result."""
    patience: Most = Field(5, ge=0)
    """How many validations in a row the rule may hold before the trial is pruned at the next."""


class TrainingConfig(_Frozen):
    """What every trial of every model shares."""

    epochs: Most = Field(300, ge=1)
    stopping_step: Most = Field(10, ge=0)
    """Early stop: validations without progress before a trial ends."""
    eval_step: Most = Field(1, ge=1)
    train_batch_size: Whole = Field(2048, ge=1, le=MOST_ROWS)
    eval_batch_size: Whole = Field(4096, ge=1, le=MOST_ROWS)
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    precision: Literal["float32", "mixed"] = "float32"
    """`mixed` computes in 16 bits where torch's autocast does; weights stay in float32."""
    fast: Flag = True
    """Train by recsweep's own faster steps where they are proven equal; False: RecBole's code only."""


_METRIC = re.compile(r"[A-Za-z]+@[1-9][0-9]{0,6}")


class EvaluationConfig(_Frozen):
    """What is measured, and what is searched for."""

    metric: Text = "NDCG@10"
    """The validation metric that early stop and search go by."""
    metrics: tuple[Text, ...] = ("Recall", "MRR", "NDCG", "Hit")
    topk: tuple[Most, ...] = (10,)
    objectives: tuple[Text, ...] = ()
    """Several things to search for at once, `metric` the first of them. Empty: `metric` alone."""

    @field_validator("metric")
    @classmethod
    def _name_and_cutoff(cls, metric: str) -> str:
        if not _METRIC.fullmatch(metric):
            raise ValueError(f"a metric is a name and a cut-off such as NDCG@10, but got {metric!r}")
        return metric

    @field_validator("objectives")
    @classmethod
    def _metrics_or_seconds(cls, objectives: tuple[str, ...]) -> tuple[str, ...]:
        for name in objectives:
            if name != SECONDS and not _METRIC.fullmatch(name):
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
        """Whether there is more than one objective."""
        return len(self.objectives) > 1

    @property
    def metric_name(self) -> str:
        return self.metric.split("@")[0]

    @property
    def metric_cutoff(self) -> int:
        return int(self.metric.split("@")[1])


class CooldownConfig(_Frozen):
    """Rest between the trials of a study, for the heat of a GPU."""

    seconds: Seconds | None = None
    """None: 60 where a GPU is used, 0 otherwise."""
    until_celsius: Real | None = Field(None, gt=0, le=150)
    """End the rest early once the GPU is cooler than this (needs NVML)."""


class WorkersConfig(_Frozen):
    """The processes that train."""

    count: Whole = Field(1, ge=1, le=256)
    threads: Whole | None = Field(None, ge=1, le=4096)
    """Threads of each worker. None: the cores, divided among the workers."""
    trials_per_gpu: int | Literal["auto"] = "auto"
    """Trials at once on each GPU. `auto`: as many as fit, by the memory of the first one."""
    trials_per_worker: Most = Field(50, ge=1)
    """A worker is replaced after this many trials, so that no leak grows."""
    trial_timeout_minutes: Minutes | None = None
    """A trial that takes longer is ended and recorded as timed out. None: one that shows no epoch for ten
    times what the study's longest took, at least an hour (`deaths.py`)."""
    crash_retries: Most = Field(2, ge=0)
    """How often a trial whose process died is run again before it counts as failed."""
    store_patience_seconds: Seconds = 300.0
    """How long a store that cannot be reached is waited for before the sweep pauses."""
    workers_per_study: Whole = Field(0, ge=0, le=256)
    """Jobs that Snakemake starts for each study, each a `recsweep worker`. 0: one job does all."""

    @field_validator("trials_per_gpu", mode="before")
    @classmethod
    def _auto_or_a_count(cls, given: Any) -> Any:
        # Here rather than by pydantic's union, whose errors speak of one of its members only.
        if given != "auto" and (not isinstance(given, int) or isinstance(given, bool) or given < 1):
            raise ValueError(f"must be auto or a whole number from 1, but got {given!r}")
        return given


class SweepConfig(_Frozen):
    """One sweep: models x data sets x budget (`config/config.yaml`)."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    sweep: Name
    models: tuple[Name, ...] = Field(min_length=1)
    datasets: tuple[Name, ...] = Field(min_length=1)
    search: SearchConfig = SearchConfig()
    pruning: PruningConfig = PruningConfig()
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    cooldown: CooldownConfig = CooldownConfig()
    workers: WorkersConfig = WorkersConfig()
    seed: Whole = Field(2026, ge=0, le=MOST_SEED)
    timeout_minutes: Minutes | None = None
    """No trial of the sweep starts once its trials have run for so long."""
    outputs: Annotated[Path, AfterValidator(_printable)] = Path("outputs")
    storage: StoreAddress | None = None
    """Where the store is. None: SQLite in the output folder."""
    storage_file: Annotated[Path, AfterValidator(_printable)] | None = None
    """A file that holds the address of the store, which only its owner can read."""

    @field_validator("storage", mode="before")
    @classmethod
    def _address(cls, given: Any) -> StoreAddress | None:
        return None if given is None else StoreAddress.of(given)

    @model_validator(mode="after")
    def _one_store(self) -> SweepConfig:
        if self.storage is not None and self.storage_file is not None:
            raise ValueError("give `storage` or `storage_file`, not both")
        return self

    @model_validator(mode="after")
    def _several_objectives_are_searched_whole(self) -> SweepConfig:
        if not self.evaluation.several:
            return self
        search = self.search
        if search.engine != "optuna" or search.algo not in MULTI_OBJECTIVE_ALGOS:
            raise ValueError(
                f"several objectives need search.engine optuna with {', '.join(MULTI_OBJECTIVE_ALGOS)}, "
                f"but got {search.engine} with {search.algo}"
            )
        if self.pruning.pruner != "none":
            raise ValueError(
                f"several objectives need pruning.pruner none, but got {self.pruning.pruner}: "
                "a trial that is poor in one may be good in another"
            )
        if len(search.phases) > 1:
            raise ValueError("several objectives need one phase: a later one starts from a single best")
        return self


class SplitConfig(_Frozen):
    """How interactions become training, validation and test data."""

    type: Literal["leave_one_out", "ratio"] = "leave_one_out"
    ratio: tuple[Real, Real, Real] = (0.8, 0.1, 0.1)
    order: Literal["time", "random"] = "time"
    group_by: Literal["user", "none"] = "user"

    @model_validator(mode="after")
    def _consistent(self) -> SplitConfig:
        if self.type == "ratio" and not min(self.ratio) > 0:
            raise ValueError(f"each part of `ratio` must be > 0, but got {list(self.ratio)}")
        if self.type == "ratio" and abs(sum(self.ratio) - 1) > 1e-9:
            raise ValueError(f"`ratio` must sum to 1, but sums to {sum(self.ratio):g}")
        return self


class DatasetConfig(_Frozen):
    """One data set in RecBole's atomic files (`config/datasets/<name>.yaml`)."""

    name: Name
    path: Annotated[Text, AfterValidator(_printable)] = BUILTIN
    """Folder of the atomic files, relative to this file; `builtin`: ml-100k from RecBole's wheel."""
    user_field: Text = "user_id"
    item_field: Text = "item_id"
    time_field: Text = "timestamp"
    rating_field: Text = "rating"
    columns: dict[Text, tuple[Text, ...]] | None = None
    """Columns to load by file suffix. None: user, item and time of the `.inter` file."""
    keep: dict[Text, Text] = {}
    """Intervals by field: `rating: "[4,inf)"` keeps interactions rated 4 and above."""
    min_user_interactions: Whole = Field(0, ge=0, le=MOST_ROWS)
    min_item_interactions: Whole = Field(0, ge=0, le=MOST_ROWS)
    """Users and items with fewer interactions are dropped, again and again until none is left."""
    remove_duplicates: Literal["first", "last"] | None = None
    """Which of a user's interactions with the same item stays; None: all of them."""
    label_threshold: dict[Text, Real] = Field({}, max_length=1)
    """`{rating: 4}` labels rows rated 4 and above 1 and the others 0, for models that learn from labels."""
    numerical_features: tuple[Text, ...] = ()
    """Columns of numbers that models with features embed; they look at no other number."""
    normalize: tuple[Text, ...] = ()
    """Columns of numbers that are scaled to lie between 0 and 1."""
    max_user_interactions: Whole | None = Field(None, ge=1, le=MOST_ROWS)
    """Users with more are dropped, such as those who have seen every item."""
    without_features: Literal["refuse", "drop", "keep"] = "refuse"
    """What becomes of interactions whose user or item `.user`, `.item` or `.link` does not list."""
    sequence_separator: Text | None = Field(None, min_length=1)
    """What parts the values in a cell of a `token_seq` or `float_seq`. None: spaces."""
    max_sequence_length: Most = Field(50, ge=1)
    time_order: Literal["exact", "recbole"] = "exact"
    """`recbole` rounds timestamps to float32 as RecBole does, and loses the order of close ones."""
    split: SplitConfig = SplitConfig()

    @field_validator("keep")
    @classmethod
    def _intervals(cls, keep: dict[str, str]) -> dict[str, str]:
        for field, interval in keep.items():
            if not _INTERVAL.fullmatch(interval):
                raise ValueError(
                    f"`{field}` must be an interval such as '[4,inf)' or '(0,10]', but got {interval!r}"
                )
            low, high = (float(bound) for bound in interval[1:-1].split(","))
            if low > high or (low == high and (interval[0], interval[-1]) != ("[", "]")):
                raise ValueError(f"`{field}` must be an interval that holds a number, but got {interval!r}")
        return keep


_BOUND = r"\s*[-+]?(?:inf|\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)\s*"
_INTERVAL = re.compile(rf"[\[(]{_BOUND},{_BOUND}[\])]")


class ModelConfig(_Frozen):
    """One model: what may vary, and what stays (`config/models/<name>.yaml`)."""

    model: Text
    """RecBole's name of the model."""
    fixed: Annotated[dict[Text, Any], AfterValidator(checked_plain)] = {}
    """RecBole settings that stay the same in every trial."""
    defaults: dict[Text, Value] = {}
    """Trial number one: the values that the model's authors or RecBole publish."""
    space: dict[Text, Parameter] = Field(min_length=1)
    """What is searched."""
    phases: dict[Phase, tuple[Text, ...]] = {}
    """Names of the parameters that each phase searches."""

    @field_validator("phases")
    @classmethod
    def _parts(cls, phases: dict[Phase, tuple[str, ...]]) -> dict[Phase, tuple[str, ...]]:
        if WHOLE in phases:
            raise ValueError(f"`{WHOLE}` is the whole space and takes no list")
        for phase, names in phases.items():
            if not names or len(set(names)) < len(names):
                raise ValueError(f"`{phase}` must name one or more parameters, each once")
        return phases


class VariantsConfig(_Frozen):
    """Several models searched as one: the model itself is a parameter of the study."""

    model_variants: tuple[Name, ...] = Field(min_length=2)
    """Names of model files beside this one."""


def dataset_folder(dataset: DatasetConfig, document_path: Path) -> Path | None:
    """Folder of a data set's files, or None for the one that RecBole's wheel ships."""
    if dataset.path == BUILTIN:
        return None
    return (document_path.parent / dataset.path).resolve()


def parameter_type(data: Any) -> Any:
    """One parameter from its YAML form; for tests and tools.

    Raises:
        pydantic.ValidationError: not a parameter.
    """
    adapter: TypeAdapter[Any] = TypeAdapter(Parameter)
    return adapter.validate_python(data)
