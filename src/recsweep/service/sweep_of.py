"""The sweep of a request: the same that a file with the same content would give, checked in the same way.

Seeds and content hashes follow from what a study computes, not from the name of its sweep: so a job has the
trials that `recsweep tune` would have. What is wrong is told at the field of the request that it came of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from recsweep.common.address import StoreAddress
from recsweep.common.errors import InputError
from recsweep.planning.baseline import NONE as NO_BASELINE
from recsweep.planning.checks import check_sweep
from recsweep.planning.plan import StudyPlan, plan_sweep
from recsweep.recbole_api.source import overall_defaults, published_defaults
from recsweep.service.by_field import FieldError, named_field, told_by_field
from recsweep.service.refusals import NOTHING, Mistake, Refused, refused
from recsweep.service.request import KEYS, JobRequest, direction
from recsweep.sweeps import space as spaces
from recsweep.sweeps.config import ModelConfig, SweepConfig
from recsweep.sweeps.documents import Document, Location, nearest, rule, short_value
from recsweep.sweeps.loading import Sweep, load_sweep
from recsweep.sweeps.rules import Rule

CONFIG = Path("config")
"""The folder whose models and data sets can be asked for."""
NAMED = {"datasets": "data set", "models": "model"}
"""Folders of files that a request may name, and what one of them is."""


@dataclass(frozen=True)
class _Asked(Document):
    """A document that was sent, not read: its places are fields of the request."""

    fields: Mapping[tuple[str, ...], str]
    """The field that a part of it came from; the longest prefix of a location counts."""

    def error(self, location: Location, problem: str, fix: str, *, at_key: bool = False) -> InputError:
        parts = tuple(str(part) for part in location)
        for length in range(len(parts), -1, -1):
            if field := self.fields.get(parts[:length]):
                ours = fix.replace(
                    "so that trial number one is a point of it", "or start elsewhere by `defaults`"
                )
                return FieldError(".".join([field, *parts[length:]]), problem, ours)
        return FieldError(".".join(parts), problem, fix)


def known_names(kind: str, config: Path = CONFIG) -> list[str]:
    """Names of the models or data sets that can be asked for.

    Args:
        kind: `models` or `datasets`.
    """
    return sorted(path.stem for path in (config / kind).glob("*.yaml"))


def sweep_of(
    request: JobRequest,
    job_id: str,
    *,
    outputs: Path = Path("outputs"),
    storage: StoreAddress | None = None,
    config: Path = CONFIG,
) -> Sweep:
    """The sweep of a job, with the models and data sets that it names.

    Args:
        job_id: it is named `job-<id>`.
        outputs: where it writes.
        storage: where the store is; None: SQLite in `outputs`.
        config: the folder of `models/` and `datasets/`.

    Raises:
        Refused: what was asked for cannot be; each mistake with its field.
    """
    for kind, names in (("datasets", request.all_datasets), ("models", request.all_models)):
        _check_names(request, kind, names, config)
    direction(request)
    # A job has the trials that were asked for, and no others.
    own = {"outputs": outputs, "storage": storage, "popularity": NO_BASELINE}
    made = _config_of(request, f"job-{job_id}").model_copy(update=own)
    fields = {path: field for field, path in KEYS.items()}
    document = _Asked(config / f"job-{job_id}", {}, None, fields)
    with told_by_field(request):
        sweep = load_sweep(Sweep(made, document, {}, {}, {}, {}, {}))
        check_sweep(sweep)  # the files alone: what is wrong from here on is the request's
        return _with_spaces(sweep, request)


def plans_of(sweep: Sweep, request: JobRequest) -> list[StudyPlan]:
    """The studies of a request's sweep.

    Raises:
        Refused: what was asked for cannot be searched.
    """
    with told_by_field(request):
        return plan_sweep(sweep)


def _check_names(request: JobRequest, kind: str, names: Sequence[str], config: Path) -> None:
    there = known_names(kind, config)
    for position, name in enumerate(names):
        field = named_field(request, kind, position)
        if name not in there:
            raise refused(field, f"there is no {NAMED[kind]} `{name}`", nearest(name, there), name)
        if name in names[:position]:
            raise refused(field, f"`{name}` stands twice", "name each once", name)


def _config_of(request: JobRequest, name: str) -> SweepConfig:
    """The content of a sweep file: the fields that were given, at their keys."""
    data: dict[str, Any] = {"sweep": name, "models": request.all_models, "datasets": request.all_datasets}
    for field, path in KEYS.items():
        _put(data, path, _value(request, field))
    data["tracking"] = request.tracking.model_dump(exclude_unset=True)
    try:
        return SweepConfig.model_validate(data)
    except ValidationError as error:
        raise Refused([_mistake(one, request, data) for one in error.errors(include_url=False)]) from None


def _value(request: JobRequest, field: str) -> Any:
    if field == "engine":
        return request.driven_by
    value: Any = request
    for part in field.split("."):
        value = getattr(value, part)
    return value


def _put(data: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for part in path[:-1]:
        data = data.setdefault(part, {})
    data[path[-1]] = value


def _mistake(error: Any, request: JobRequest, data: dict[str, Any]) -> Mistake:
    """A rule that the sweep broke; one of several fields is told at the first of them that it is about."""
    location = tuple(str(part) for part in error["loc"])
    problem, fix = rule(error, data)
    own = [field for field, path in KEYS.items() if location[: len(path)] == path]
    about = own or [field for field, path in KEYS.items() if path[-1] in problem.replace("`", " ").split()]
    section = [field for field, path in KEYS.items() if path[: len(location)] == location and location]
    field = (own or about or section or ["body"])[0]
    value = _value(request, field) if field in KEYS else NOTHING
    if error["type"] != "value_error":
        problem += f", but got {short_value(value)}"
    return Mistake(field, problem, fix, value)


def _with_spaces(sweep: Sweep, request: JobRequest) -> Sweep:
    """The sweep with what the request searches in place of what its model files do."""
    models, documents = dict(sweep.models), dict(sweep.model_documents)
    for name in request.all_models:
        asked = request.space_of(name)
        space = models[name].space if asked is None else asked
        own = {key: value for key, value in request.defaults.items() if key in space}
        if asked is None and not own:
            continue
        field = request.space_field(name)
        if name in sweep.variants:
            problem = f"{name} is several models, whose spaces are those of their files"
            raise refused(
                "defaults" if asked is None else field, problem, "leave it out, or name one of the models"
            )
        models[name] = _searching(models[name], space, own)
        rules = len(models[name].require)
        documents[name] = _Asked(documents[name].path, {}, None, _places(field, own, rules))
    _check_defaults(request, models)
    return replace(sweep, models=models, model_documents=documents)


def _places(field: str, own: Mapping[str, Any], rules: int) -> dict[tuple[str, ...], str]:
    """The fields of the request that the parts of a model, so many constraints among them, came from."""
    places = {("space",): field, ("defaults",): field, ("phases",): "phases", (): "model"}
    kept: dict[tuple[str, ...], str] = {
        ("require", str(position)): "defaults" if own else field for position in range(rules)
    }
    return {**places, **kept, **{("defaults", name): f"defaults.{name}" for name in own}}


def _check_defaults(request: JobRequest, models: Mapping[str, ModelConfig]) -> None:
    searched = {name for model in models.values() for name in model.space}
    for name, value in request.defaults.items():
        if name not in searched:
            raise refused(f"defaults.{name}", f"`{name}` is not searched", nearest(name, searched), value)


def _searching(model: ModelConfig, space: Mapping[str, Any], own: Mapping[str, Any]) -> ModelConfig:
    """A model that searches a space; what its file searches beside it stays at its defaults."""
    shipped = {**overall_defaults(), **published_defaults(model.model)}
    own_defaults = {**model.fixed, **spaces.cast(model.space, model.defaults)}
    defaults = {name: own.get(name, own_defaults.get(name, shipped.get(name))) for name in space}
    return ModelConfig(
        model=model.model,
        fixed={name: value for name, value in own_defaults.items() if name not in space},
        defaults={name: value for name, value in defaults.items() if value is not None},
        space=dict(space),
        # What a constraint ties together has one value where none of it is searched.
        require=tuple(text for text in model.require if set(Rule(text).names) & set(space)),
        phases={} if dict(space) != dict(model.space) else model.phases,
    )
