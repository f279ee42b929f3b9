"""One flat RecBole config from our typed one. What is written here is `best_config.yaml`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from recsweep.recbole_api import catalog, negatives
from recsweep.recbole_api.needs import LABEL, VECTORS, needs
from recsweep.sweeps.config import DatasetConfig, EvaluationConfig, ModelConfig, TrainingConfig
from recsweep.sweeps.moments import in_unit
from recsweep.sweeps.own_names import in_short
from recsweep.sweeps.protocol import in_numbers

BUILTIN_DATASET = "ml-100k"
TIME_ORDER = "time_order"
SPLIT_SEED = "split_seed"
PROTOCOL, OWN_SPLIT, OWN_FILTERS = "protocol", "own_split", "own_filters"
FAST, FAST_NEGATIVES = "fast", "fast_negatives"
LABEL_SCALE = "label_scale"
USER_AUC = "UserAUC"
"""Our metric under the name by which RecBole knows it; its GAUC is of rankings."""
LABELED = "labeled"
"""RecBole's word for an evaluation of rows that have an answer, where nothing is ranked."""
DATA_HASHES = "data_hashes"
SCHEDULE, FROM_EPOCH = "schedule", "from_epoch"
TRAIN_ON, TRAIN, BOTH = "train_on", "train", "train+valid"
PRETRAINING = "pretraining"
STAGE, LAST_STAGE = "train_stage", "finetune"
"""Keys of ours in a RecBole config; RecBole ignores what it does not know. `split_seed` draws a random
split, which is one for all trials although each trial has a seed of its own; `protocol`
says in words how data are filtered, divided and ranked, and decides nothing; `own_split` and `own_filters`
say how recsweep divides and filters where RecBole has no such way; `fast` chooses the code
that trains, `fast_negatives` the stream of its negatives; `data_hashes` says by what content a configuration
was found, file by file; `schedule` lists changes, each with the epoch `from_epoch` from which on it holds;
`train_on` says on which parts of the data a single configuration is trained: `train`, or validation data
too; `pretraining` says what is other in the stages before the last one; `label_scale` names the column of
ratings that are labels, and the ends of its scale. `train_stage` is RecBole's own."""


def recorded(
    settings: Mapping[str, Any], changes: Iterable[tuple[int, Mapping[str, Any]]], hashes: Mapping[str, str]
) -> dict[str, Any]:
    """A config with all that it takes to train the same again.

    Args:
        changes: of settings, each with the epoch from which on it holds.
        hashes: of the data files.
    """
    listed = [{FROM_EPOCH: first, **changed} for first, changed in changes]
    return {**settings, **({SCHEDULE: listed} if listed else {}), DATA_HASHES: dict(hashes)}


def placed(settings: Mapping[str, Any], like: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with code and data where those of another trial have them: the same may lie elsewhere.

    The hash of the code stands among the settings; that the data are the same, whoever compares has to know.
    """
    moved = {name: like[name] for name in ("data_path",) if name in settings and name in like}
    if in_short(str(settings.get("model"))) == in_short(str(like.get("model"))):
        moved["model"] = like["model"]
    return {**settings, **moved}


def data_settings(dataset: DatasetConfig, folder: Path | None) -> dict[str, Any]:
    """The keys that shape the prepared data.

    Args:
        folder: the data set's own folder; None for ml-100k from RecBole's wheel.
    """
    settings: dict[str, Any] = {
        "dataset": folder.name if folder else BUILTIN_DATASET,
        "data_path": str(folder.parent) if folder else None,
        "USER_ID_FIELD": dataset.user_field,
        "ITEM_ID_FIELD": dataset.item_field,
        "TIME_FIELD": dataset.time_field,
        "RATING_FIELD": dataset.rating_field,
        "load_col": columns(dataset),
        "val_interval": _intervals(dataset) or None,
        "user_inter_num_interval": _between(dataset.min_user_interactions, dataset.max_user_interactions),
        "item_inter_num_interval": _between(dataset.min_item_interactions, dataset.max_item_interactions),
        "MAX_ITEM_LIST_LENGTH": dataset.max_sequence_length,
        "eval_args": eval_args(dataset),
        # RecBole's own configs set the next two behind the back, for ml-100k and for context models.
        "threshold": dict(dataset.label_threshold) or None,
        "normalize_all": folder is None and not dataset.normalize,
        TIME_ORDER: dataset.time_order,
    }
    settings |= vector_settings(columns(dataset)) | _own_protocol(dataset)
    settings |= _number_settings(dataset)
    if dataset.remove_duplicates in ("first", "last"):
        settings["rm_dup_inter"] = dataset.remove_duplicates
    if dataset.without_features == "keep":
        settings["filter_inter_by_user_or_item"] = False
    if dataset.sequence_separator is not None:
        settings["seq_separator"] = dataset.sequence_separator
    return settings if folder else {k: v for k, v in settings.items() if k != "data_path"}


def _number_settings(dataset: DatasetConfig) -> dict[str, Any]:
    """The keys of columns of numbers that are labels or features; none for what a data set has not."""
    scales = {name: list(ends) for name, ends in dataset.label_scale.items()}
    classes = {name: how.model_dump(exclude_none=True) for name, how in dataset.discretization.items()}
    settings = {
        LABEL_SCALE: scales,
        "discretization": classes,
        "numerical_features": list(dataset.numerical_features),
        "normalize_field": list(dataset.normalize),
    }
    return {name: value for name, value in settings.items() if value}


def vector_settings(loaded: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """RecBole's keys of vectors that are read from files; none where no such file is loaded.

    Args:
        loaded: columns by suffix: the ids, and the vector of each.
    """
    there = {suffix: name for suffix, name in VECTORS.items() if suffix in loaded}
    if not there:
        return {}
    aliases = {"ent": "alias_of_entity_id", "rel": "alias_of_relation_id"}
    pairs = {
        name: next((one for one in loaded[suffix] if one != name), name) for suffix, name in there.items()
    }
    return {
        "additional_feat_suffix": list(there),
        "preload_weight": pairs,
        **{aliases[suffix]: [name] for suffix, name in there.items()},
    }


def scale_width(settings: Any) -> float:
    """From end to end of the scale on which labels are ratings; 1 where labels are 0 and 1."""
    for least, most in (settings[LABEL_SCALE] or {}).values():
        return float(most - least)
    return 1.0


def columns(dataset: DatasetConfig) -> dict[str, list[str]]:
    """Columns to load by file suffix: user, item, time, what `keep` filters by and labels come from."""
    if dataset.columns is not None:
        return {suffix: list(names) for suffix, names in dataset.columns.items()}
    names = [dataset.user_field, dataset.item_field, dataset.time_field]
    names += [*dataset.keep, *dataset.drop, *dataset.label_threshold, *dataset.label_scale]
    made = counted_field(dataset)
    return {"inter": [name for name in dict.fromkeys(names) if name != made]}


def counted_field(dataset: DatasetConfig) -> str | None:
    """The column that recsweep makes of the number of a pair's interactions; None where it makes none."""
    return dataset.rating_field if dataset.remove_duplicates == "counted" else None


def _intervals(dataset: DatasetConfig) -> dict[str, str]:
    """RecBole's `val_interval`, in numbers."""
    wanted = {name: each for name, each in dataset.keep.items() if isinstance(each, str)}
    return {name: in_numbers(interval, dataset.time_unit) for name, interval in wanted.items()}


def _own_protocol(dataset: DatasetConfig) -> dict[str, Any]:
    """The parts of a protocol that RecBole has no words for."""
    filters: dict[str, Any] = {
        "keep": {name: list(each) for name, each in dataset.keep.items() if not isinstance(each, str)},
        "drop": {name: list(each) for name, each in dataset.drop.items()},
        "count": counted_field(dataset),
    }
    filters = {name: wanted for name, wanted in filters.items() if wanted}
    return {
        **({OWN_SPLIT: _own_split(dataset)} if dataset.split.own else {}),
        **({OWN_FILTERS: filters} if filters else {}),
    }


def _own_split(dataset: DatasetConfig) -> dict[str, Any]:
    """A split as plain values, its moments in the unit of the data's times."""
    split = dataset.split
    plain = split.model_dump(mode="json", exclude_defaults=True, exclude={"seed"})
    for name in ("valid_from", "test_from"):
        if name in plain:
            plain[name] = f"{in_unit(plain[name], dataset.time_unit):.0f}"
    return plain


def _between(least: int, most: int | None) -> str | None:
    if most is not None:
        return f"[{least},{most}]"
    return f"[{least},inf)" if least else None


def eval_args(dataset: DatasetConfig) -> dict[str, Any]:
    """The split in RecBole's words, and what a test item is ranked among.

    A split that RecBole has not has a name there that it refuses, instead of dividing otherwise.
    """
    split = dataset.split
    ways = {"leave_one_out": {"LS": "valid_and_test"}, "ratio": {"RS": list(split.ratio)}}
    return {
        "split": ways.get(split.type, {"recsweep": split.type}),
        "order": "TO" if split.order == "time" else "RO",
        "group_by": "user" if split.group_by == "user" else "none",
        "mode": dataset.candidates,
    }


def trial_settings(
    dataset: DatasetConfig,
    folder: Path | None,
    model: ModelConfig,
    training: TrainingConfig,
    evaluation: EvaluationConfig,
    params: Mapping[str, Any],
    seed: int,
    split_seed: int,
    sweep_seed: int = 0,
) -> dict[str, Any]:
    """The complete RecBole config of one trial, every value typed.

    Later keys win: RecBole's defaults, our training settings, the model's `fixed`, the trial's
    parameters.

    Args:
        seed: of the trial.
        split_seed: of the split, where it is a random one; the fold, where it is one of several.
        sweep_seed: draws the folds, where the data set has no seed of its own for that.
    """
    settings: dict[str, Any] = {
        "model": model.model,
        **data_settings(dataset, folder),
        "repeatable": catalog.family(model.model) == "sequential",
        "epochs": training.epochs,
        "stopping_step": training.stopping_step,
        "eval_step": training.eval_step,
        "train_batch_size": training.train_batch_size,
        "eval_batch_size": training.eval_batch_size,
        "metrics": list(metric_names(evaluation)),
        "topk": sorted({*evaluation.topk, *evaluation.cutoffs}),
        "valid_metric": evaluation.metric,
        "seed": seed,
        "reproducibility": True,
        "show_progress": False,
        FAST: training.fast,
        **({FAST_NEGATIVES: True} if training.fast_negatives else {}),
        **precision_settings(training),
        **model.fixed,
        **params,
    }
    settings |= _drawn(dataset, settings, split_seed, sweep_seed)
    if evaluation.predicts:
        settings["eval_args"] = {**settings["eval_args"], "mode": LABELED}
    if catalog.stages(model.model):
        settings |= {STAGE: LAST_STAGE, PRETRAINING: pretraining_settings(model, params, split_seed)}
    return settings if negatives.KEY in settings else settings | _negatives(dataset, model, params)


def _negatives(dataset: DatasetConfig, model: ModelConfig, params: Mapping[str, Any]) -> dict[str, Any]:
    """The negatives of a model where nobody says which; nothing where RecBole's own way is right."""
    if trains_without_negatives(dataset, model, params):
        return {negatives.KEY: None}
    return {negatives.KEY: dict(negatives.ONE_EACH)} if draws_for_labels(dataset, model.model) else {}


def _drawn(
    dataset: DatasetConfig, settings: Mapping[str, Any], split_seed: int, sweep_seed: int
) -> dict[str, Any]:
    """The keys that say how a split is drawn; none where nothing is."""
    if dataset.split.type == "k_fold":
        drawn_by = sweep_seed if dataset.split.seed is None else dataset.split.seed
        return {OWN_SPLIT: {**settings[OWN_SPLIT], "fold": split_seed}, SPLIT_SEED: drawn_by}
    return {SPLIT_SEED: split_seed} if dataset.split.drawn else {}


def pretraining_settings(model: ModelConfig, params: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """The settings that are other in a model's pre-training than in the rest of a trial.

    The trainer's parameters are at their defaults, and the seed is the study's: one for all trials.
    """
    searched = params.keys() & catalog.TRAINING_KEYS & model.defaults.keys()
    return {"seed": seed, **{name: model.defaults[name] for name in sorted(searched)}}


def precision_settings(training: TrainingConfig) -> dict[str, Any]:
    """RecBole's keys of mixed precision; none for float32, so that its settings stay what they were.

    The scaler is for float16, autocast's type on CUDA. `TypedConfig` leaves it out elsewhere, because
    settings know no device.
    """
    if training.precision == "float32":
        return {}
    return {"enable_amp": True, "enable_scaler": True}


def metric_names(evaluation: EvaluationConfig) -> tuple[str, ...]:
    """The metrics to report, the searched one among them."""
    names = list(evaluation.metrics)
    for searched in (name.split("@")[0] for name in evaluation.searched):
        if searched.lower() not in {name.lower() for name in names}:
            names.append(searched)
    return tuple(names)


def trains_without_negatives(dataset: DatasetConfig, model: ModelConfig, params: Mapping[str, Any]) -> bool:
    """True where a trial must draw no negatives, which RecBole would draw or refuse.

    The loss ranks all items (RecBole refuses negatives for sequential models with a cross-entropy loss), or
    the labels are the data's own, which drawn negatives would take the place of.
    """
    use = negatives.use(model.model)
    if use == "labels":
        return gives_labels(dataset) and catalog.family(model.model) != "knowledge"
    loss = {**catalog.published_defaults(model.model), **model.fixed, **params}.get("loss_type")
    return use == "not at all" or (use == "unless CE" and loss == "CE")


def draws_for_labels(dataset: DatasetConfig, model: str) -> bool:
    """True where a model learns labels that the data have not, and RecBole would draw no negatives for it."""
    needed = needs(model)
    return needed.labels and not needed.own_negatives and not gives_labels(dataset)


def gives_labels(dataset: DatasetConfig) -> bool:
    """True where the rows of a data set are labelled: by a threshold, by their ratings, or in a column."""
    return bool(dataset.label_threshold or dataset.label_scale) or LABEL in columns(dataset).get("inter", [])
