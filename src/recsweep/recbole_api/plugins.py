"""Metrics of other packages, which name their modules under the entry point `recsweep.metrics`.

They are read as text until something is trained, as RecBole's are: a sweep is checked without importing them.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from recsweep.common.errors import UserError

GROUP = "recsweep.metrics"
"""The group of entry points; the value of each is a module whose classes are metrics."""


@cache
def metric_files() -> dict[str, Path]:
    """The source of each module of metrics, by the module's name.

    Raises:
        UserError: a package names a module that is not there.
    """
    found = sorted(entry_points(group=GROUP), key=lambda entry: entry.module)
    return {entry.module: _source(entry) for entry in found}


def metric_modules() -> list[ModuleType]:
    """These modules, imported: the code of who installed them."""
    return [import_module(name) for name in metric_files()]


def _source(entry: EntryPoint) -> Path:
    try:
        spec = find_spec(entry.module)
    except ImportError:
        spec = None
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        package = entry.dist.name if entry.dist is not None else "a package"
        raise UserError(
            f"{package} has metrics of its own in {entry.module}, and there is no such module in Python; its "
            f"entry point `{GROUP}` is wrong or it is installed in part; install it again, or remove it"
        )
    return Path(spec.origin)
