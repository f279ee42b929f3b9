"""RecBole's own `config.yaml` and `hyper.test` as a sweep, with all that is not the same said."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recsweep.common.errors import InputError
from recsweep.importing.hyper_file import HyperSpace, read_hyper
from recsweep.recbole_api import catalog
from recsweep.sweeps.config import DatasetConfig, ModelConfig, SweepConfig, parameter_type
from recsweep.sweeps.documents import Document, load_document, nearest, validate
from recsweep.sweeps.literals import literal

_TRAINING = ("epochs", "stopping_step", "eval_step", "train_batch_size", "eval_batch_size")
_DATA = {
    "USER_ID_FIELD": "user_field",
    "ITEM_ID_FIELD": "item_field",
    "TIME_FIELD": "time_field",
    "RATING_FIELD": "rating_field",
    "MAX_ITEM_LIST_LENGTH": "max_sequence_length",
    "val_interval": "keep",
    "rm_dup_inter": "remove_duplicates",
    "load_col": "columns",
    "numerical_features": "numerical_features",
    "normalize_field": "normalize",
    "threshold": "label_threshold",
    "seq_separator": "sequence_separator",
}
_ELSEWHERE = {
    **dict.fromkeys(("gpu_id", "use_gpu", "device"), "the device is chosen when the sweep runs (`--device`)"),
    **dict.fromkeys(("checkpoint_dir", "save_dataset", "save_dataloaders"), "recsweep keeps its own outputs"),
    **dict.fromkeys(
        ("show_progress", "state", "log_wandb", "wandb_project", "worker"), "it changes no result"
    ),
    "reproducibility": "every trial is reproducible",
    "valid_metric_bigger": "it follows from the metric",
    "field_separator": "atomic files have tabs",
}
_MODE = re.compile(r"full|labeled|(uni|pop)[1-9]\d*")
_INTERVAL = re.compile(r"\s*([\[(])\s*([\d.]+|-?inf)\s*,\s*([\d.]+|inf)\s*([\])])\s*")


@dataclass
class Made:
    """The files of a sweep, by their paths below its folder, and what was changed."""

    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    changes: list[str] = field(default_factory=list)


def from_recbole(config: Path, hyper: Path, name: str, model: str = "", dataset: str = "") -> Made:
    """The sweep of a config of RecBole and the file of its search.

    Args:
        name: of the sweep, its model file and its data set file.
        model: as `run_hyper.py --model` has it, where the config names none.
        dataset: likewise.

    Raises:
        InputError: a file that cannot be read, or a setting that recsweep cannot have, with its place.
    """
    document = load_document(config)
    given = {key: _value(value) for key, value in document.data.items()}
    made, space = Made(), read_hyper(hyper)
    made.changes += space.changes
    chosen = _named(document, given, "model", model)
    if chosen not in catalog.models():
        raise document.error(
            ("model",), f"RecBole has no model `{chosen}`", nearest(chosen, catalog.models())
        )
    data = _named(document, given, "dataset", dataset)
    sweep: dict[str, Any] = {"sweep": name, "models": [name], "datasets": [name]}
    sweep["training"] = {key: given.pop(key) for key in _TRAINING if key in given and key not in space.space}
    sweep["evaluation"] = _evaluation(given)
    sweep["search"] = {"max_evals": 20}
    made.changes.append("max_evals is 20: RecBole takes it from the command line; --max-evals is another")
    if "seed" in given:
        sweep["seed"] = given.pop("seed")
    made.files[f"datasets/{name}.yaml"] = _dataset(document, given, data, made.changes)
    made.files[f"models/{name}.yaml"] = _model(given, chosen, space, made.changes)
    made.files[f"{name}.yaml"] = {key: value for key, value in sweep.items() if value != {}}
    _check(document, made, name)
    return made


def _value(value: Any) -> Any:
    """A value as RecBole takes it: `1e-3` is a number there, and `"[1, 2]"` a list."""
    if isinstance(value, str) and re.fullmatch(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+", value):
        return float(value)
    if isinstance(value, str) and value[:1] == "[" and value[-1:] == "]" and not _INTERVAL.fullmatch(value):
        try:
            return literal(value)
        except ValueError:
            return value
    return value


def _named(document: Document, given: dict[str, Any], key: str, option: str) -> str:
    """The model or the data set, of the option or the config."""
    name = option or given.get(key) or ""
    given.pop(key, None)
    if not isinstance(name, str) or not name:
        raise document.error((key,), f"no {key} is named", f"write `{key}:`, or pass --{key}")
    return name


def _evaluation(given: dict[str, Any]) -> dict[str, Any]:
    found = {}
    for theirs, ours in (("metrics", "metrics"), ("topk", "topk"), ("valid_metric", "metric")):
        if theirs in given:
            value = given.pop(theirs)
            found[ours] = value if ours == "metric" or isinstance(value, list) else [value]
    return found


def _dataset(document: Document, given: dict[str, Any], name: str, changes: list[str]) -> dict[str, Any]:
    """The data set file."""
    folder = given.pop("data_path", None)
    content: dict[str, Any] = {"path": "builtin"}
    if folder or name != "ml-100k":
        content["path"] = str((Path(folder or "dataset") / name).absolute())
    for theirs, ours in _DATA.items():
        value = given.pop(theirs, None)
        if value is False:
            changes.append(f"{theirs} is left out: it is off here too")
        elif value is not None:
            content[ours] = value
    for kind in ("user", "item"):
        low, high = _interval(document, f"{kind}_inter_num_interval", given)
        if low:
            content[f"min_{kind}_interactions"] = low
        if high is not None:
            content[f"max_{kind}_interactions"] = high
    args = given.pop("eval_args", None) or {}
    if not isinstance(args, dict):
        raise document.error(
            ("eval_args",), f"must hold keys and values, but is {args!r}", "write them below it"
        )
    split = _split(document, args, changes)
    content["split"] = _files(document, given.pop("benchmark_filename", None), split, changes)
    return content | _candidates(document, args.get("mode", "full"), changes)


def _files(document: Document, names: Any, split: dict[str, Any], changes: list[str]) -> dict[str, Any]:
    """The split of RecBole's `benchmark_filename`, which comes before any other; else the given one."""
    if not names:
        return split
    if not isinstance(names, list) or len(names) != 3 or not all(isinstance(name, str) for name in names):
        problem = f"`benchmark_filename` must name three files, but is {names!r}"
        raise document.error(("benchmark_filename",), problem, "write `[train, valid, test]`")
    changes.append(f"benchmark_filename {names}: the files are the split, and eval_args.split is left out")
    return {"type": "files", "files": names}


def _candidates(document: Document, mode: Any, changes: list[str]) -> dict[str, str]:
    """The items that a test item is ranked among, by RecBole's `mode`."""
    modes = mode if isinstance(mode, dict) else {"valid": mode, "test": mode}
    if not set(modes) <= {"valid", "test"} or not all(
        isinstance(one, str) and _MODE.fullmatch(one) for one in modes.values()
    ):
        problem = f"`eval_args.mode` must be one of RecBole's modes, but is {mode!r}"
        raise document.error(("eval_args", "mode"), problem, "write `full`, `uni100`, `pop100` or `labeled`")
    chosen = str(modes.get("valid", "full"))
    if modes.get("test", chosen) != chosen:
        changes.append(f"eval_args.mode: the test has {chosen} too, as validation, not {modes['test']}")
    if chosen == "labeled":
        changes.append("eval_args.mode labeled is left out: it follows from the metric")
        return {}
    if chosen == "full":
        return {}
    changes.append(f"eval_args.mode {chosen}: taken over; sampled metrics order models otherwise than `full`")
    return {"candidates": chosen}


def _interval(document: Document, key: str, given: dict[str, Any]) -> tuple[int, int | None]:
    """Least and most of an interval such as `[5,inf)`."""
    text = given.pop(key, None)
    if text is None:
        return 0, None
    found = _INTERVAL.fullmatch(str(text))
    if found is None:
        raise document.error((key,), f"is no interval, but {text!r}", "write it as `[5,inf)`")
    low, high = float(found[2]), float(found[3])
    least = math.ceil(low) + int(found[1] == "(" and low == math.ceil(low)) if math.isfinite(low) else 0
    most = (
        math.floor(high) - int(found[4] == ")" and high == math.floor(high)) if math.isfinite(high) else None
    )
    return least, most


def _split(document: Document, args: dict[str, Any], changes: list[str]) -> dict[str, Any]:
    """The split in our words; RecBole's own default where nothing is said."""
    unread = args.keys() - {"split", "order", "group_by", "mode"}
    changes += [f"eval_args.{key} is left out: RecBole does not read it" for key in sorted(map(str, unread))]
    how = args.get("split") or {"RS": [0.8, 0.1, 0.1]}
    order = {"TO": "time", "RO": "random"}.get(str(args.get("order", "RO")))
    if order is None or not isinstance(how, dict) or not set(how) <= {"RS", "LS"}:
        raise document.error(
            ("eval_args",), "the split is none of RecBole's RS and LS, by TO or RO", "correct it"
        )
    group = str(args.get("group_by", "user")).lower()
    if group not in ("user", "none"):
        problem = f"`eval_args.group_by` must be one of RecBole's groups, but is {args['group_by']!r}"
        raise document.error(("eval_args", "group_by"), problem, "write `user` or `none`")
    if "LS" in how:
        if how["LS"] != "valid_and_test":
            location = ("eval_args", "split", "LS")
            raise document.error(location, f"`{how['LS']}` leaves no validation", "write `valid_and_test`")
        if group == "none":
            changes.append("eval_args.group_by none is left out: one interaction of each user is left out")
        return {"type": "leave_one_out", "order": order}
    ratio = _ratio(document, how["RS"], changes)
    return {"type": "ratio", "ratio": ratio, "order": order, "group_by": group}


def _ratio(document: Document, ratio: Any, changes: list[str]) -> list[float]:
    """The parts of a split by ratio, together 1."""
    if (
        not isinstance(ratio, list)
        or len(ratio) != 3
        or not all(isinstance(one, int | float) for one in ratio)
    ):
        location = ("eval_args", "split", "RS")
        raise document.error(location, f"must be three numbers, but is {ratio!r}", "write `[0.8, 0.1, 0.1]`")
    if abs(sum(ratio) - 1) > 1e-9 and sum(ratio) > 0:
        changes.append(f"eval_args.split.RS {ratio}: as parts of 1")
        ratio = [one / sum(ratio) for one in ratio]
    return [float(one) for one in ratio]


def _model(given: dict[str, Any], model: str, space: HyperSpace, changes: list[str]) -> dict[str, Any]:
    """The model file: the search file's parameters, and as fixed what the config sets and the model reads."""
    read = catalog.parameters(model) | catalog.TRAINING_KEYS | {"train_neg_sample_args"}
    published = catalog.published_defaults(model)
    fixed, defaults = {}, {}
    for key, value in given.items():
        if key in _ELSEWHERE:
            changes.append(f"{key} is left out: {_ELSEWHERE[key]}")
        elif key in space.space:
            defaults[key] = value
        elif key in read:
            fixed[key] = value
        else:
            changes.append(f"{key} is left out: {model} does not read it")
    for key, parameter in space.space.items():
        wanted = defaults.get(key, published.get(key))
        defaults[key] = start = _start(parameter, wanted)
        if start != wanted:
            changes.append(f"{key}: the first trial has {start}, as RecBole's {wanted} is not searched")
    content = {"model": model, "fixed": fixed, "defaults": defaults, "space": space.space}
    return {key: value for key, value in content.items() if value != {} or key == "space"}


def _start(parameter: dict[str, Any], wanted: Any) -> Any:
    """The value of the first trial: the one that is wanted, else the nearest; of a choice the first."""
    made = parameter_type(parameter)
    if wanted is not None and made.contains(wanted):
        return wanted
    if parameter["type"] == "choice":
        return parameter["values"][0]
    is_number = isinstance(wanted, int | float) and not isinstance(wanted, bool)
    return made.cast(wanted if is_number else parameter["min"])


def _check(document: Document, made: Made, name: str) -> None:
    """Hold each file against its model, before anything is written."""
    kinds: Iterator[tuple[str, Any]] = iter(
        [
            (f"{name}.yaml", SweepConfig),
            (f"datasets/{name}.yaml", DatasetConfig),
            (f"models/{name}.yaml", ModelConfig),
        ]
    )
    for path, kind in kinds:
        content = made.files[path]
        named = {"name": name, **content} if kind is DatasetConfig else content
        try:
            validate(Document(document.path, named, None), kind)
        except InputError as error:
            raise InputError(document.path, error.problem, error.fix, 1, 1) from None
