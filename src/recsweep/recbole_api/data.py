"""RecBole's data sets: read, split, put together for a trial."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from recsweep.recbole_api import seen
from recsweep.recbole_api.compat import recbole
from recsweep.recbole_api.config import TypedConfig
from recsweep.recbole_api.divided import divided
from recsweep.recbole_api.frames import AtomicFiles, handed
from recsweep.recbole_api.quick import NumberedFiles, quick
from recsweep.recbole_api.settings import LABEL_SCALE, OWN_FILTERS, OWN_SPLIT, SPLIT_SEED, TIME_ORDER

# RecBole's own list leaves out what shapes a graph, and a data set for decision trees.
_MORE_ARGUMENTS = (
    *("kg_reverse_r", "entity_kg_num_interval", "relation_kg_num_interval"),
    *("convert_token_to_onehot", "token_num_threshold"),
)
Limit = Callable[[Iterable[Any], int], Iterator[Any]]
"""Takes the batches of an epoch and their number, and gives those that are to be trained on."""
_CLASS_BY_TYPE = {"SEQUENTIAL": "SequentialDataset", "KNOWLEDGE": "KnowledgeBasedDataset"}


@dataclass(frozen=True)
class Split:
    """One prepared data set: the whole and its three parts, shared by all trials on it."""

    whole: Any
    parts: tuple[Any, Any, Any]
    facts: Mapping[str, float] = field(default_factory=dict)
    """More on the data: repeats, leaks in time; empty where nobody has looked."""

    @property
    def statistics(self) -> dict[str, Any]:
        """Users and items (without padding), samples of each part, and the facts."""
        train, valid, test = self.parts
        return {
            "users": int(self.whole.user_num) - 1,
            "items": int(self.whole.item_num) - 1,
            "train_samples": len(train),
            "valid_samples": len(valid),
            "test_samples": len(test),
            **self.facts,
        }


def data_key(config: TypedConfig) -> dict[str, Any]:
    """Every setting that shapes the split; two configs with equal keys may share one."""
    names = [
        *(*recbole("utils").dataset_arguments, *_MORE_ARGUMENTS),
        *("eval_args", "repeatable", "numerical_features", "discretization", "encoding"),
    ]
    key = {name: config[name] for name in names}
    key["dataset_class"] = _dataset_class(config).__name__
    key["dataset"] = config["dataset"]
    key[TIME_ORDER] = config[TIME_ORDER] or "recbole"
    key |= {name: config[name] for name in (OWN_SPLIT, OWN_FILTERS, LABEL_SCALE) if config[name]}
    if config["eval_args"]["order"] == "RO" or (config[OWN_SPLIT] and config[SPLIT_SEED] is not None):
        key["seed"] = split_seed(config)
    return key


def split_seed(config: TypedConfig) -> int:
    """The seed that draws a split, where it is drawn."""
    own = config[SPLIT_SEED]
    return int(config["seed"] if own is None else own)


def _dataset_class(config: TypedConfig) -> Any:
    """As RecBole's `create_dataset`, which would also unpickle what lies in the folder."""
    module = recbole("data.dataset")
    default = _CLASS_BY_TYPE.get(config["MODEL_TYPE"].name, "Dataset")
    return getattr(module, config["model"] + "Dataset", getattr(module, default))


@dataclass(frozen=True)
class Kept:
    """The contents of a data set once it was filtered and split."""

    interactions: int
    users: int
    items: int
    """Users and items with interactions."""
    parts: tuple[int, int, int]
    """Samples for training, validation and test."""
    sequential: bool
    """True where a sample is an interaction with those before it, so that each user's first one is none."""


def build_split(
    config: TypedConfig,
    files: AtomicFiles,
    confirm: Callable[[Kept], None] = lambda kept: None,
    parts: np.ndarray[Any, Any] | None = None,
) -> Split:
    """Filter, remap and split the columns of atomic files; seconds to minutes.

    Args:
        files: where the columns come from, read and checked.
        confirm: is told what is left of them, before anybody uses it.
        parts: of each row, where RecBole has no such way of splitting (`divided`).
    """
    cls = _dataset_class(config)
    recbole("utils").init_seed(split_seed(config), config["reproducibility"])
    numbered = NumberedFiles(files, config, cls)
    made = quick(handed(cls, numbered, config), numbered)
    whole = (made if parts is None else divided(made, parts))(config)
    rows = whole.inter_feat
    users, items = (int(rows[name].nunique()) for name in (whole.uid_field, whole.iid_field))
    train, valid, test = whole.build()
    augmented = (
        isinstance(whole, recbole("data.dataset").SequentialDataset) and not config["benchmark_filename"]
    )
    confirm(Kept(len(rows), users, items, (len(train), len(valid), len(test)), augmented))
    if not isinstance(whole, recbole("data.dataset").SequentialDataset):
        for dataset in (train, valid, test):
            seen.keep_with(dataset)
        seen.keep_hidden_with(valid, train)
    for dataset in (whole, train, valid, test):
        dataset.__class__ = cls  # RecBole's own class again, so that it can be stored
    return Split(whole, (train, valid, test))


def make_loaders(config: TypedConfig, split: Split) -> tuple[Any, Any, Any]:
    """Fresh training, validation and test loaders of one trial over a shared split.

    The data sets are copied shallowly: loaders sort them and add fields, trials must not see that.
    """
    parts = [_for_trial(part, config) for part in split.parts]
    whole = _for_trial(split.whole, config)
    whole.build = lambda: parts
    train, valid, test = recbole("data.utils").data_preparation(config, whole)
    return train, valid, test


class _Limited:
    """Put before the class of a loader: its batches go through a function."""

    limit: Limit

    def __iter__(self) -> Iterator[Any]:
        batches = super().__iter__()  # type: ignore[misc]
        return type(self).limit(_Going(batches), len(self))  # type: ignore[arg-type]


class _Going:
    """An iterator that nobody begins anew: some loaders are their own."""

    def __init__(self, batches: Any) -> None:
        self._batches = batches

    def __iter__(self) -> _Going:
        return self

    def __next__(self) -> Any:
        return next(self._batches)


def limited_loader(loader: Any, limit: Limit) -> Any:
    """A loader of the same kind whose batches go through a function, which may leave some out."""
    kind = type(loader)
    limited: Any = type(kind.__name__, (_Limited, kind), {"limit": staticmethod(limit)})
    own = limited.__new__(limited)
    vars(own).update(vars(loader))
    return own


def joined(split: Split) -> Split:
    """A split whose training data are those for training and for validation together.

    The validation data stay where they are, for whoever needs some; they say nothing any more.
    """
    train, valid, test = split.parts
    both = recbole("data.interaction").cat_interactions([train.inter_feat, valid.inter_feat])
    return Split(split.whole, (train.copy(both), valid, test))


def interactions(dataset: Any, rows: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Users and items of the interactions that rows of a data set were made of.

    A sequential data set has no row for a user's first interaction: it stands in that of the next one.
    """
    users, items = rows[dataset.uid_field].long(), rows[dataset.iid_field].long()
    lengths = rows.get(getattr(dataset, "item_list_length_field", ""))
    if lengths is None:
        return users, items
    first = lengths == 1
    sequences = rows[dataset.iid_field + dataset.config["LIST_SUFFIX"]]
    return torch.cat([users, users[first]]), torch.cat([items, sequences[first][:, 0].long()])


def interaction(fields: dict[str, torch.Tensor]) -> Any:
    """RecBole's `Interaction`, what its models take: columns by field name."""
    return recbole("data.interaction").Interaction(fields)


def _for_trial(dataset: Any, config: TypedConfig) -> Any:
    own = copy.copy(dataset)
    own.config = config
    own.dataset_path = config["data_path"]  # where this trial's data are, not where the split was made
    for name in ("inter_feat", "user_feat", "item_feat"):
        feature = getattr(own, name, None)
        if feature is not None and hasattr(feature, "interaction"):
            clone = copy.copy(feature)
            clone.interaction = dict(feature.interaction)
            setattr(own, name, clone)
    for name, value in vars(own).items():
        if name.startswith("field2") or name == "alias":
            setattr(own, name, copy.copy(value))
    return own
