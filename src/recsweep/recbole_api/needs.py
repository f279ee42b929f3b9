"""The needs of a model besides interactions: of the data, and of the machine. Read from RecBole's source."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from recsweep.recbole_api import catalog, negatives, source

LABEL = "label"
"""The column of labels, 0 or 1: RecBole's own name of it."""
GRAPH = {"kg": ("head_id", "relation_id", "tail_id"), "link": ("entity_id",)}
"""Columns of a knowledge graph by file; `.link` has the items' column besides."""
# Settings that name item columns, and the types that the model can take.
_ITEM_COLUMNS = {"selected_features": ("token", "token_seq"), "item_attribute": ("token_seq",)}

# Methods of a model that RecBole's trainers call.
_INTERFACE = ("forward", "calculate_loss", "predict", "full_sort_predict", "e_step", "update_attentive_A")


@dataclass(frozen=True)
class Needs:
    """The needs of a model of its data."""

    labels: bool
    """Rows that are labelled 0 and 1: drawn as negatives, from a threshold, or a column of the data."""
    own_negatives: bool
    """True where RecBole draws negatives for it unless told otherwise."""
    item_columns: str | None
    """The setting that names the item columns it reads."""
    types: tuple[str, ...]
    """The types that those columns may have."""
    graph: bool
    sequences: bool
    """Interactions in order of time."""
    numbers: bool
    """True where every number of users and items must be among the numerical features."""


@cache
def needs(model: str) -> Needs:
    """The needs of a model of its data."""
    family, reads = catalog.models()[model], catalog.reads(model)
    columns = next((name for name in _ITEM_COLUMNS if name in reads), None)
    return Needs(
        labels=negatives.use(model) == "labels" and family != "knowledge",
        # RecBole's own configs for context models say none, and a threshold on the data that it knows.
        own_negatives=family not in ("context", "exlib"),
        item_columns=columns,
        types=_ITEM_COLUMNS.get(columns or "", ()),
        graph=family == "knowledge",
        sequences=family == "sequential",
        numbers=bool(source.published_defaults(model).get("double_tower")),
    )


@cache
def unusable(model: str) -> str | None:
    """Why a model cannot be searched at all, here; None where it can."""
    missing = [name for name in _libraries(model) if name not in sys.modules and not _installed(name)]
    if missing:
        return f"needs the Python package {' and '.join(missing)}, which is not installed"
    if "callback_fn" not in _fit_arguments(model):
        return (
            "is trained by a library of its own, whose trainer reports no validation that a search could use"
        )
    if "train_stage" in catalog.reads(model):
        return "is trained in stages that hand on their weights in files, and the first has no validation"
    if "get_preload_weight" in _called(model):
        return (
            "learns from vectors of entities made elsewhere (`preload_weight`), which recsweep does not read"
        )
    return None


def _installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def _libraries(model: str) -> list[str]:
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
    return sorted(found - {"recbole", *sys.stdlib_module_names})


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


def _called(model: str) -> set[str]:
    tree = source.parsed(source.model_file(model))
    return {node.func.attr for node in ast.walk(tree) if _is_method_call(node)}  # type: ignore[attr-defined]


def _is_method_call(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)


def _fit_arguments(model: str) -> list[str]:
    """The arguments of the `fit` that trains a model."""
    trainers = source.classes_in(source.recbole_folder() / "trainer" / "trainer.py")
    pending = [source.trainer(model)]
    while pending:
        node = pending.pop(0)
        for part in node.body:
            if isinstance(part, ast.FunctionDef) and part.name == "fit":
                return [argument.arg for argument in part.args.args]
        pending += [trainers[ast.unparse(base)] for base in node.bases if ast.unparse(base) in trainers]
    return []
