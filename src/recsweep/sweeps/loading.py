"""From files and options to a sweep: YAML or Python, overrides, and the files that it names.

A sweep file stands beside two folders, `datasets/` and `models/`, with one file per name. Paths in
a file are relative to that file; `outputs` is relative to the folder in which recsweep runs. A sweep
may also be a `SweepConfig` that a Python file makes: `my_sweep.py:sweep`.
"""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from recsweep.common.address import AddressError, StoreAddress, read_address
from recsweep.common.errors import InputError
from recsweep.common.place import is_folder
from recsweep.sweeps.config import DatasetConfig, ModelConfig, SweepConfig
from recsweep.sweeps.documents import Document, load_document, nearest, validate
from recsweep.sweeps.overrides import OVERRIDES, called, given_of, override
from recsweep.sweeps.own_names import in_full
from recsweep.sweeps.variants import load_variants, merge_variants, model_of


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
    """The name of an overriding option where it was given: `RECSWEEP_MAX_EVALS` of the environment."""

    def error(self, location: tuple[str | int, ...], problem: str, fix: str) -> InputError:
        """An error about the sweep's own settings; an option that set the value is named instead."""
        for option, target in OVERRIDES.items():
            if target == location[: len(target)] and option in self.overrides:
                return InputError(called(option, self.given_as), problem, fix)
        return self.document.error(location, problem, fix)


def load_sweep(
    source: Path | str | SweepConfig | Sweep,
    overrides: Mapping[str, Any] | None = None,
    given_as: Mapping[str, str] | None = None,
) -> Sweep:
    """Read a sweep and the data set and model files beside it.

    Args:
        source: a sweep file, `FILE.py:NAME` for a `SweepConfig` or a `Sweep` that Python makes, or one of
            these. The files that a bare `SweepConfig` names are sought below this folder, or its `config`.
        overrides: values by option name (`max_evals`, `models`, …; see `OVERRIDES`); None and
            empty values are ignored. Lists may be given as text: "GRU4Rec SASRec".
        given_as: what an option is called in errors, where that is not its name.

    Raises:
        InputError: any mistake in any of the files or options.
    """
    sweep = read_overridden(source, overrides, given_as)
    for dataset in sweep.config.datasets:
        _load_dataset(sweep, dataset)
    for model in sweep.config.models:
        _load_model(sweep, model)
    return replace(
        sweep,
        datasets={name: sweep.datasets[name] for name in sweep.config.datasets},
        models={name: sweep.models[name] for name in sweep.config.models},
    )


def read_overridden(
    source: Path | str | SweepConfig | Sweep,
    overrides: Mapping[str, Any] | None = None,
    given_as: Mapping[str, str] | None = None,
) -> Sweep:
    """A sweep with what options set over it, without the files that it names.

    Raises:
        InputError: a mistake in the sweep itself, or in the options.
    """
    names = given_as or {}
    given = given_of(overrides or {}, names)
    made = read_sweep(source)
    config = override(made.config, {**_algo_as_written(made, given), **given}, names)
    return _with_place(_with_store(replace(made, config=config, overrides=given, given_as=names)))


def _algo_as_written(sweep: Sweep, given: Mapping[str, Any]) -> dict[str, Any]:
    """The algo under the name that the file gives it, where another engine may know it by that name."""
    search = sweep.document.data.get("search")
    written = search.get("algo") if isinstance(search, dict) else None
    return {"algo": written} if "engine" in given and isinstance(written, str) else {}


def read_sweep(source: Path | str | SweepConfig | Sweep) -> Sweep:
    """A sweep as it stands, without the files that it names.

    Raises:
        InputError: a mistake in the sweep itself.
    """
    if isinstance(source, Sweep):
        return _of_ones_own(source)
    if isinstance(source, SweepConfig):
        return _beside(source, Path("SweepConfig"))
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


def _with_place(sweep: Sweep) -> Sweep:
    """The sweep with the folder for checkpoints in full, where they are to go to one besides."""
    kept = sweep.config.checkpoints
    if kept.path is None or not is_folder(kept.path):
        return sweep
    beside = Path() if "checkpoints" in sweep.overrides else sweep.document.path.parent
    folder = str((beside / Path(kept.path).expanduser()).absolute())
    update = {"checkpoints": kept.model_copy(update={"path": folder})}
    return replace(sweep, config=sweep.config.model_copy(update=update))


def make_sweep(
    config: SweepConfig,
    folder: Path,
    models: Mapping[str, ModelConfig] | None = None,
    datasets: Mapping[str, DatasetConfig] | None = None,
) -> Sweep:
    """A sweep made in Python, for `recsweep tune --sweep FILE.py:NAME`.

    Args:
        folder: where `models/` and `datasets/` stand for the names that are not given here; paths
            of data sets are relative to `folder/datasets`, those of models of one's own to `folder/models`.
        models: models by the names in `config.models`.
        datasets: data sets by the names in `config.datasets`.
    """
    path = folder / "sweep"
    given = {name: Document(folder / "models" / name, {}, None) for name in models or {}}
    data = {name: Document(folder / "datasets" / name, {}, None) for name in datasets or {}}
    own = {
        name: model.model_copy(update={"model": in_full(model.model, folder / "models")})
        for name, model in (models or {}).items()
    }
    return Sweep(config, Document(path, {}, None), dict(datasets or {}), own, data, given, {})


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
        return _beside(made, path)
    names = [key for key, value in vars(module).items() if isinstance(value, Sweep | SweepConfig)]
    raise InputError(path, f"`{name}` is no SweepConfig, but {made!r}"[:200], nearest(name, names), 1, 1)


def _beside(config: SweepConfig, path: Path) -> Sweep:
    """A sweep whose models and data sets stand beside a file, or in `config` beside it."""
    folder = path.parent if (path.parent / "models").is_dir() else path.parent / "config"
    return replace(make_sweep(config, folder), document=Document(folder / path.name, {}, None))


def _of_ones_own(sweep: Sweep) -> Sweep:
    """The same sweep, to which the files that it names can be added."""
    return replace(
        sweep,
        datasets=dict(sweep.datasets),
        models=dict(sweep.models),
        dataset_documents=dict(sweep.dataset_documents),
        model_documents=dict(sweep.model_documents),
        variants=dict(sweep.variants),
    )


def _line_of(error: Exception, path: Path) -> int:
    """The last line of a file that an error came through."""
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename).resolve() == path.resolve():
        return error.lineno or 1
    frames = traceback.extract_tb(error.__traceback__)[::-1]
    return next((f.lineno or 1 for f in frames if Path(f.filename).resolve() == path.resolve()), 1)


def _find(sweep: Sweep, kind: Literal["datasets", "models"], name: str) -> Document:
    """The file of a name, with its name filled in.

    Raises:
        InputError: there is none; the place is that of the name in the sweep file.
    """
    folder = sweep.document.path.parent / kind
    names = sorted(path.stem for path in folder.glob("*.yaml"))
    if name not in names:
        position = getattr(sweep.config, kind).index(name)
        hint = nearest(name, names)
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
        sweep.variants[name], documents = load_variants(document)
        sweep.model_documents.update(documents)
        sweep.models[name] = merge_variants(name, sweep.variants[name])
        return
    document.data.setdefault("model", name)
    sweep.models[name] = model_of(document)
