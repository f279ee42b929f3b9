"""Strict, frozen models of the YAML files: the sweep, its data sets and its models.

A sweep file stands beside two folders, `datasets/` and `models/`, with one file per name. Paths in
a file are relative to that file; `outputs` is relative to the folder in which recsweep runs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from recsweep.documents import Document, explain, load_document, nearest, validate
from recsweep.errors import InputError
from recsweep.space import Parameter, Scalar

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
BUILTIN = "builtin"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SearchConfig(_Frozen):
    """How a study searches, and how long."""

    engine: Literal["hyperopt"] = "hyperopt"
    """What drives a study."""
    algo: Literal["random", "bayes", "anneal", "exhaustive"] = "bayes"
    """How parameters are proposed; `bayes` is TPE."""
    max_evals: int = Field(20, ge=1, le=1_000_000)
    """Trials of each study, the first of them with the defaults."""
    startup_trials: int = Field(8, ge=1)
    """Random trials before TPE models the outcomes. HyperOpt's own default of 20 would make a
    study of 20 trials a random search."""
    allow_large_grid: bool = False
    """Confirms an exhaustive search of more than 1,000 combinations."""


class TrainingConfig(_Frozen):
    """What every trial of every model shares."""

    epochs: int = Field(300, ge=1)
    stopping_step: int = Field(10, ge=0)
    """Early stop: validations without progress before a trial ends."""
    eval_step: int = Field(1, ge=1)
    train_batch_size: int = Field(2048, ge=1)
    eval_batch_size: int = Field(4096, ge=1)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["float32", "mixed"] = "float32"
    """`mixed` computes in 16 bits where torch's autocast does; weights stay in float32."""
    fast: bool = True
    """Train by recsweep's own faster steps where they are proven equal; False: RecBole's code only."""


class EvaluationConfig(_Frozen):
    """What is measured, and what is searched for."""

    metric: str = "NDCG@10"
    """The validation metric that early stop and search go by."""
    metrics: tuple[str, ...] = ("Recall", "MRR", "NDCG", "Hit")
    topk: tuple[int, ...] = (10,)

    @field_validator("metric")
    @classmethod
    def _name_and_cutoff(cls, metric: str) -> str:
        if not re.match(r"^[A-Za-z]+@[1-9][0-9]*$", metric):
            raise ValueError(f"a metric is a name and a cut-off such as NDCG@10, but got {metric!r}")
        return metric

    @property
    def metric_name(self) -> str:
        return self.metric.split("@")[0]

    @property
    def metric_cutoff(self) -> int:
        return int(self.metric.split("@")[1])


class CooldownConfig(_Frozen):
    """Rest between the trials of a study, for the heat of a GPU."""

    seconds: float | None = Field(None, ge=0)
    """None: 60 where a GPU is used, 0 otherwise."""
    until_celsius: float | None = Field(None, gt=0)
    """End the rest early once the GPU is cooler than this (needs NVML)."""


class WorkersConfig(_Frozen):
    """The processes that train."""

    count: int = Field(1, ge=1, le=256)
    threads: int | None = Field(None, ge=1)
    """Threads of each worker. None: the cores, divided among the workers."""
    trials_per_gpu: int | Literal["auto"] = "auto"
    """Trials at once on each GPU. `auto`: as many as fit, by the memory of the first one."""
    trials_per_worker: int = Field(50, ge=1)
    """A worker is replaced after this many trials, so that no leak grows."""
    trial_timeout_minutes: float | None = Field(None, gt=0)
    """A trial that takes longer is ended and recorded as timed out."""
    crash_retries: int = Field(2, ge=0)
    """How often a trial whose process died is run again before it counts as failed."""

    @field_validator("trials_per_gpu", mode="before")
    @classmethod
    def _auto_or_a_count(cls, given: Any) -> Any:
        # Here rather than by pydantic's union, whose errors speak of one of its members only.
        if given != "auto" and (not isinstance(given, int) or isinstance(given, bool) or given < 1):
            raise ValueError(f"must be auto or a whole number from 1, but got {given!r}")
        return given


class SweepConfig(_Frozen):
    """One sweep: models x data sets x budget (`config/config.yaml`)."""

    sweep: str = Field(pattern=NAME)
    models: tuple[str, ...] = Field(min_length=1)
    datasets: tuple[str, ...] = Field(min_length=1)
    search: SearchConfig = SearchConfig()
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    cooldown: CooldownConfig = CooldownConfig()
    workers: WorkersConfig = WorkersConfig()
    seed: int = Field(2026, ge=0)
    outputs: Path = Path("outputs")
    storage: str | None = None
    """Optuna storage URL. None: SQLite in the output folder."""


class SplitConfig(_Frozen):
    """How interactions become training, validation and test data."""

    type: Literal["leave_one_out", "ratio"] = "leave_one_out"
    ratio: tuple[float, float, float] = (0.8, 0.1, 0.1)
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

    name: str = Field(pattern=NAME)
    path: str = BUILTIN
    """Folder of the atomic files, relative to this file; `builtin`: ml-100k from RecBole's wheel."""
    user_field: str = "user_id"
    item_field: str = "item_id"
    time_field: str = "timestamp"
    rating_field: str = "rating"
    columns: dict[str, tuple[str, ...]] | None = None
    """Columns to load by file suffix. None: user, item and time of the `.inter` file."""
    keep: dict[str, str] = {}
    """Intervals by field: `rating: "[4,inf)"` keeps interactions rated 4 and above."""
    min_user_interactions: int = Field(0, ge=0)
    min_item_interactions: int = Field(0, ge=0)
    """Users and items with fewer interactions are dropped, again and again until none is left."""
    max_sequence_length: int = Field(50, ge=1)
    time_order: Literal["exact", "recbole"] = "exact"
    """`recbole` rounds timestamps to float32 as RecBole does, and loses the order of close ones."""
    split: SplitConfig = SplitConfig()

    @field_validator("keep")
    @classmethod
    def _intervals(cls, keep: dict[str, str]) -> dict[str, str]:
        for field, interval in keep.items():
            if not _INTERVAL.match(interval):
                raise ValueError(
                    f"`{field}` must be an interval such as '[4,inf)' or '(0,10]', but got {interval!r}"
                )
            low, high = (float(bound) for bound in interval[1:-1].split(","))
            if low > high or (low == high and (interval[0], interval[-1]) != ("[", "]")):
                raise ValueError(f"`{field}` must be an interval that holds a number, but got {interval!r}")
        return keep


_BOUND = r"\s*[-+]?(?:inf|\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)\s*"
_INTERVAL = re.compile(rf"^[\[(]{_BOUND},{_BOUND}[\])]$")


class ModelConfig(_Frozen):
    """One model: what may vary, and what stays (`config/models/<name>.yaml`)."""

    model: str
    """RecBole's name of the model."""
    fixed: dict[str, Any] = {}
    """RecBole settings that stay the same in every trial."""
    defaults: dict[str, Scalar | tuple[Scalar, ...]] = {}
    """Trial number one: the values that the model's authors or RecBole publish."""
    space: dict[str, Parameter] = Field(min_length=1)
    """What is searched."""


@dataclass(frozen=True)
class Sweep:
    """A sweep with the files that it names, and where to point when they are wrong."""

    config: SweepConfig
    document: Document
    datasets: dict[str, DatasetConfig]
    models: dict[str, ModelConfig]
    dataset_documents: dict[str, Document]
    model_documents: dict[str, Document]
    overrides: dict[str, Any]

    def error(self, location: tuple[str | int, ...], problem: str, fix: str) -> InputError:
        """An error about the sweep's own settings; an option that set the value is named instead."""
        for option, target in OVERRIDES.items():
            if target == location[: len(target)] and option in self.overrides:
                return InputError(option, problem, fix)
        return self.document.error(location, problem, fix)


# Options of the command line (and of --config and the environment), and the key that each one sets.
OVERRIDES: dict[str, tuple[str, ...]] = {
    "models": ("models",),
    "datasets": ("datasets",),
    "max_evals": ("search", "max_evals"),
    "algo": ("search", "algo"),
    "allow_large_grid": ("search", "allow_large_grid"),
    "epochs": ("training", "epochs"),
    "cooldown": ("cooldown", "seconds"),
    "workers": ("workers", "count"),
    "seed": ("seed",),
    "storage": ("storage",),
    "outputs": ("outputs",),
}


def load_sweep(path: Path, overrides: Mapping[str, Any] | None = None) -> Sweep:
    """Read a sweep file and the data set and model files beside it.

    Args:
        path: the sweep file.
        overrides: values by option name (`max_evals`, `models`, …; see `OVERRIDES`); None and
            empty values are ignored. Lists may be given as text: "GRU4Rec SASRec".

    Raises:
        InputError: any mistake in any of the files or options.
    """
    given = _given(overrides or {})
    document = load_document(path)
    config = _override(validate(document, SweepConfig), given)
    sweep = Sweep(config, document, {}, {}, {}, {}, given)
    for name in config.datasets:
        _load_part(sweep, "datasets", name)
    for name in config.models:
        _load_part(sweep, "models", name)
    return sweep


def _given(overrides: Mapping[str, Any]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for option, value in overrides.items():
        if option not in OVERRIDES:
            raise InputError(option, "is no setting of a sweep", nearest(option, OVERRIDES))
        if value is None or value == "" or value == () or value is False:
            continue
        if option in ("models", "datasets"):
            value = str(value).split() if not isinstance(value, list | tuple) else list(value)
        given[option] = str(value) if option == "storage" else value
    return given


def option_flags(overrides: Mapping[str, Any]) -> list[str]:
    """The command-line options that give the same overrides, one word each: `--max-evals=3`."""
    flags: list[str] = []
    for option, value in _given(overrides).items():
        name = f"--{option.replace('_', '-')}"
        text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
        flags.append(name if value is True else f"{name}={text}")
    return flags


def _override(config: SweepConfig, given: Mapping[str, Any]) -> SweepConfig:
    data = config.model_dump()
    for option, value in given.items():
        target = data
        *parents, key = OVERRIDES[option]
        for parent in parents:
            target = target[parent]
        target[key] = value
        try:
            SweepConfig.model_validate(data)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            _, fix = explain(first, SweepConfig, data)
            problem = f"{first['msg'][0].lower()}{first['msg'][1:]}, but got {value!r}"
            raise InputError(option, problem, fix) from None
    return SweepConfig.model_validate(data)


def _load_part(sweep: Sweep, kind: Literal["datasets", "models"], name: str) -> None:
    folder = sweep.document.path.parent / kind
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    position = getattr(sweep.config, kind).index(name)
    if name not in known:
        hint = nearest(name, known)
        raise sweep.error(
            (kind, position),
            f"unknown {'model' if kind == 'models' else 'data set'} `{name}`",
            f"{hint}{' Or' if hint.endswith('?') else ', or'} add {folder / (name + '.yaml')}",
        )
    document = load_document(folder / f"{name}.yaml")
    if kind == "datasets":
        document.data.setdefault("name", name)
        sweep.datasets[name] = validate(document, DatasetConfig)
        sweep.dataset_documents[name] = document
    else:
        document.data.setdefault("model", name)
        sweep.models[name] = validate(document, ModelConfig)
        sweep.model_documents[name] = document


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
