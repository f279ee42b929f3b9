"""Strict, frozen models of a sweep, its data sets and its models. YAML loads into them (`loading.py`)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from recsweep.common.address import StoreAddress
from recsweep.common.escape import for_terminal
from recsweep.common.names import checked_name
from recsweep.sweeps import features
from recsweep.sweeps.checkpoint_section import CheckpointsConfig
from recsweep.sweeps.energy import EnergyConfig, as_section
from recsweep.sweeps.engine_table import Can, with_ability
from recsweep.sweeps.evidence_section import EvidenceConfig
from recsweep.sweeps.notify import NotifyConfig
from recsweep.sweeps.parameters import Parameter
from recsweep.sweeps.protocol import Protocol, as_one
from recsweep.sweeps.pruner_table import NO_PRUNER
from recsweep.sweeps.resources import ResourcesConfig
from recsweep.sweeps.scheduler_table import NO_SCHEDULER, POPULATION
from recsweep.sweeps.sections import (
    SECONDS,
    WHOLE,
    CooldownConfig,
    EvaluationConfig,
    Frozen,
    Minutes,
    Most,
    Phase,
    PruningConfig,
    SearchConfig,
    TrainingConfig,
    WorkersConfig,
)
from recsweep.sweeps.split import SplitConfig
from recsweep.sweeps.tracking import TrackingConfig
from recsweep.sweeps.values import MOST_SEED, Real, Text, Value, Whole, checked_plain

Name = Annotated[Text, AfterValidator(checked_name)]
BUILTIN = "builtin"
WITH_MODEL = "full_with_model"
"""The phase of a study in which the model itself is a parameter."""
MODEL_PARAMETER = "model"
"""That parameter's name."""
_PathT = TypeVar("_PathT", str, Path)


def _printable(path: _PathT) -> _PathT:
    """A path as it is; one with characters that nobody sees was not meant."""
    if for_terminal(path) != str(path):
        raise ValueError(f"a path has characters that can be seen, but got {str(path)!r}")
    return path


class SweepConfig(Frozen):
    """One sweep: models x data sets x budget (`config/config.yaml`)."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    sweep: Name
    """The name of this comparison; studies in the store begin with it."""
    models: tuple[Name, ...] = Field(min_length=1)
    """Names of files in `models/`."""
    datasets: tuple[Name, ...] = Field(min_length=1)
    """Names of files in `datasets/`."""
    search: SearchConfig = SearchConfig()
    """How a study searches, and how long."""
    pruning: PruningConfig = PruningConfig()
    """The rule that stops a poor trial early."""
    training: TrainingConfig = TrainingConfig()
    """Settings that every trial of every model shares."""
    evaluation: EvaluationConfig = EvaluationConfig()
    """The metrics that are measured, and the one that is searched for."""
    cooldown: CooldownConfig = CooldownConfig()
    """Rest between the trials of a study."""
    workers: WorkersConfig = WorkersConfig()
    """The processes that train."""
    checkpoints: CheckpointsConfig = CheckpointsConfig()
    """When a trial in training is kept, how much of it stays, and where."""
    resources: ResourcesConfig = ResourcesConfig()
    """Resources that each job that trains a study asks a scheduler for."""
    evidence: EvidenceConfig = EvidenceConfig()
    """How often what a study found best is trained again, on other seeds and splits."""
    tracking: TrackingConfig = TrackingConfig()
    """Where the sweep can be watched; it decides nothing of a trial."""
    energy: Annotated[
        EnergyConfig, BeforeValidator(as_section, EnergyConfig | Literal["on", "off"] | bool)
    ] = EnergyConfig()
    """The energy of trials, and what is worked out from it; `off`: nothing is."""
    notify: NotifyConfig = NotifyConfig()
    """Who is told how the sweep ended."""
    popularity: Literal["Pop", "none"] = "Pop"
    """`Pop`, the most popular items for everybody, is trained on each data set too; `none`: it is not."""
    seed: Whole = Field(2026, ge=0, le=MOST_SEED)
    """All seeds of the sweep are derived from it."""
    timeout_minutes: Minutes | None = None
    """No trial of the sweep starts once its trials have run for so long."""
    outputs: Annotated[Path, AfterValidator(_printable)] = Path("outputs")
    """Where everything is written, relative to the folder in which recsweep runs."""
    storage: Annotated[StoreAddress, WithJsonSchema({"type": "string"})] | None = None
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
    def _one_rule_ends_trials(self) -> SweepConfig:
        scheduler, pruner = self.search.scheduler, self.pruning.pruner
        if scheduler != NO_SCHEDULER and pruner != NO_PRUNER:
            raise ValueError(
                f"search.scheduler {scheduler} needs pruning.pruner none, but got {pruner}: "
                "one rule ends trials"
            )
        return self

    @model_validator(mode="after")
    def _trials_are_compared_before_they_end(self) -> SweepConfig:
        interval, epochs = self.search.perturbation_interval, self.training.epochs
        if self.search.scheduler == POPULATION and interval >= epochs:
            raise ValueError(
                f"search.perturbation_interval must be below training.epochs, {epochs}, but got {interval}: "
                "trials would end before they are compared"
            )
        return self

    @model_validator(mode="after")
    def _several_objectives_are_searched_whole(self) -> SweepConfig:
        if not self.evaluation.several:
            return self
        search = self.search
        if not search.can(Can.OBJECTIVES):
            raise ValueError(
                f"several objectives need search.engine {with_ability(Can.OBJECTIVES)}, "
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


class DatasetConfig(Protocol):
    """One data set in RecBole's atomic files (`config/datasets/<name>.yaml`)."""

    protocol: Protocol | None = Field(None, exclude=True)
    """How the data are filtered, divided and ranked, as one object; its keys may stand beside it instead."""

    name: Name
    """Its name; that of the file where it is left out."""
    path: Annotated[Text, AfterValidator(_printable)] = BUILTIN
    """Folder of the atomic files, relative to this file; `builtin`: ml-100k from RecBole's wheel."""
    user_field: Text = "user_id"
    """The column of users, a `token`."""
    item_field: Text = "item_id"
    """The column of items, a `token`."""
    time_field: Text = "timestamp"
    """The column of times, a `float`."""
    rating_field: Text = "rating"
    """The column of ratings."""
    columns: dict[Text, tuple[Text, ...]] | None = None
    """Columns to load by file suffix. None: user, item and time of the `.inter` file."""
    label_threshold: dict[Text, Real] = Field({}, max_length=1)
    """`{rating: 4}` labels rows rated 4 and above 1 and the others 0, for models that learn from labels."""
    label_scale: dict[Text, tuple[Real, Real]] = Field({}, max_length=1)
    """`{rating: [1, 5]}`: ratings on that scale are the labels, and MAE and RMSE are in their unit."""
    numerical_features: tuple[Text, ...] = ()
    """Columns of numbers that models with features embed; they look at no other number."""
    discretization: dict[Text, features.Discretization] = Field({})
    """Numerical features that become classes: `{age: {method: ED, bucket: 10}}`, `{price: {method: LD}}`."""
    normalize: tuple[Text, ...] = ()
    """Columns of numbers that are scaled to lie between 0 and 1."""
    without_features: Literal["refuse", "drop", "keep"] = "refuse"
    """How interactions are treated whose user or item `.user`, `.item` or `.link` does not list."""
    sequence_separator: Text | None = Field(None, min_length=1)
    """The text between the values in a cell of a `token_seq` or `float_seq`. None: spaces."""
    max_sequence_length: Most = Field(50, ge=1)
    """The most recent interactions that a sequential model sees."""
    time_order: Literal["exact", "recbole"] = "exact"
    """`recbole` rounds timestamps to float32 as RecBole does, and loses the order of close ones."""

    _as_one = model_validator(mode="before")(as_one)

    @model_validator(mode="after")
    def _labelled_and_classed(self) -> DatasetConfig:
        features.check_labels(self.label_scale, self.label_threshold)
        features.check_classes(self.discretization, self.numerical_features)
        return self


def _one_or_more(given: Any) -> Any:
    return (given,) if isinstance(given, str) else given


class ModelConfig(Frozen):
    """One model: what may vary, and what stays (`config/models/<name>.yaml`)."""

    model: Text
    """RecBole's name of the model, or the code of one's own: `my_rec.py:MyRec`, `my_package.models:MyRec`."""
    fixed: Annotated[dict[Text, Any], AfterValidator(checked_plain)] = Field({})
    """RecBole settings that stay the same in every trial."""
    defaults: dict[Text, Value] = Field({})
    """Trial number one: the values that the model's authors or RecBole publish."""
    space: dict[Text, Parameter]
    """The parameters that are searched; `{}` for a model without any, whose study is one trial."""
    require: Annotated[tuple[Text, ...], BeforeValidator(_one_or_more)] = ()
    """Constraints between parameters that every trial keeps, such as `hidden_size % n_heads == 0`."""
    phases: dict[Phase, tuple[Text, ...]] = Field({})
    """Names of the parameters that each phase searches."""
    resources: ResourcesConfig = ResourcesConfig()
    """Resources of a job that trains this model, where it differs from the sweep's."""

    @field_validator("phases")
    @classmethod
    def _parts(cls, phases: dict[Phase, tuple[str, ...]]) -> dict[Phase, tuple[str, ...]]:
        if WHOLE in phases:
            raise ValueError(f"`{WHOLE}` is the whole space and takes no list")
        for phase, names in phases.items():
            if not names or len(set(names)) < len(names):
                raise ValueError(f"`{phase}` must name one or more parameters, each once")
        return phases


class VariantsConfig(Frozen):
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


# With what a sweep in Python is made of, wherever it stands.
__all__ = [
    "BUILTIN",
    "MODEL_PARAMETER",
    "SECONDS",
    "WHOLE",
    "WITH_MODEL",
    "CheckpointsConfig",
    "CooldownConfig",
    "DatasetConfig",
    "EnergyConfig",
    "EvaluationConfig",
    "EvidenceConfig",
    "ModelConfig",
    "NotifyConfig",
    "PruningConfig",
    "ResourcesConfig",
    "SearchConfig",
    "SplitConfig",
    "SweepConfig",
    "TrackingConfig",
    "TrainingConfig",
    "VariantsConfig",
    "WorkersConfig",
    "dataset_folder",
    "parameter_type",
]
