"""Training one complete configuration outside a sweep: `recsweep train`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from recsweep.common.devices import resolve_device
from recsweep.common.errors import InputError, ScheduleRefused
from recsweep.common.files import atomic_path, write_yaml
from recsweep.datasets.files import DataFiles, read_files
from recsweep.datasets.prepare import prepare, remarks
from recsweep.planning.setting_checks import check_flat
from recsweep.recbole_api import catalog, heeds, own_models
from recsweep.recbole_api.model_facts import refusal
from recsweep.recbole_api.own_source import code_hash
from recsweep.recbole_api.settings import (
    BUILTIN_DATASET,
    DATA_HASHES,
    FAST,
    FROM_EPOCH,
    LAST_STAGE,
    OWN_FILTERS,
    OWN_SPLIT,
    PRETRAINING,
    PROTOCOL,
    SCHEDULE,
    SPLIT_SEED,
    STAGE,
    TIME_ORDER,
    TRAIN,
    TRAIN_ON,
    recorded,
)
from recsweep.sweeps.documents import Document, Location, load_document, nearest
from recsweep.sweeps.own_names import in_full, is_own
from recsweep.training import schedules, training, whole
from recsweep.training.schedules import Schedule
from recsweep.training.scoring import TrainedModel

CONFIG = "config.yaml"
"""Beside saved weights: what they are of."""
_REQUIRED = ("model", "dataset")
_OWN = frozenset(
    {"model", "dataset", "data_path", TIME_ORDER, SPLIT_SEED, FAST, DATA_HASHES, SCHEDULE, TRAIN_ON}
    | {PRETRAINING, PROTOCOL, OWN_SPLIT, OWN_FILTERS, own_models.CODE}
)


def train_file(
    document: Path | Document,
    device: str,
    outputs: Path,
    *,
    save: Path | None,
    test: bool,
    tell: Callable[[str], None],
) -> tuple[training.Trained, dict[str, float] | None]:
    """Train what a flat RecBole config asks for.

    Args:
        document: the config, or its file.
        device: where to train.
        outputs: the folder of the cache.
        save: where the weights go; None to keep none.
        test: measure it on the test data.
        tell: takes a line for people.

    Returns:
        What training brought, and the test metrics if `test` asked for them.

    Raises:
        UserError: the device is not there.
        InputError: a key that is missing or unknown, a schedule that cannot be trained, data that is not
            there, or that is not what the configuration was found on.
    """
    where = resolve_device(device)  # before minutes go into data for it
    document, schedule, files = _opened(document)
    settings: dict[str, Any] = document.data
    prepared = prepare(settings, files, outputs / "cache", tell=tell)
    for remark in remarks(settings, files) if prepared.cached else ():
        tell(remark)
    split = whole.training_split(settings, prepared.split)
    try:
        trained = whole.trained(settings, split, where, schedule, tell)
    except ScheduleRefused as refused:
        raise _at_entry(document, refused) from None
    if save is not None:
        _save(save, trained, settings, schedule, files, tell)
    then = schedules.settings_at(settings, schedule, trained.best_epoch)
    return trained, training.evaluate(then, split, where, trained.best) if test else None


def saved_model(folder: Path, outputs: Path, tell: Callable[[str], None]) -> TrainedModel:
    """The model that `recsweep train --save` left in a folder, on the data that it was trained on.

    Raises:
        InputError: there is none, or the data are other ones now.
    """
    if not (path := folder / CONFIG).is_file():
        raise InputError("--trained", f"there is no file {path}", "give a folder of `recsweep train --save`")
    state = training.load_checkpoint(folder)
    if state is None:
        problem = f"{folder} holds no weights that can be read"
        raise InputError("--trained", problem, "train it again with `recsweep train --save`")
    document, schedule, files = _opened(path)
    found = prepare(document.data, files, outputs / "cache", tell=tell).split
    split = whole.training_split(document.data, found)
    return TrainedModel(schedules.settings_at(document.data, schedule, state["epoch"] + 1), split, state)


def save_model(folder: Path, model: TrainedModel, hashes: Mapping[str, str]) -> None:
    """Write a trained model so that `saved_model` gives it back.

    Args:
        folder: where.
        model: with its weights.
        hashes: of the data files that it was trained on.
    """
    with atomic_path(folder / "best.pth") as temporary:
        torch.save(dict(model.state), temporary)
    write_yaml(folder / CONFIG, recorded(model.settings, (), hashes))


def _save(
    folder: Path,
    trained: training.Trained,
    settings: Mapping[str, Any],
    schedule: Schedule,
    files: DataFiles,
    tell: Callable[[str], None],
) -> None:
    """The weights, and beside them what they are of, so that they can be used without anything else."""
    if not training.save_checkpoints(folder, trained):
        tell(f"{settings['model']} keeps what cannot be read back safely: its weights are not saved")
        return
    write_yaml(folder / CONFIG, recorded(settings, schedule, files.hashes))


def _opened(config: Path | Document) -> tuple[Document, Schedule, DataFiles]:
    """A config with its settings complete, its schedule apart, and the files of its data."""
    document = load_document(config) if isinstance(config, Path) else config
    _check_keys(document)
    if (on := document.data.get(TRAIN_ON, TRAIN)) not in whole.PARTS:
        raise document.error((TRAIN_ON,), f"nothing is trained on {on}", f"use {' or '.join(whole.PARTS)}")
    schedule = _schedule(document)
    document.data.setdefault("seed", 2020)  # RecBole's own
    if catalog.stages(document.data["model"]):
        document.data.setdefault(STAGE, LAST_STAGE)
    files = _files(document)
    _check_hashes(document, files)
    return document, schedule, files


def _check_keys(document: Document) -> None:
    for name in _REQUIRED:
        if name not in document.data:
            raise document.error((), f"`{name}` is missing", f"add `{name}:`")
    model = in_full(str(document.data["model"]), document.path.parent)
    document.data["model"] = model
    if is_own(model):
        _check_own(document, model)
    elif model not in catalog.models():
        raise document.error(
            ("model",), f"RecBole has no model `{model}`", nearest(str(model), catalog.models())
        )
    for name in document.data:
        _check_key(document, model, name, (name,))
    if (reason := refusal(model)) is not None:
        raise document.error(("model",), f"{model} {reason.problem}", reason.fix)
    check_flat(model, document)


def _check_own(document: Document, model: str) -> None:
    """A configuration that was found with other code says nothing about this."""
    if (wrong := own_models.mistake(model)) is not None:
        raise document.error(("model",), *wrong)
    if document.data.get(own_models.CODE, code_hash(model)) != code_hash(model):
        problem = f"the code has changed: this was found with other code than {model} has now"
        raise document.error((own_models.CODE,), problem, f"put it back, or remove `{own_models.CODE}`")


def _check_key(document: Document, model: str, name: str, location: Location) -> None:
    own = catalog.settings() | catalog.searchable(model) | catalog.published_defaults(model).keys()
    if name not in (readable := _OWN | own):
        raise document.error(location, f"{model} never reads `{name}`", nearest(name, readable), at_key=True)


def _schedule(document: Document) -> Schedule:
    """The changes that a file asks for, which are taken out of its settings."""
    entries = document.data.pop(SCHEDULE, None) or []
    if not isinstance(entries, list):
        raise document.error((SCHEDULE,), "must be a list of changes", f"write `- {FROM_EPOCH}: 4`")
    found = [_change(document, number, entry) for number, entry in enumerate(entries)]
    try:
        schedules.parts(document.data, found)
    except ScheduleRefused as refused:
        raise _at_entry(document, refused) from None
    return found


def _change(document: Document, number: int, entry: Any) -> tuple[int, dict[str, Any]]:
    fix = f"write `{FROM_EPOCH}: 4`, and below it the settings that hold from then on"
    if not isinstance(entry, dict):
        raise document.error((SCHEDULE, number), "must hold an epoch and settings", fix)
    first, model = entry.get(FROM_EPOCH), document.data["model"]
    if type(first) is not int:
        problem = f"`{FROM_EPOCH}` must be a whole number, but is {first}"
        raise document.error((SCHEDULE, number, FROM_EPOCH), problem, fix)
    changes = {name: value for name, value in entry.items() if name != FROM_EPOCH}
    for name, value in changes.items():
        location = (SCHEDULE, number, name)
        _check_key(document, model, name, location)
        wrong = heeds.mistake(model, name, value) if name in catalog.fixable(model) else None
        if wrong is not None:
            raise document.error(location, *wrong)
    return first, changes


def _at_entry(document: Document, refused: ScheduleRefused) -> InputError:
    return document.error((SCHEDULE, refused.number, refused.name), refused.problem, refused.fix)


def _files(document: Document) -> DataFiles:
    settings: dict[str, Any] = document.data
    name = str(settings["dataset"])
    builtin = "data_path" not in settings and name == BUILTIN_DATASET
    parent = (
        catalog.recbole_folder() / "dataset_example"
        if builtin
        else Path(settings.get("data_path", "dataset"))
    )
    folder = parent / name
    if not (folder / f"{name}.inter").is_file():
        raise document.error(
            ("data_path",),
            f"there is no file {folder / name}.inter",
            "set `data_path` to the folder above it",
        )
    settings.setdefault("data_path", None)
    if builtin:
        del settings["data_path"]
    return read_files(folder, builtin=builtin)


def _check_hashes(document: Document, files: DataFiles) -> None:
    """A configuration that was found on other data says nothing about these."""
    recorded = document.data.pop(DATA_HASHES, None)
    if recorded is None:
        return
    if not isinstance(recorded, dict):
        raise document.error((DATA_HASHES,), "must hold a hash for each data file", "remove the key")
    for name, expected in recorded.items():
        found = files.hashes.get(name)
        if found != str(expected):
            there = f"now it has {found[:16]}…" if found else "it is not there"
            raise document.error(
                (DATA_HASHES, name),
                f"the data has changed: this was found on {files.folder / str(name)} with the hash "
                f"{str(expected)[:16]}…, {there}",
                f"put that file back, or remove `{DATA_HASHES}` to train on what is there",
            )
