"""RecBole's Config without its habits: no `eval`, no `sys.argv`, no global settings."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import yaml

from recsweep.common.yaml_loader import FloatLoader
from recsweep.recbole_api import source
from recsweep.recbole_api.compat import recbole
from recsweep.recbole_api.settings import BUILTIN_DATASET, LABELED, USER_AUC
from recsweep.sweeps.own_names import is_own


class TypedConfig:
    """A RecBole Config made from values that already have their types.

    It is one of RecBole's Config too, of a class that is put together for the first of them, when RecBole is
    imported: as a `pathlib.Path` is made as a `PosixPath`.

    Args:
        settings: the flat config (`recbole_api.settings.trial_settings`).
        device: where to train.
        scratch: a folder for whatever RecBole insists on writing.
    """

    final_config_dict: dict[str, Any]
    internal_config_dict: dict[str, Any]
    if TYPE_CHECKING:  # RecBole has no types

        def __getitem__(self, name: str) -> Any: ...

    def __new__(cls, *_: Any, **__: Any) -> TypedConfig:
        return object.__new__(_joined())

    def __init__(self, settings: Mapping[str, Any], device: torch.device, scratch: Path) -> None:
        self._device = device
        given = {**copy.deepcopy(dict(settings)), "checkpoint_dir": str(scratch)}
        given.setdefault("state", "warning")
        if _is_labeled(given):
            given["metrics"] = [
                USER_AUC if str(name).lower() == "gauc" else name for name in given["metrics"]
            ]
        made: Any = super()
        made.__init__(model=given["model"], dataset=given["dataset"], config_dict=given)
        if given.get("data_path"):
            # RecBole sends every data set called ml-100k to its own wheel, whatever the path says.
            own = Path(given["data_path"]) / given["dataset"]
            self.final_config_dict["data_path"] = str(own)
        elif given["dataset"] != BUILTIN_DATASET:
            raise KeyError("data_path")

    def compatibility_settings(self) -> None:
        """RecBole sets NumPy names here that NumPy 2 no longer has; see `compat`."""

    def _init_parameters_category(self) -> None:
        made: Any = super()
        made._init_parameters_category()
        # RecBole appends to these module-level lists.
        own: dict[str, list[str]] = {}
        for name, values in vars(self)["parameters"].items():
            own[name] = list(values)
        self.parameters = own

    def _build_yaml_loader(self) -> type:
        return FloatLoader

    def _update_internal_config_dict(self, file: str) -> dict[str, Any] | None:
        # RecBole parses its own four files anew for every trial.
        defaults = copy.deepcopy(_defaults(file))
        self.internal_config_dict.update(defaults or {})
        return defaults

    def _load_internal_config_dict(self, model: str, model_class: Any, dataset: str) -> None:
        made: Any = super()
        made._load_internal_config_dict(model, model_class, dataset)
        for name, value in _shipped(model).items():
            self.internal_config_dict.setdefault(name, copy.deepcopy(value))

    def _convert_config_dict(self, config_dict: dict[str, Any]) -> dict[str, Any]:
        return config_dict  # RecBole: eval() of every string

    def _load_cmd_line(self) -> dict[str, Any]:
        return {}  # RecBole: sys.argv

    def _init_device(self) -> None:
        # RecBole sets CUDA_VISIBLE_DEVICES for the whole process here.
        self.final_config_dict["gpu_id"] = str(self.final_config_dict["gpu_id"])
        self.final_config_dict["single_spec"] = True
        self.final_config_dict["local_rank"] = 0
        self.final_config_dict["device"] = self._device
        if self._device.type != "cuda":
            # RecBole scales losses wherever CUDA is there, even when it trains on the CPU: in bfloat16,
            # which needs no scaling.
            self.final_config_dict["enable_scaler"] = False


def _is_labeled(settings: Mapping[str, Any]) -> bool:
    """True where rows with an answer are predicted; RecBole's own GAUC is of rankings."""
    mode = (settings.get("eval_args") or {}).get("mode")
    return LABELED in (mode.values() if isinstance(mode, Mapping) else [mode])


@cache
def _shipped(model: str) -> dict[str, Any]:
    """Defaults that RecBole does not find: those of decision trees lie in a file of another name."""
    if is_own(model):
        return dict(source.published_defaults(model))
    path = source.properties(model)
    return {} if path.stem == model or not path.is_file() else dict(_defaults(str(path)) or {})


@cache
def _joined() -> type[TypedConfig]:
    return type("TypedConfig", (TypedConfig, recbole("config.configurator").Config), {})


@cache
def _defaults(file: str) -> dict[str, Any] | None:
    """A file of defaults that RecBole came with; it does not change while a process lives."""
    found: dict[str, Any] | None = yaml.load(Path(file).read_text("utf-8"), FloatLoader)  # noqa: S506 - safe
    return found
