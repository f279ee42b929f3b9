"""All that RecBole 1.2.1's age breaks, handled in one place, without touching its files.

RecBole's modules come from `recbole()`, which calls `apply()` before the first of them. What that does:

=============================  ===================================================================
NumPy >= 1.24, 2               aliases that RecBole uses (`np.float`, `np.bool8`, …) come back
SciPy >= 1.13                  `dok_matrix._update`, which six models call, comes back
torch >= 2.6                   `torch.load` reads weights only, and RecBole's own checkpoints hold
                               its Config; they are written with a plain dict in its place
SINE                           importing RecBole's sequential models switches torch's anomaly mode on
                               for the whole process, which doubles the time of a trial; off again
tensorboard                    trials write no event files into the working folder
what a trial never uses        scikit-learn, TensorBoard, torch's compiler and the models of other families
                               make up half of a process's start; each is loaded at its first use (`lazy`)
pickles in checkpoint folders  RecBole loads any that lie there; it is given none
dgl, torch_scatter             a few functions of theirs stand here, for KGAT, KGIN and MCCLK (`stand_ins`)
what could be code             pickles, NumPy's objects, `eval`: each place is closed by name (`safety`)
samples by the million         arrays in the place of sets and lists of Python numbers (`seen`), and tables
                               sorted on whole columns (`reordered`)
pandas >= 3                    refused: chained `fillna(inplace=True)` does nothing there, and NaN
                               stay in the features without a word
=============================  ===================================================================
"""

from __future__ import annotations

import importlib
import importlib.metadata
import logging
import sys
import warnings
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

from recsweep.common.errors import UnsupportedEnvironment
from recsweep.recbole_api import catalog, lazy, own_models, safety, stand_ins
from recsweep.sweeps.own_names import is_own

# Lowest supported version, and the first one known not to work, by distribution.
SUPPORTED = {
    "recbole": ("1.2.1", "1.2.2"),
    "numpy": ("2.0", "3"),
    "pandas": ("2.2", "3"),
    "scipy": ("1.13", "2"),
    "torch": ("2.6", "3"),
}
_SELDOM_USED = (
    *("sklearn.metrics", "sklearn.linear_model", "sklearn.exceptions", "sklearn.utils.extmath"),
    "torch.utils.tensorboard",
)
_FAMILIES = ("model.sequential_recommender", "model.general_recommender")
"""Each model of them imports all of its family."""
_REASONS = {"pandas": "pandas 3 leaves NaN in RecBole's features without a word"}
_HARMLESS = (
    # (message, category, module): known, looked at, and of no consequence for a result.
    (r"A value is trying to be set on a copy of a DataFrame", FutureWarning, r"recbole\..*"),
    (r".*ChainedAssignmentError", FutureWarning, r"recbole\..*"),
    (r"using <built-in function len> in Series\.agg", FutureWarning, r"recbole\..*"),
    (r"`torch\.cuda\.amp\.GradScaler", FutureWarning, r"recbole\..*"),
    (r"Importing from .* is deprecated", DeprecationWarning, r"recbole\..*"),
    (r"invalid escape sequence", SyntaxWarning, r"recbole\..*"),
    (r"invalid escape sequence", DeprecationWarning, r"recbole\..*"),
    (r"torch\.cuda\.amp\.GradScaler is enabled, but CUDA is not available", UserWarning, r"torch\..*"),
    (r"enable_nested_tensor is True", UserWarning, r"torch\..*"),
    (r"dropout option adds dropout after all but last recurrent layer", UserWarning, r"torch\..*"),
    (r"Sparse CSR tensor support is in beta state", UserWarning, r"recbole\..*"),
    (r"Creating a tensor from a list of numpy\.ndarrays", UserWarning, r"recbole\..*"),
    (r"torch\.sparse\.SparseTensor\(.*is deprecated", UserWarning, r"recbole\..*"),
    (r"divide by zero encountered in power", RuntimeWarning, r"recbole\..*"),  # infinities are put to 0
)


def check_versions() -> None:
    """Refuse library versions with which results would be wrong or impossible.

    Raises:
        UnsupportedEnvironment: the first library outside its range.
    """
    for name, (lowest, too_new) in SUPPORTED.items():
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            raise UnsupportedEnvironment(
                f"{name} is not installed; every trial needs it; run `make setup`"
            ) from None
        if not _parse(lowest) <= _parse(version) < _parse(too_new):
            reason = _REASONS.get(name, "RecBole 1.2.1 was not made to work with it")
            raise UnsupportedEnvironment(
                f"`{lowest} <= {name} < {too_new}` must hold, but got {name} {version}; {reason}; "
                "run `make setup` for the versions of envs/requirements.lock"
            )


def _parse(version: str) -> tuple[int, ...]:
    release = version.split("+")[0].split("rc")[0]
    return tuple(int(part) for part in release.split(".") if part.isdigit())


@cache
def apply() -> None:
    """Make RecBole 1.2.1 work on today's libraries; once in a process, any further call is free."""
    check_versions()
    for message, category, module in _HARMLESS:
        warnings.filterwarnings("ignore", message=message, category=category, module=module)
    _numpy_aliases()
    _scipy_update()
    stand_ins.install_scatter()
    lazy.spare_the_compiler()
    with lazy.deferred(*_SELDOM_USED):
        _import_recbole()
    _patch_recbole()
    _trust_settings_in_checkpoints()


@cache
def recbole(module: str) -> ModuleType:
    """A module of RecBole's, by its name within it, once RecBole works: all others get theirs here."""
    apply()
    return importlib.import_module(f"recbole.{module}")


def _numpy_aliases() -> None:
    import numpy as np

    aliases: dict[str, Any] = {
        "bool8": np.bool_,
        "float": np.float64,
        "float_": np.float64,
        "int": np.int64,
        "complex": np.complex128,
        "complex_": np.complex128,
        "object": np.object_,
        "str": np.str_,
        "unicode": np.str_,
        "unicode_": np.str_,
    }
    for name, target in aliases.items():
        if name not in np.__dict__:
            setattr(np, name, target)


def _scipy_update() -> None:
    from scipy.sparse import dok_matrix

    def _update(self: Any, data: dict[tuple[int, int], float]) -> None:
        """As SciPy < 1.13 had it: set many entries without checks."""
        self._dict.update(data)

    if not hasattr(dok_matrix, "_update"):
        dok_matrix._update = _update


class _NoEvents:
    """Stands where RecBole opens a TensorBoard writer: takes every call and writes nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **kwargs: None


class _Torch(safety.Weights):
    """Stands for torch in RecBole's trainers: what they save, torch reads back as weights only."""

    def save(self, state: Any, file: Any, **protocol: Any) -> None:
        import torch

        if isinstance(state, dict) and hasattr(state.get("config"), "final_config_dict"):
            state = {**state, "config": dict(state["config"].final_config_dict)}
            if "best_valid_score" in state:  # what is saved in pre-training has none
                state["best_valid_score"] = float(state["best_valid_score"])  # a NumPy scalar
        torch.save(state, file)


def _is_worth_reading(record: logging.LogRecord) -> bool:
    """RecBole prints a whole table to say that a column it is about to normalize holds one value."""
    return not str(record.msg).startswith("All the same value in [")


def _import_recbole() -> None:
    import torch

    anomaly_mode = torch.is_anomaly_enabled()
    for name in ("config.configurator", "data.utils", "trainer.trainer", *_FAMILIES):
        importlib.import_module(f"recbole.{name}")
    torch.autograd.set_detect_anomaly(anomaly_mode)  # sine.py calls set_detect_anomaly(True)


def _get_model(name: str) -> Any:
    """As RecBole's `get_model`, which imports every family on its way to the right one."""
    if is_own(name):
        return own_models.load(name)
    for folder in catalog.FAMILY_OF_FOLDER:
        if (catalog.recbole_folder() / "model" / folder / f"{name.lower()}.py").is_file():
            module = importlib.import_module(f"recbole.model.{folder}.{name.lower()}")
            safety.close()
            if not hasattr(module, _BRIDGED):
                setattr(module, _BRIDGED, True)
                _BRIDGES.get(name, lambda model: None)(getattr(module, name))
            return getattr(module, name)
    raise ValueError(f"`model_name` [{name}] is not the name of an existing model.")  # RecBole's words


def _count_every_row(pop: Any) -> None:
    """RecBole's Pop counts an item once a batch, however often it stands there: with large batches hardly at
    all. This counts each interaction.
    """

    def calculate_loss(self: Any, interaction: Any) -> Any:
        import torch

        items = interaction[self.ITEM_ID]
        self.item_cnt.index_add_(0, items, torch.ones_like(items).unsqueeze(1))
        self.max_cnt = torch.max(self.item_cnt, dim=0)[0]
        return torch.nn.Parameter(torch.zeros(1)).to(self.device)

    pop.calculate_loss = calculate_loss


def _no_more_than_there_are(dgcf: Any) -> None:
    """RecBole's DGCF draws as many users as items, by the larger number of both: with few large batches more
    than there are, which fails.
    """
    made = dgcf.__init__

    def make(self: Any, config: Any, dataset: Any) -> None:
        made(self, config, dataset)
        self.cor_batch_size = min(self.cor_batch_size, self.n_users, self.n_items)

    dgcf.__init__ = make


def _name_the_method(nncf: Any) -> None:
    """RecBole's NNCF says `user` or `item` where `ComputeSimilarity` takes the size of a block, which fails:
    its neighbours by `knn` were never found.
    """
    module = sys.modules[nncf.__module__]

    class Similarity(module.ComputeSimilarity):  # type: ignore[name-defined, misc]
        def compute_similarity(self, method: str) -> Any:
            self.method = method
            return super().compute_similarity()

    setattr(module, "ComputeSimilarity", Similarity)  # noqa: B010  # mypy: a module


def _silence_scikit(slim: Any) -> None:
    """RecBole's SLIM ignores a warning of scikit-learn's, which is a UserWarning; that is had without it."""
    vars(sys.modules[slim.__module__])["ConvergenceWarning"] = UserWarning


_BRIDGED = "_bridged_by_recsweep"
_BRIDGES: dict[str, Callable[[Any], None]] = {
    "Pop": _count_every_row,
    "DGCF": _no_more_than_there_are,
    "KGAT": stand_ins.with_graphs,
    "NNCF": _name_the_method,
    "SLIMElastic": _silence_scikit,
}
"""By model: the change to its class when it is imported, once."""


def _collect_numbers_too(collector: Any) -> None:
    """RecBole sends all that its metrics need to the CPU, also plain numbers and counts, which cannot go.

    ItemCoverage, AveragePopularity, GiniIndex, ShannonEntropy and TailPercentage need such.
    """
    original = collector.get_data_struct

    def get_data_struct(self: Any) -> Any:
        data = self.data_struct._data_dict
        plain = {name: data.pop(name) for name in list(data) if not hasattr(data[name], "cpu")}
        collected = original(self)
        data.update(plain)
        collected._data_dict.update(plain)
        return collected

    collector.get_data_struct = get_data_struct


def _collect_users_too(collector: Any) -> None:
    """A metric that groups predictions by user (`own_metrics`) needs to know whose they are."""
    collect, hand_over = collector.eval_batch_collect, collector.get_data_struct

    def eval_batch_collect(self: Any, scores: Any, interaction: Any, *positive: Any) -> None:
        collect(self, scores, interaction, *positive)
        if self.register.need("data.users"):
            self.data_struct.update_tensor("data.users", interaction[self.config["USER_ID_FIELD"]])

    def get_data_struct(self: Any) -> Any:
        found = hand_over(self)
        self.data_struct._data_dict.pop("data.users", None)
        return found

    collector.eval_batch_collect, collector.get_data_struct = eval_batch_collect, get_data_struct


def _single_precision(dataset: Any) -> None:
    """Vectors from a file (`preload_weight`) are float64, which KSR cannot multiply with its weights."""
    original = dataset.get_preload_weight

    def get_preload_weight(self: Any, field: str) -> Any:
        return original(self, field).astype("float32")

    dataset.get_preload_weight = get_preload_weight


def _listed(values: Any) -> Any:
    """Stands for `list` where RecBole makes its loaders: the numbers of all samples stay a range."""
    return values if isinstance(values, range) else list(values)


def _patch_recbole() -> None:
    import recbole.config.configurator
    import recbole.data.dataset
    import recbole.data.interaction
    import recbole.data.utils
    import recbole.evaluator.collector
    import recbole.sampler
    import recbole.trainer.trainer
    import recbole.utils

    from recsweep.recbole_api import own_metrics, plugins, reordered, seen

    for module in (recbole.utils, recbole.utils.utils, recbole.config.configurator):
        module.get_model = _get_model
    recbole.trainer.trainer.torch = _Torch()
    recbole.trainer.trainer.get_tensorboard = lambda logger: _NoEvents()
    recbole.data.utils.load_split_dataloaders = lambda config: None
    _single_precision(recbole.data.dataset.Dataset)
    reordered.reorder_columns(recbole.data.interaction.Interaction)
    seen.install(recbole.sampler, recbole.data.dataloader.general_dataloader, recbole.data.utils)
    recbole.data.dataloader.abstract_dataloader.list = _listed
    _collect_numbers_too(recbole.evaluator.collector.Collector)
    _collect_users_too(recbole.evaluator.collector.Collector)
    own_metrics.register()
    for module in plugins.metric_modules():
        own_metrics.register(module)
    safety.close()
    logging.getLogger().addFilter(_is_worth_reading)  # RecBole logs to the root logger


def _trust_settings_in_checkpoints() -> None:
    """The settings in a checkpoint hold a few enumerations of RecBole's; name them as safe."""
    import torch
    from recbole.utils.enum_type import EvaluatorType, InputType, ModelType

    torch.serialization.add_safe_globals([EvaluatorType, InputType, ModelType])
