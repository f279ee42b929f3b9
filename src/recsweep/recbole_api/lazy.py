"""Modules that RecBole and torch load at the start of a process although a trial may never use it.

RecBole imports scikit-learn for three metrics and for one of its general models, and TensorBoard for event
files, and torch loads its compiler for the first optimizer, and half of that compiler at once: more than half
of the time to a worker's first batch. Each of them is loaded here when something really uses it. No result
depends on this file.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import FunctionType, ModuleType
from typing import Any

_COMPILER = "torch._dynamo"
# What `torch._compile._disable_dynamo` reads on a function: what to call in its place.
_INSTEAD = "__dynamo_disable"
_SHAPES = "torch._meta_registrations"
"""Tells torch the shapes of what its functions return, for tensors without numbers (device `meta`)."""
_SPARED_IN = re.compile(r"2\.13\.\d+\+cpu")
"""The builds of torch of which it was looked up that nothing else needs them; in others they are loaded."""
_NEED_SHAPES = (_COMPILER, "torch._inductor", "torch._decomp", "torch._refs", "torch._prims")


class _Later:
    """A function or class of a module that is imported when it is called, or asked for anything."""

    def __init__(self, module: str, name: str) -> None:
        self._target = module, name

    def _found(self) -> Any:
        module, name = self._target
        return getattr(importlib.import_module(module), name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._found()(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._found(), name)


class _Placeholder(ModuleType):
    """Stands for a module while others import names from it."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # the import system looks for `__path__` and the like
            raise AttributeError(name)
        return _Later(self.__name__, name)


@contextmanager
def deferred(*modules: str) -> Iterator[None]:
    """Give what is imported meanwhile these modules' names as stand-ins that load them when called.

    The placeholders are gone when this ends: any later import finds the modules themselves. A module
    that is loaded already is left as it is.
    """
    placeholders = {name: _Placeholder(name) for name in modules if name not in sys.modules}
    sys.modules.update(placeholders)
    try:
        yield
    finally:
        for name, placeholder in placeholders.items():
            if sys.modules.get(name) is placeholder:
                del sys.modules[name]


class _ShapesFirst(MetaPathFinder):
    """Loads the shapes before any module that needs them, as torch does, and goes."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if name not in _NEED_SHAPES:
            return None
        load_shapes()
        return _There.spec(name) if name in sys.modules else None


class _There(Loader):
    """Gives a module that another one has loaded while it was looked for, and does not run it again.

    Args:
        own: its own specification, which is away until then: Python would go by that one.
    """

    def __init__(self, own: ModuleSpec | None) -> None:
        self._own = own

    @classmethod
    def spec(cls, name: str) -> ModuleSpec:
        """The specification of a module that is there, as Python is to take it."""
        module = sys.modules[name]
        own, module.__spec__ = module.__spec__, None
        return ModuleSpec(name, cls(own))

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return sys.modules[spec.name]

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._own


_SHAPES_FIRST = _ShapesFirst()


def load_torch() -> None:
    """Import torch for a process that is recsweep's own, without what none of them needs.

    That are distributed tensors (`windows.spare_distributed`), and of the CPU build its shapes, a quarter of
    the time, where it is not loaded yet. Nothing that holds numbers is computed by those. They are loaded
    later where something compiles or traces, and for models of one's own, which may make tensors without
    numbers.
    """
    if "torch" not in sys.modules and _SPARED_IN.fullmatch(_build()):
        _load_without_shapes()
    from recsweep.recbole_api.windows import spare_distributed

    spare_distributed()


def _load_without_shapes() -> None:
    sys.modules[_SHAPES] = ModuleType(_SHAPES)
    try:
        import torch
    finally:
        del sys.modules[_SHAPES]
    vars(torch).pop(_SHAPES.rpartition(".")[2], None)
    sys.meta_path.insert(0, _SHAPES_FIRST)
    from torch._opaque_base import OpaqueBaseMeta

    torch._C._set_generator_metaclass(OpaqueBaseMeta)  # all of it that computing needs


def _build() -> str:
    """The version of torch with its kind, before it is imported; empty where there is none."""
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return ""


def load_shapes() -> None:
    """Load what `load_torch` left out, if it did."""
    if _SHAPES_FIRST in sys.meta_path:
        sys.meta_path.remove(_SHAPES_FIRST)
        importlib.import_module(_SHAPES)


def spare_the_compiler() -> None:
    """Let torch's optimizers load torch's compiler only where something else has loaded it.

    They ask it not to look into them, which is for programs that compile. Without it there is nobody
    to ask, and what they compute is the same. Where it is loaded they work as torch wrote them.
    """
    import torch

    if _COMPILER in sys.modules:
        return
    for method in list(vars(torch.optim.Optimizer).values()):
        if _defined_in(method, "torch._compile"):
            _call_plainly(method)
    for optimizer in torch.optim.Optimizer.__subclasses__():
        step: Any = vars(optimizer).get("step")
        if _defined_in(step, "torch.optim.optimizer") and step.__code__.co_name == "_use_grad":
            setattr(optimizer, "step", _plain_step(step))  # noqa: B010  # mypy: a method


def _defined_in(function: Any, module: str) -> bool:
    """True where a wrapper was made there. Its `__module__` is that of the function it wraps."""
    wraps_another = isinstance(function, FunctionType) and hasattr(function, "__wrapped__")
    return wraps_another and function.__globals__["__name__"] == module


def _call_plainly(method: Any) -> None:
    """Keep a method of `torch._compile._disable_dynamo` from loading the compiler."""
    own = method.__wrapped__

    def instead(*args: Any, **kwargs: Any) -> Any:
        if _COMPILER not in sys.modules:
            return own(*args, **kwargs)
        delattr(own, _INSTEAD)  # from now on in torch's own way
        return method(*args, **kwargs)

    setattr(own, _INSTEAD, instead)


def _plain_step(step: Any) -> Callable[..., Any]:
    """`torch.optim.optimizer._use_grad_for_differentiable`, without its words to the compiler."""
    own = step.__wrapped__

    @wraps(step)
    def plain(self: Any, *args: Any, **kwargs: Any) -> Any:
        import torch

        if _COMPILER in sys.modules:
            return step(self, *args, **kwargs)
        with torch.set_grad_enabled(self.defaults["differentiable"]):
            return own(self, *args, **kwargs)

    return plain
