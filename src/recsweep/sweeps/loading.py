"""From files and options to a sweep: YAML or Python, overrides, and the files that it names.

A sweep file stands beside two folders, `datasets/` and `models/`, with one file per name. Paths in
a file are relative to that file; `outputs` is relative to the folder in which recsweep runs. A sweep
may also be a `SweepConfig` that a Python file makes: `my_sweep.py:sweep`.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from recsweep.common.address import AddressError, StoreAddress, read_address
from recsweep.common.errors import InputError
from recsweep.sweeps.config import (
    MODEL_PARAMETER,
    DatasetConfig,
    ModelConfig,
    SweepConfig,
    VariantsConfig,
)
from recsweep.sweeps.documents import Document, load_document, nearest, rule, short_value, validate
from recsweep.sweeps.space import Choice

_LISTS = ("models", "datasets", "phases", "warm_start")
_TEXTS = ("storage_file", "outputs", "engine", "algo", "pruner", "device")
_SWITCHES = ("transfer", "allow_large_grid")
_WHOLE = re.compile(r"[-+]?[0-9]{1,100}")
_REAL = re.compile(
    r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?(inf|infinity|nan)", re.IGNORECASE
)
_FLAGS = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}


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
    variants: dict[str, dict[str, ModelConfig]] = field(default_factory=dict)
    """The models that a name of `models` stands for, where it stands for several."""
    given_as: Mapping[str, str] = field(default_factory=dict)
    """What an option that overrides is called where it was given: `RECSWEEP_MAX_EVALS` of the environment."""

    def error(self, location: tuple[str | int, ...], problem: str, fix: str) -> InputError:
        """An error about the sweep's own settings; an option that set the value is named instead."""
        for option, target in OVERRIDES.items():
            if target == location[: len(target)] and option in self.overrides:
                return InputError(called(option, self.given_as), problem, fix)
        return self.document.error(location, problem, fix)


# Options of the command line (and of --config and the environment), and the key that each one sets.
OVERRIDES: dict[str, tuple[str, ...]] = {
    "models": ("models",),
    "datasets": ("datasets",),
    "engine": ("search", "engine"),
    "algo": ("search", "algo"),
    "max_evals": ("search", "max_evals"),
    "pruner": ("pruning", "pruner"),
    "phases": ("search", "phases"),
    "warm_start": ("search", "warm_start"),
    "transfer": ("search", "transfer"),
    "timeout_minutes": ("search", "timeout_minutes"),
    "no_improvement_after": ("search", "no_improvement_after"),
    "sweep_timeout_minutes": ("timeout_minutes",),
    "allow_large_grid": ("search", "allow_large_grid"),
    "epochs": ("training", "epochs"),
    "patience": ("training", "stopping_step"),
    "batch_size": ("training", "train_batch_size"),
    "device": ("training", "device"),
    "cooldown": ("cooldown", "seconds"),
    "workers": ("workers", "count"),
    "workers_per_study": ("workers", "workers_per_study"),
    "seed": ("seed",),
    "storage": ("storage",),
    "storage_file": ("storage_file",),
    "outputs": ("outputs",),
}


def called(option: str, given_as: Mapping[str, str]) -> str:
    """What an option is called where it was given; on the command line, where nobody says otherwise."""
    return given_as.get(option, f"--{option.replace('_', '-')}")


def variable(option: str) -> str:
    """The variable of the environment that gives an option: `RECSWEEP_MAX_EVALS`."""
    return f"RECSWEEP_{option.upper()}"


def from_environment() -> dict[str, Any]:
    """The overrides that the environment gives, by the names of their options; an empty one gives nothing.

    Raises:
        InputError: a flag that is neither on nor off.
    """
    found: dict[str, Any] = {}
    for option in OVERRIDES:
        text = os.environ.get(variable(option), "")
        if text and option in _SWITCHES:
            if text.lower() not in _FLAGS:
                raise InputError(variable(option), f"must be 1 or 0, but got {text!r}", "correct the value")
            found[option] = _FLAGS[text.lower()]
        elif text:
            found[option] = text
    return found


def load_sweep(
    source: Path | str,
    overrides: Mapping[str, Any] | None = None,
    given_as: Mapping[str, str] | None = None,
) -> Sweep:
    """Read a sweep and the data set and model files beside it.

    Args:
        source: a sweep file, or `FILE.py:NAME` for a `SweepConfig` or a `Sweep` that Python makes.
        overrides: values by option name (`max_evals`, `models`, …; see `OVERRIDES`); None and
            empty values are ignored. Lists may be given as text: "GRU4Rec SASRec".
        given_as: what an option is called in errors, where that is not its name.

    Raises:
        InputError: any mistake in any of the files or options.
    """
    names = given_as or {}
    given = _given(overrides or {}, names)
    made = read_sweep(source)
    config = _override(made.config, given, names)
    sweep = _with_store(replace(made, config=config, overrides=given, given_as=names))
    for dataset in sweep.config.datasets:
        _load_dataset(sweep, dataset)
    for model in sweep.config.models:
        _load_model(sweep, model)
    return replace(
        sweep,
        datasets={name: sweep.datasets[name] for name in sweep.config.datasets},
        models={name: sweep.models[name] for name in sweep.config.models},
    )


def read_sweep(source: Path | str) -> Sweep:
    """A sweep as it stands, without the files that it names.

    Raises:
        InputError: a mistake in the sweep itself.
    """
    path, colon, name = str(source).rpartition(":")
    if colon and path.endswith(".py"):
        return _from_python(Path(path), name)
    document = load_document(Path(source))
    _hide_address(document)
    return Sweep(validate(document, SweepConfig), document, {}, {}, {}, {}, {})


def _hide_address(document: Document) -> None:
    """From here on the address of the store is no text, whatever an error quotes."""
    given = document.data.get("storage")
    if not isinstance(given, str):
        return
    try:
        document.data["storage"] = address = StoreAddress.of(given)
    except AddressError as error:
        raise document.error(("storage",), error.problem, error.fix) from None
    for key, value in document.node.value if document.node is not None else ():
        if key.value == "storage":
            value.value = str(address)


def _with_store(sweep: Sweep) -> Sweep:
    """The sweep with the address of its store, from a file where there is one; its place is looked at."""
    config, key = sweep.config, "storage"
    try:
        if config.storage_file is not None:
            key = "storage_file"
            beside = Path() if key in sweep.overrides else sweep.document.path.parent
            address = read_address(beside / config.storage_file.expanduser())
            config = config.model_copy(update={"storage": address, "storage_file": None})
        if config.storage is not None:
            config.storage.below(config.outputs).check_place()
    except AddressError as error:
        raise sweep.error((key,), error.problem, error.fix) from None
    return replace(sweep, config=config)


def make_sweep(
    config: SweepConfig,
    folder: Path,
    models: Mapping[str, ModelConfig] | None = None,
    datasets: Mapping[str, DatasetConfig] | None = None,
) -> Sweep:
    """A sweep made in Python, for `recsweep tune --sweep FILE.py:NAME`.

    Args:
        folder: where `models/` and `datasets/` stand for the names that are not given here; paths
            of data sets are relative to `folder/datasets`.
        models: models by the names in `config.models`.
        datasets: data sets by the names in `config.datasets`.
    """
    path = folder / "sweep"
    given = {name: Document(folder / "models" / name, {}, None) for name in models or {}}
    data = {name: Document(folder / "datasets" / name, {}, None) for name in datasets or {}}
    return Sweep(config, Document(path, {}, None), dict(datasets or {}), dict(models or {}), data, given, {})


def _from_python(path: Path, name: str) -> Sweep:
    """The sweep that a Python file holds under a name. The file is the user's own code and is run."""
    if not path.is_file():
        raise InputError(path, "there is no such file", "give FILE.py:NAME", 1, 1)
    spec = importlib.util.spec_from_file_location(f"recsweep_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise InputError(path, "cannot be loaded as Python", "give FILE.py:NAME", 1, 1)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses and pydantic look for the names of its types
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        problem = " ".join(str(error).split())
        line = _line_of(error, path)
        raise InputError(path, f"{type(error).__name__}: {problem}", "correct the file", line, 1) from error
    made = getattr(module, name, None)
    if isinstance(made, Sweep):
        return made
    if isinstance(made, SweepConfig):
        beside = path.parent / "models"
        folder = path.parent if beside.is_dir() else path.parent / "config"
        return replace(make_sweep(made, folder), document=Document(folder / path.name, {}, None))
    names = [key for key, value in vars(module).items() if isinstance(value, Sweep | SweepConfig)]
    raise InputError(path, f"`{name}` is no SweepConfig, but {made!r}"[:200], nearest(name, names), 1, 1)


def _line_of(error: Exception, path: Path) -> int:
    """The last line of a file that an error came through."""
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename).resolve() == path.resolve():
        return error.lineno or 1
    frames = traceback.extract_tb(error.__traceback__)[::-1]
    return next((f.lineno or 1 for f in frames if Path(f.filename).resolve() == path.resolve()), 1)


def _given(overrides: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for option, value in overrides.items():
        if option not in OVERRIDES:
            raise InputError(called(option, names), "is no setting of a sweep", nearest(option, OVERRIDES))
        if value is None or value == "" or value == () or value is False:
            continue
        if option in _LISTS:
            value = str(value).split() if not isinstance(value, list | tuple) else list(value)
        if option == "workers" and str(value) == "-1":
            value = cores()
        try:
            given[option] = StoreAddress.of(value) if option == "storage" else value
        except AddressError as error:
            raise InputError(called(option, names), error.problem, error.fix) from None
    if "storage" in given and "storage_file" in given:
        raise InputError(called("storage", names), "stands beside storage_file", "give one of them")
    return given


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def option_flags(overrides: Mapping[str, Any]) -> list[str]:
    """The command-line options that give the same overrides, one word each: `--max-evals=3`.

    The address of the store is none of them: arguments can be read by everybody, it goes by the environment.
    """
    flags: list[str] = []
    for option, value in _given(overrides, {}).items():
        if option == "storage":
            continue
        name = called(option, {})
        text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
        flags.append(name if str(value) == "True" else f"{name}={text}")
    return flags


def _override(config: SweepConfig, given: Mapping[str, Any], names: Mapping[str, str]) -> SweepConfig:
    data = _overridden(config, given)
    try:
        return SweepConfig.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        option = _to_blame(config, given, first)
        problem, fix = rule(first, data)
        if first["type"] != "value_error":  # our own validators name the value themselves
            value = first["input"] if option in _LISTS and first["type"] != "too_short" else given[option]
            problem += f", but got {short_value(value)}"
        raise InputError(called(option, names), problem, fix) from None


def _overridden(config: SweepConfig, given: Mapping[str, Any]) -> dict[str, Any]:
    data = config.model_dump()
    if "storage" in given or "storage_file" in given:
        data |= {"storage": None, "storage_file": None}
    for option, value in given.items():
        target = data
        *parents, key = OVERRIDES[option]
        for parent in parents:
            target = target[parent]
        target[key] = _from_text(option, value)
    return data


def _from_text(option: str, value: Any) -> Any:
    """The value of an option in its type, where it was given as text that has such a form."""
    if not isinstance(value, str) or option in (*_TEXTS, *_LISTS):
        return value
    if option in _SWITCHES:
        return _FLAGS.get(value.lower(), value)
    if _WHOLE.fullmatch(value):
        return int(value)
    return float(value) if _REAL.fullmatch(value) else value


def _to_blame(config: SweepConfig, given: Mapping[str, Any], mistake: Any) -> str:
    """The option that set the wrong value; of a rule between values the last without which it holds."""
    location = tuple(mistake["loc"])
    for option in given:
        if OVERRIDES[option] == location[: len(OVERRIDES[option])]:
            return option
    for option in reversed(list(given)):
        try:
            SweepConfig.model_validate(
                _overridden(config, {name: value for name, value in given.items() if name != option})
            )
        except ValidationError as error:
            if any(other["loc"] == mistake["loc"] for other in error.errors(include_url=False)):
                continue
        return option
    return list(given)[-1]


def _find(sweep: Sweep, kind: Literal["datasets", "models"], name: str) -> Document:
    """The file of a name, with its name filled in.

    Raises:
        InputError: there is none; the place is that of the name in the sweep file.
    """
    folder = sweep.document.path.parent / kind
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    if name not in known:
        position = getattr(sweep.config, kind).index(name)
        hint = nearest(name, known)
        raise sweep.error(
            (kind, position),
            f"unknown {'model' if kind == 'models' else 'data set'} `{name}`",
            f"{hint}{' Or' if hint.endswith('?') else ', or'} add {folder / (name + '.yaml')}",
        )
    return load_document(folder / f"{name}.yaml")


def _load_dataset(sweep: Sweep, name: str) -> None:
    if name in sweep.datasets:
        return
    document = _find(sweep, "datasets", name)
    document.data.setdefault("name", name)
    sweep.datasets[name] = validate(document, DatasetConfig)
    sweep.dataset_documents[name] = document


def _load_model(sweep: Sweep, name: str) -> None:
    if name in sweep.models:
        return
    document = _find(sweep, "models", name)
    sweep.model_documents[name] = document
    if "model_variants" in document.data:
        sweep.variants[name] = _load_variants(sweep, document)
        sweep.models[name] = merge_variants(name, sweep.variants[name])
        return
    document.data.setdefault("model", name)
    sweep.models[name] = validate(document, ModelConfig)


def _load_variants(sweep: Sweep, document: Document) -> dict[str, ModelConfig]:
    names = validate(document, VariantsConfig).model_variants
    folder = document.path.parent
    models: dict[str, ModelConfig] = {}
    for position, name in enumerate(names):
        path = folder / f"{name}.yaml"
        own = load_document(path) if path.is_file() else None
        if own is None or "model_variants" in own.data or name in models:
            known = [
                other.stem
                for other in folder.glob("*.yaml")
                if other.stem not in (document.path.stem, *models)
            ]
            raise document.error(
                ("model_variants", position), f"`{name}` is no other single model", nearest(name, known)
            )
        own.data.setdefault("model", name)
        models[name] = validate(own, ModelConfig)
        sweep.model_documents[name] = own
    return models


def merge_variants(name: str, variants: Mapping[str, ModelConfig]) -> ModelConfig:
    """Several models as one: `model` is a parameter, and each model's own depend on it.

    A parameter `p` of the model `M` is named `M.p`, since the same name may have another range there.
    """
    names = tuple(variants)
    space: dict[str, Any] = {MODEL_PARAMETER: Choice(type="choice", values=names)}
    defaults: dict[str, Any] = {MODEL_PARAMETER: names[0]}
    for variant, model in variants.items():
        for own, parameter in model.space.items():
            when = {f"{variant}.{parent}": wanted for parent, wanted in (parameter.when or {}).items()}
            conditions = {"when": {MODEL_PARAMETER: variant, **when}}
            space[f"{variant}.{own}"] = parameter.model_copy(update=conditions)
        defaults |= {f"{variant}.{own}": value for own, value in model.defaults.items()}
    return ModelConfig(model=name, defaults=defaults, space=space)
