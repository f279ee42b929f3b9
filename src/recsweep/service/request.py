"""The body of a job: a sweep in JSON, by the types of the config, and as the sweep that it is.

It has no second parser. What a field may be, and its default, is what the config's models say of its key; the
sweep that comes of it goes through the loading and the checks that a file goes through. It names models and
data sets by their files' names, and holds no path, no address and no code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, ValidationInfo, field_validator, model_validator

from recsweep.common.names import checked_name
from recsweep.recbole_api import catalog
from recsweep.running import ray_link
from recsweep.service.job_tracking import JobTracking
from recsweep.service.refusals import NOTHING, Mistake, Refused
from recsweep.sweeps import engine_table
from recsweep.sweeps.config import Name, SweepConfig
from recsweep.sweeps.documents import explain, rule, written
from recsweep.sweeps.engine_table import ENGINES, RAY, AlgoName, EngineName
from recsweep.sweeps.fields import descriptions, facts, field_at
from recsweep.sweeps.parameters import Parameter
from recsweep.sweeps.pruner_table import PrunerName
from recsweep.sweeps.scheduler_table import SchedulerName
from recsweep.sweeps.sections import TRIALS, Frozen, Minutes, Most, Phase
from recsweep.sweeps.values import Flag, Real, Text, Value, Whole

KEYS: dict[str, tuple[str, ...]] = {
    field: tuple(key.split("."))
    for field, key in {
        "engine": "search.engine",
        "algo": "search.algo",
        "num_samples": "search.max_evals",
        "budget": "search.budget",
        "share": "search.share",
        "startup_trials": "search.startup_trials",
        "noise": "search.noise",
        "scheduler": "search.scheduler",
        "perturbation_interval": "search.perturbation_interval",
        "quantile_fraction": "search.quantile_fraction",
        "resample_probability": "search.resample_probability",
        "phases": "search.phases",
        "phase_shares": "search.phase_shares",
        "transfer": "search.transfer",
        "allow_large_grid": "search.allow_large_grid",
        "pruner": "pruning.pruner",
        "pruner_warmup_epochs": "pruning.warmup_epochs",
        "pruner_min_trials": "pruning.min_trials",
        "pruner_patience": "pruning.patience",
        "epochs": "training.epochs",
        "patience": "training.stopping_step",
        "eval_step": "training.eval_step",
        "batch_size": "training.train_batch_size",
        "metric_name": "evaluation.metric",
        "metrics": "evaluation.metrics",
        "topk": "evaluation.topk",
        "objectives": "evaluation.objectives",
        "max_concurrent_trials": "workers.count",
        "seed": "seed",
        "limits.timeout_minutes": "search.timeout_minutes",
        "limits.no_improvement_after": "search.no_improvement_after",
        "limits.sweep_timeout_minutes": "timeout_minutes",
        "limits.trial_timeout_minutes": "workers.trial_timeout_minutes",
    }.items()
}
"""Fields of a request, and the key of a sweep file that each one is."""
OTHERWISE = "optuna"
"""The engine where Ray Tune is not installed, or cannot do what is asked."""
MOST_NAMES, MOST_PARAMETERS = 50, 100
_TITLE = re.compile(r"[\w .,:+()=@#-]{1,100}")
_CODE = re.compile(r"[:/\\]|\.py$")
_ALIKE = {
    **dict.fromkeys(("max_evals", "n_trials"), "num_samples"),
    **dict.fromkeys(("workers", "n_jobs"), "max_concurrent_trials"),
    **dict.fromkeys(("metric", "valid_metric"), "metric_name"),
    "space": "search_space",
}
"""Words of the command line and of files for fields that are called otherwise here."""


def _title(text: str) -> str:
    if not _TITLE.fullmatch(text) or not text.strip():
        raise ValueError(
            "a job's name has 1 to 100 letters, digits, spaces and `_ . , : + - ( ) = @ #`, but got "
            + (repr(text) if len(text) <= 100 else f"{text[:20]!r}… of {len(text)} characters")
        )
    return text


class _CodeError(ValueError):
    """A model that is given by its code, as a model file of the server may give it."""

    fix = "use a name that /api/tuning/models lists; who runs the service can add a model file of that code"


def _no_code(name: str) -> str:
    if _CODE.search(name):
        rule = "a job names a model file of the server, and no path and no code, which it would run"
        raise _CodeError(f"{rule}, but got {name!r}")
    return name


def _of(field: str) -> Any:
    """A field with the default, the range and the purpose of its key."""
    path = KEYS[field]
    key, (_, owner) = facts(SweepConfig, path), field_at(SweepConfig, path)
    low, high = key.span or (None, None)
    bounds = {"gt" if key.above else "ge": low, "le": high}
    given: dict[str, Any] = {name: bound for name, bound in bounds.items() if bound is not None}
    return Field(key.default, description=descriptions(owner).get(path[-1]), **given)


class Limits(Frozen):
    """Limits that end a job before its trials are spent."""

    timeout_minutes: Minutes | None = _of("limits.timeout_minutes")
    no_improvement_after: Most | None = _of("limits.no_improvement_after")
    sweep_timeout_minutes: Minutes | None = _of("limits.sweep_timeout_minutes")
    trial_timeout_minutes: Minutes | None = _of("limits.trial_timeout_minutes")


_Space = Annotated[dict[Text, Parameter], Field(max_length=MOST_PARAMETERS)]
_ModelName = Annotated[Text, AfterValidator(_no_code), AfterValidator(checked_name)]
_Names = Annotated[tuple[Name, ...], Field(min_length=1, max_length=MOST_NAMES)]
_ModelNames = Annotated[tuple[_ModelName, ...], Field(min_length=1, max_length=MOST_NAMES)]


class JobRequest(Frozen):
    """A job: the studies that it has, and how they are searched."""

    name: Annotated[Text, AfterValidator(_title)]
    """Its name for people; several jobs may have the same."""
    dataset: Name | None = None
    """The data set; one of those that `/api/tuning/datasets` lists."""
    datasets: _Names | None = None
    """Several of them, in place of `dataset`."""
    model: _ModelName | None = None
    """The model; one of those that `/api/tuning/models` lists."""
    models: _ModelNames | None = None
    """Several of them, in place of `model`."""
    search_space: _Space | None = None
    """The parameters that are searched, of each model; others stay at the model's defaults. `{}`: none, one
    trial. None: the model's own space."""
    search_spaces: Annotated[dict[Name, _Space], Field(max_length=MOST_NAMES)] | None = None
    """The same for each model of several, by its name; others have `search_space`, or their own."""
    defaults: Annotated[dict[Text, Value], Field(max_length=MOST_PARAMETERS)] = Field({})
    """Where the search starts: values of the first trial, in place of the models' own."""
    metric_name: Text = _of("metric_name")
    metric_mode: Literal["max", "min"] | None = None
    """The direction of the metric. None: its own."""
    metrics: Annotated[tuple[Text, ...], Field(max_length=MOST_NAMES)] = _of("metrics")
    topk: Annotated[tuple[Most, ...], Field(max_length=MOST_NAMES)] = _of("topk")
    objectives: Annotated[tuple[Text, ...], Field(max_length=MOST_NAMES)] = _of("objectives")
    num_samples: Most = _of("num_samples")
    budget: Literal["trials", "seconds", "epochs"] = _of("budget")
    share: Real | None = _of("share")
    max_concurrent_trials: Whole = _of("max_concurrent_trials")
    engine: EngineName | None = None
    """The engine that drives it. None: Ray Tune where it is installed, Optuna elsewhere. Answers say it."""
    algo: AlgoName = _of("algo")
    startup_trials: Most = _of("startup_trials")
    noise: Flag = _of("noise")
    scheduler: SchedulerName = _of("scheduler")
    """Ray Tune's scheduler; elsewhere trials are stopped early by `pruner`."""
    perturbation_interval: Most = _of("perturbation_interval")
    quantile_fraction: Real = _of("quantile_fraction")
    resample_probability: Real = _of("resample_probability")
    pruner: PrunerName = _of("pruner")
    pruner_warmup_epochs: Most = _of("pruner_warmup_epochs")
    pruner_min_trials: Most = _of("pruner_min_trials")
    pruner_patience: Most = _of("pruner_patience")
    phases: Annotated[tuple[Phase, ...], Field(min_length=1)] = _of("phases")
    phase_shares: dict[Phase, Real] = _of("phase_shares")
    transfer: Flag = _of("transfer")
    allow_large_grid: Flag = _of("allow_large_grid")
    epochs: Most = _of("epochs")
    patience: Most = _of("patience")
    eval_step: Most = _of("eval_step")
    batch_size: Whole = _of("batch_size")
    seed: Whole = _of("seed")
    limits: Limits = Limits()
    """Limits that end it before its trials are spent."""
    tracking: JobTracking = JobTracking()
    """Where it can be watched. Addresses and keys are those of the environment in which it runs."""

    @field_validator("algo", mode="before")
    @classmethod
    def _known_as(cls, algo: Any, given: ValidationInfo) -> Any:
        return engine_table.known_as(given.data.get("engine") or default_engine(), algo)

    @model_validator(mode="after")
    def _one_or_several(self) -> JobRequest:
        for one, several in (("dataset", "datasets"), ("model", "models")):
            given = [name for name in (one, several) if getattr(self, name) is not None]
            if len(given) != 1:
                raise _Elsewhere(
                    one, f"give `{one}` or `{several}`, " + ("not both" if given else "as neither is there")
                )
        for name in self.search_spaces or {}:
            if name not in self.all_models:
                raise _Elsewhere(f"search_spaces.{name}", f"the job has no model `{name}`")
        return self

    @property
    def all_datasets(self) -> tuple[str, ...]:
        """Names of its data sets, however they were given."""
        return self.datasets or ((self.dataset,) if self.dataset else ())

    @property
    def all_models(self) -> tuple[str, ...]:
        """Names of its models, however they were given."""
        return self.models or ((self.model,) if self.model else ())

    @property
    def driven_by(self) -> str:
        """The engine: the one that was named, or the one that is here and can do what is asked."""
        if self.engine is not None:
            return self.engine
        here = default_engine()
        can = ENGINES[here].algo(self.algo) is not None and not self.objectives and self.budget == TRIALS
        return here if can else OTHERWISE

    def space_of(self, model: str) -> Mapping[str, Parameter] | None:
        """The parameters that are searched of a model; None: its own space."""
        return (self.search_spaces or {}).get(model, self.search_space)

    def space_field(self, model: str) -> str:
        """The field that says so."""
        return f"search_spaces.{model}" if model in (self.search_spaces or {}) else "search_space"

    def plain(self) -> dict[str, Any]:
        """The request as JSON has it, with the engine that was chosen: to keep, and to read again."""
        kept = self.model_dump(mode="json", exclude_unset=True)
        return {**kept, "engine": self.driven_by}


class _Elsewhere(ValueError):
    """A rule of the whole request that one of its fields broke."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(problem)
        self.field = field


def default_engine() -> str:
    """The engine of a job that names none: Ray Tune where it is installed, Optuna elsewhere."""
    return OTHERWISE if ray_link.trouble() else RAY


def request_of(data: Mapping[str, Any]) -> JobRequest:
    """A request from its JSON.

    Raises:
        Refused: every mistake in it, each with its field.
    """
    try:
        return JobRequest.model_validate(data)
    except ValidationError as error:
        raise Refused([_mistake(one, data) for one in error.errors(include_url=False)][:20]) from None


def _mistake(error: Any, data: Mapping[str, Any]) -> Mistake:
    problem, fix = explain(error, JobRequest, data)
    own = error.get("ctx", {}).get("error")
    if isinstance(own, _Elsewhere):
        value = data.get(own.field, NOTHING)
        return Mistake(own.field, str(own), "see /api/tuning/models and /api/tuning/datasets", value)
    missing, location = error["type"] == "missing", error["loc"]
    if error["type"] == "extra_forbidden" and location[-1] in _ALIKE:
        fix = f"it is `{_ALIKE[location[-1]]}` here"
    elif missing:
        fix = f'add "{location[-1]}"'
    field = ".".join(written(location, data, missing=missing)) or "body"
    if location[:1] == ("tracking",):  # what stands there may be a key: it is not told again
        if error["type"] not in ("extra_forbidden", "missing"):
            broken, fix = rule(error, data)
            problem = f"`{field}`: {broken}" if error["type"] == "value_error" else f"`{field}` {broken}"
        return Mistake(field, problem, fix)
    return Mistake(field, problem, fix, NOTHING if missing else error.get("input", NOTHING))


def direction(request: JobRequest) -> str:
    """`max` or `min`: the way in which the metric of a request is better.

    Raises:
        Refused: it was given, and is another.
    """
    is_larger_better = catalog.directions().get(request.metric_name.split("@")[0].lower())
    if is_larger_better is None:  # the checks of the sweep say so
        return request.metric_mode or "max"
    own = "max" if is_larger_better else "min"
    if request.metric_mode not in (None, own):
        problem = f"{request.metric_name} is better the {'larger' if is_larger_better else 'smaller'} it is"
        fix = f'use "{own}", or leave it out'
        raise Refused([Mistake("metric_mode", problem, fix, request.metric_mode)])
    return own
