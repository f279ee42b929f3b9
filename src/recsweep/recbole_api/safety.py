"""Where RecBole loads or evaluates what could be code, and how each place is closed.

A test walks RecBole's source and fails on a place that `CLOSED` does not have. RecBole's files stay as they
are: a module gets another object under the name that it calls (`np`, `torch`, `pickle`, `eval`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from recsweep.common.errors import TrialError

_WEIGHTS = "torch reads weights only, whatever the environment says"
_TYPED = "`TypedConfig` reads YAML by `FloatLoader`, which makes plain values"
_REFUSED = "refused: the module's name for it is a stand-in that raises"

CLOSED: dict[str, dict[str, str]] = {
    **{
        f"model/{file}.py": {"torch.load": _WEIGHTS}
        for file in (
            *("general_recommender/convncf", "general_recommender/nais", "general_recommender/neumf"),
            *("general_recommender/ract", "sequential_recommender/s3rec"),
        )
    },
    "model/general_recommender/ldiffrec.py": {"numpy.load": "numpy reads arrays of numbers only"},
    "model/context_aware_recommender/kd_dagfm.py": {
        "eval": "a stand-in that takes the name of a network in this file, and nothing else",
        "torch.load": _WEIGHTS,
    },
    "trainer/trainer.py": {
        "torch.load": _WEIGHTS,
        "__import__": "of two constant names: xgboost and lightgbm",
    },
    "quick_start/quick_start.py": {"torch.load": _WEIGHTS},
    "trainer/hyper_tuning.py": {"eval": _REFUSED + "; engines hand over a space, not a file"},
    "config/configurator.py": {"eval": "`TypedConfig` converts no strings", "yaml.load": _TYPED},
    "data/dataset/dataset.py": {"pickle.dump": _REFUSED, "yaml.load": _TYPED},
    "data/utils.py": {"pickle.load": _REFUSED, "pickle.dump": _REFUSED},
}
"""By file of RecBole's and by what is called there: why no code comes in."""


class Standing:
    """Stands for a module: all that is not replaced is the module's."""

    def __init__(self, name: str) -> None:
        self._module = name

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.modules[self._module], name)


class Weights(Standing):
    """Stands for torch: what it loads are tensors, numbers and text."""

    def __init__(self) -> None:
        super().__init__("torch")

    def load(self, file: Any, *args: Any, **kwargs: Any) -> Any:
        """As `torch.load(weights_only=True)`; one line about a file that holds more."""
        try:
            return sys.modules["torch"].load(file, *args, **{**kwargs, "weights_only": True})
        except Exception as error:
            if type(error).__name__ != "UnpicklingError":  # by name: nothing here imports pickle
                raise
            raise TrialError(
                f"{file} holds more than weights, or is no checkpoint; it could run code and is not loaded; "
                "save it again as a dict with `state_dict` and plain values"
            ) from None


class Numbers(Standing):
    """Stands for NumPy: what it loads are arrays of numbers."""

    def __init__(self) -> None:
        super().__init__("numpy")

    def load(self, file: Any, *args: Any, **kwargs: Any) -> Any:
        """As `numpy.load(allow_pickle=False)`; one line about a file that holds objects."""
        try:
            return sys.modules["numpy"].load(file, *args, **{**kwargs, "allow_pickle": False})
        except ValueError:
            raise TrialError(
                f"{file} holds pickled objects, or is no array; it could run code and is not loaded; "
                "save it again as an array of numbers (numpy.save with allow_pickle=False)"
            ) from None


class Refused:
    """Stands for `eval` or pickle, where nothing that recsweep asks for comes by."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise TrialError(
            f"RecBole wants {self._what}, which could run code; recsweep never does; leave it out"
        )

    def __getattr__(self, name: str) -> Any:
        return self


def _network_named(module: ModuleType) -> Callable[[str], Any]:
    """The stand-in for `eval` where RecBole looks up a network by its name."""

    def find(name: str) -> Any:
        found = vars(module).get(name)
        if isinstance(found, type) and found.__module__ == module.__name__:
            return found
        raise TrialError(f"{module.__name__} has no network `{name}`; name one of its classes")

    return find


def _stand_ins(module: ModuleType, calls: dict[str, str]) -> dict[str, Any]:
    """By the name that a module calls: what stands there from now on."""
    names: dict[str, Any] = {}
    if "torch.load" in calls:
        names["torch"] = Weights()
    if "numpy.load" in calls:
        names["np"] = Numbers()
    if any(call.startswith("pickle.") for call in calls):
        names["pickle"] = Refused("to pickle")
    if calls.get("eval", "").startswith(_REFUSED):
        names["eval"] = Refused("to evaluate text")
    elif "eval" in calls and not module.__name__.endswith(".configurator"):
        names["eval"] = _network_named(module)
    return names


def close() -> None:
    """Close all places in what is loaded of RecBole by now. Called again after each import."""
    for file, calls in CLOSED.items():
        module = sys.modules.get("recbole." + file.removesuffix(".py").replace("/", "."))
        for name, instead in _stand_ins(module, calls).items() if module is not None else ():
            if not isinstance(vars(module).get(name), Standing):  # `compat` has one of its own
                setattr(module, name, instead)
