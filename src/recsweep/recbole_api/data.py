"""RecBole's data sets: read, split, taken apart for the cache, put together for a trial."""

from __future__ import annotations

import copy
import importlib
import io
import logging
import pickle
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from recsweep.recbole_api.config import TypedConfig
from recsweep.recbole_api.settings import SPLIT_SEED, TIME_ORDER

from recbole.config.configurator import Config  # isort: skip
from recbole.data.interaction import Interaction  # isort: skip
from recbole.data.utils import data_preparation  # isort: skip
from recbole.utils import ModelType, dataset_arguments, init_seed  # isort: skip

# A float32 between 0 and 1 tells this many equally spaced values apart.
MAX_EXACT_RANKS = 2**23
_DATASET_ARGUMENTS = tuple(dataset_arguments)
_CLASS_BY_TYPE = {
    ModelType.SEQUENTIAL: "SequentialDataset",
    ModelType.KNOWLEDGE: "KnowledgeBasedDataset",
}
# What a cached data set may consist of. Tensors travel apart from it (`torch.load` weights only).
# Of these modules the classes that they define, and nothing that they merely import (`os`, `pickle`).
_SAFE_PREFIXES = (
    "recbole.data.dataset.",
    "recbole.data.interaction",
    "recbole.utils.enum_type",
    "pandas.core.",
    "pandas._libs.",
)
_SAFE_NAMES = {
    ("builtins", name)
    for name in ("set", "frozenset", "slice", "dict", "list", "tuple", "range", "bytearray", "complex")
} | {
    ("collections", "OrderedDict"),
    ("collections", "defaultdict"),
    ("collections", "Counter"),
    ("builtins", "int"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy._core.numeric", "_frombuffer"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy.core.numeric", "_frombuffer"),
    ("copyreg", "_reconstructor"),
    ("builtins", "object"),
    ("pandas.core.indexes.base", "_new_Index"),
    ("pandas._libs.internals", "_unpickle_block"),
    ("pandas._libs.arrays", "__pyx_unpickle_NDArrayBacked"),
}


@dataclass(frozen=True)
class Split:
    """One prepared data set: the whole and its three parts, shared by all trials on it."""

    whole: Any
    parts: tuple[Any, Any, Any]

    @property
    def statistics(self) -> dict[str, int]:
        """Users and items (without padding) and samples of each part."""
        train, valid, test = self.parts
        return {
            "users": int(self.whole.user_num) - 1,
            "items": int(self.whole.item_num) - 1,
            "train_samples": len(train),
            "valid_samples": len(valid),
            "test_samples": len(test),
        }


def data_key(config: TypedConfig) -> dict[str, Any]:
    """Every setting that shapes the split; two configs with equal keys may share one."""
    names = [
        *_DATASET_ARGUMENTS,
        "eval_args",
        "repeatable",
        "numerical_features",
        "discretization",
        "encoding",
    ]
    key = {name: config[name] for name in names}
    key["dataset_class"] = _dataset_class(config).__name__
    key["dataset"] = config["dataset"]
    key[TIME_ORDER] = config[TIME_ORDER] or "recbole"
    if config["eval_args"]["order"] == "RO":
        key["seed"] = _split_seed(config)
    return key


def _split_seed(config: TypedConfig) -> int:
    own = config[SPLIT_SEED]
    return int(config["seed"] if own is None else own)


def _dataset_class(config: TypedConfig) -> Any:
    """As RecBole's `create_dataset`, which would also unpickle what lies in the folder."""
    module = importlib.import_module("recbole.data.dataset")
    default = _CLASS_BY_TYPE.get(config["MODEL_TYPE"], "Dataset")
    return getattr(module, config["model"] + "Dataset", getattr(module, default))


def build_split(config: TypedConfig) -> Split:
    """Read the atomic files, filter, remap and split; seconds to minutes."""
    cls = made_by = _dataset_class(config)
    if config[TIME_ORDER] == "exact":
        made_by = type(cls.__name__, (cls,), {"_normalize": _normalize_with_exact_times})
    init_seed(_split_seed(config), config["reproducibility"])
    whole = made_by(config)
    train, valid, test = whole.build()
    for dataset in (whole, train, valid, test):
        dataset.__class__ = cls  # RecBole's own class again, so that it can be stored
    return Split(whole, (train, valid, test))


def _normalize_with_exact_times(dataset: Any) -> None:
    """RecBole's normalization, after which timestamps are replaced by their ranks.

    RecBole rounds times to float32. Seconds since 1970 need 31 bits, a float32 has 24: interactions
    less than about a minute apart lose their order. Ranks between 0 and 1 keep it, up to 2**23
    distinct times; beyond that the rank is counted within each user, which is all that sequences
    and leave-one-out look at.
    """
    super(type(dataset), dataset)._normalize()
    if dataset.time_field not in dataset.inter_feat:
        return
    times = dataset.inter_feat[dataset.time_field]
    ranks = times.rank(method="dense") - 1
    if ranks.max() >= MAX_EXACT_RANKS:
        by_user = dataset.inter_feat.groupby(dataset.uid_field)[dataset.time_field]
        ranks = by_user.rank(method="dense") - 1
    scale = max(float(ranks.max()), 1.0)
    dataset.inter_feat[dataset.time_field] = np.asarray(ranks / scale, dtype=np.float64)


def dump_split(split: Split) -> tuple[bytes, dict[str, torch.Tensor]]:
    """A split as an object description and its tensors, to be stored apart."""
    tensors: dict[str, torch.Tensor] = {}
    names: dict[int, str] = {}

    class _Pickler(pickle.Pickler):
        def persistent_id(self, obj: Any) -> Any:
            if isinstance(obj, torch.Tensor):
                name = names.setdefault(id(obj), f"t{len(names)}")
                tensors[name] = obj
                return ("tensor", name)
            if isinstance(obj, Config):
                return ("config",)
            if isinstance(obj, logging.Logger):
                return ("logger",)
            return None

    buffer = io.BytesIO()
    _Pickler(buffer, protocol=5).dump((split.whole, split.parts))
    # A slice of a larger tensor would drag the whole storage into the file.
    compact = {name: tensor.clone() for name, tensor in tensors.items()}
    return buffer.getvalue(), compact


def load_split(description: bytes, tensors: dict[str, torch.Tensor]) -> Split:
    """The inverse of `dump_split`. Only classes of data sets are made, nothing else is called.

    Raises:
        pickle.UnpicklingError: the description names anything else.
    """

    class _Unpickler(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            if (module, name) in _SAFE_NAMES:
                return super().find_class(module, name)
            if module.startswith(_SAFE_PREFIXES) and "." not in name:  # `os.system` would be followed
                found = super().find_class(module, name)
                if isinstance(found, type) and found.__module__.startswith(_SAFE_PREFIXES):
                    return found
            raise pickle.UnpicklingError(f"{module}.{name} is no part of a prepared data set")

        def persistent_load(self, pid: Any) -> Any:
            kind, *rest = pid
            if kind == "tensor":
                return tensors[rest[0]]
            return logging.getLogger() if kind == "logger" else None

    whole, parts = _Unpickler(io.BytesIO(description)).load()
    return Split(whole, parts)


def make_loaders(config: TypedConfig, split: Split) -> tuple[Any, Any, Any]:
    """Fresh training, validation and test loaders of one trial over a shared split.

    The data sets are copied shallowly: loaders sort them and add fields, trials must not see that.
    """
    parts = [_for_trial(part, config) for part in split.parts]
    whole = _for_trial(split.whole, config)
    whole.build = lambda: parts
    train, valid, test = data_preparation(config, whole)
    return train, valid, test


def interaction(fields: dict[str, torch.Tensor]) -> Any:
    """RecBole's `Interaction`, what its models take: columns by field name."""
    return Interaction(fields)


def _for_trial(dataset: Any, config: TypedConfig) -> Any:
    own = copy.copy(dataset)
    own.config = config
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
