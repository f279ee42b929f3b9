"""Python packages that single models of RecBole import, and the command that installs them."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterable, Iterator

from recsweep.recbole_api import own_source, source
from recsweep.sweeps.own_names import is_own, split

SETUP = "make setup-models"
BASE = frozenset({"numpy", "pandas", "scipy", "sklearn", "torch", "tqdm"})
"""Packages that `make setup` installs."""
EXTRAS = {"faiss": "faiss-cpu", "lightgbm": "lightgbm", "xgboost": "xgboost"}
"""All that `make setup-models` installs: by the name to import, the name to install."""
STOOD_IN = frozenset({"dgl", "torch_scatter"})
"""Packages of which `stand_ins` has the little that is used."""
# Methods of a model that RecBole's trainers call.
_INTERFACE = ("forward", "calculate_loss", "predict", "full_sort_predict", "e_step", "update_attentive_A")


def wanted(model: str) -> tuple[str, ...]:
    """The packages that a model needs besides those of the base set-up."""
    if is_own(model):
        others = {name for _, _, name in own_source.foreign(model)} - {"recbole", *sys.stdlib_module_names}
        return tuple(sorted(others - BASE - {split(model)[0].split(".")[0]}))
    return tuple(name for name in imported(model) if name not in BASE | STOOD_IN)


def complete(model: str) -> bool:
    """True where all that a model needs can be imported."""
    return all(map(installed, wanted(model)))


def installed(name: str) -> bool:
    """True where a package can be imported."""
    return name in sys.modules or importlib.util.find_spec(name) is not None


def command(names: Iterable[str]) -> str:
    """The command that installs them."""
    names = list(names)
    if all(name in EXTRAS for name in names):
        return SETUP
    return f"pip install {' '.join(EXTRAS.get(name, name.replace('_', '-')) for name in names)}"


@own_source.until_changed
def imported(model: str) -> tuple[str, ...]:
    """Packages that a model's own file imports whatever its settings are, RecBole aside."""
    tree = source.parsed(source.model_file(model))
    found, called = set[str](), set[str]()
    for node in _unconditional(tree):
        if isinstance(node, ast.Call):
            called.add(ast.unparse(node.func).rpartition(".")[2])
    for node in _unconditional(tree, called):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module]
        found |= {name.split(".")[0] for name in names}
    return tuple(sorted(found - {"recbole", *sys.stdlib_module_names}))


def _unconditional(node: ast.AST, called: set[str] | None = None) -> Iterator[ast.AST]:
    """The nodes of a piece of source outside of any `if`, and outside of functions that are not `called`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If):
            continue
        if isinstance(child, ast.FunctionDef) and called is not None and not _runs(child, called):
            continue
        yield child
        yield from _unconditional(child, called)


def _runs(function: ast.FunctionDef, called: set[str]) -> bool:
    """True where a function is called, or is RecBole's to call."""
    return function.name in called or function.name.startswith("__") or function.name in _INTERFACE
