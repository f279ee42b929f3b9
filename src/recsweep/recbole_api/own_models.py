"""Models of one's own: refused by their source where they cannot be trained, and loaded where they are."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache, wraps
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import yaml

from recsweep.common.errors import TrialError
from recsweep.recbole_api import lazy, packages, safety, source
from recsweep.recbole_api.own_source import beside, code_hash, file_of, files, foreign, properties, relative
from recsweep.sweeps.documents import nearest
from recsweep.sweeps.own_names import split

CODE = "model_code"
"""The key of a RecBole config that holds the hash of the model's code."""
_CHECKED = "scores_are_checked"
_PACKAGES: dict[str, str] = {}
"""Modules of packages that models were loaded from, and the hash of the code that they had then."""


def mistake(model: str) -> tuple[str, str] | None:
    """The fault of a model of one's own that its source shows, and how to mend it; None: none."""
    where, name = split(model)
    if file_of(model) is None:
        if where.endswith(".py"):
            return f"there is no file {where}", "a relative path is relative to the folder of this file"
        return f"there is no Python module `{where}`", "install its package, or write `path/to/file.py:Class`"
    try:
        read = files(model)
    except SyntaxError as error:
        return f"{error.filename}:{error.lineno}: {error.msg}", "correct that line"
    for path, line, module in relative(model):
        problem = f"{path}:{line}: a relative import needs a package, and this file is in none"
        return problem, f"write `{module}` without the dot: what lies beside the model's file is found"
    for path, line, package in foreign(model):
        if not packages.installed(package):
            return (
                f"{path}:{line}: there is no Python package `{package}`",
                f"run `{packages.command([package])}`",
            )
    classes = [one for path in read for one in source.classes_in(path)]
    if name not in classes:
        return f"{read[0]} has no class `{name}`", nearest(name, classes)
    if source.family_of_own(model) is None:
        path, line = next(
            (p, source.classes_in(p)[name].lineno) for p in read if name in source.classes_in(p)
        )
        return (
            f"{path}:{line}: {name} is no recommender of RecBole's",
            "derive it from GeneralRecommender, SequentialRecommender, or one of RecBole's models",
        )
    return _mistaken_properties(model)


def untyped(model: str, given: Iterable[str]) -> tuple[str, str] | None:
    """The fault of a model that says nowhere what its batches have, and how to mend it; None: it says so.

    Args:
        given: names of the settings that its file gives.
    """
    told = source.class_attribute(model, "input_type") is not None or not source.knows_bases(model)
    if told or "loss_type" in {*given, *source.published_defaults(model)}:
        return None
    _, name = split(model)
    return (
        f"{name} has no `input_type`, by which RecBole knows what a batch has to have",
        "write `input_type = InputType.PAIRWISE` into the class (beside each item one that was not chosen), "
        "or `InputType.POINTWISE` (none), after `from recbole.utils import InputType`",
    )


def scores_pairs(model: str) -> bool:
    """True where a model has a `predict`, its own or that of a model it is derived from, or may have one."""
    written = [node for node in source.lineage(model) if node.name != "AbstractRecommender"]
    methods = {part.name for node in written for part in node.body if isinstance(part, ast.FunctionDef)}
    return "predict" in methods or not source.knows_bases(model)


def _mistaken_properties(model: str) -> tuple[str, str] | None:
    """The fault of the settings that a package ships for its model."""
    try:
        source.published_defaults(model)
    except (yaml.YAMLError, TypeError, ValueError) as error:
        return f"{properties(model)} holds no settings: {str(error).splitlines()[0]}", "correct that file"
    return None


def load(model: str) -> Any:
    """The class of a model of one's own. Its code is run.

    Raises:
        TrialError: it cannot be imported; the message has its line.
    """
    _, name = split(model)
    lazy.load_shapes()
    try:
        found = getattr(_module(model, code_hash(model)), name)
    except Exception as error:
        raise TrialError(f"{_place_of(error, model)}: {type(error).__name__}: {error}") from error
    safety.close()  # what it imported of RecBole
    _check_scores(found)
    return found


def _check_scores(made: Any) -> None:
    """Let a class say that its scores are too few or too many, where torch would speak of a view."""
    theirs = getattr(made, "full_sort_predict", None)
    if not isinstance(theirs, FunctionType) or theirs.__module__.startswith("recbole."):
        return
    if _CHECKED in vars(theirs):
        return

    @wraps(theirs)
    def full_sort_predict(self: Any, interaction: Any) -> Any:
        scores, rows, items = theirs(self, interaction), len(interaction), getattr(self, "n_items", None)
        if items is not None and (not hasattr(scores, "numel") or scores.numel() != rows * items):
            are = f"shape {list(scores.shape)}" if hasattr(scores, "shape") else type(scores).__name__
            raise TrialError(
                f"{made.__name__}.full_sort_predict gave scores of {are} for {rows} rows; each has one for "
                f"each of the {items} items, padding included; give a tensor of shape [{rows}, {items}]"
            )
        return scores

    setattr(full_sort_predict, _CHECKED, True)
    made.full_sort_predict = full_sort_predict


def check_code(model: str, expected: str | None) -> None:
    """See that a model's code is what a trial was planned with.

    Raises:
        TrialError: it is not.
    """
    if expected is not None and code_hash(model) != expected:
        raise TrialError(
            f"the code of {model} is not that which the trial was planned with; its results would "
            "be of another model; put the code back, or start the sweep anew"
        )


@cache
def _module(model: str, code: str) -> ModuleType:
    """The module of a model's class, loaded once as long as its code has one hash."""
    where, _ = split(model)
    if not where.endswith(".py"):
        if _PACKAGES.setdefault(where, code) != code:
            _forget(files(model))
            _PACKAGES[where] = code
        return importlib.import_module(where)
    path = Path(where)
    spec = importlib.util.spec_from_file_location(f"recsweep_own_{path.stem}_{code[:8]}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be loaded as Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        with _from_beside(path.parent, beside(model)):
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[spec.name]
        raise
    return module


def _forget(paths: Iterable[Path]) -> None:
    """Have Python import these files again, of which one was edited since."""
    edited = {path.resolve() for path in paths}
    for name, module in list(sys.modules.items()):
        where = getattr(module, "__file__", None)
        if where is not None and Path(where).resolve() in edited:
            del sys.modules[name]
            if where.endswith(".py"):  # bytecode is told by seconds, an edit may be nearer
                Path(importlib.util.cache_from_source(where)).unlink(missing_ok=True)
    importlib.invalidate_caches()


@contextmanager
def _from_beside(folder: Path, names: list[str]) -> Iterator[None]:
    """Let a model import from its folder, before all others; theirs may have modules of the same names.

    No bytecode is kept of them: Python would take it for a file that was edited within the same second.
    """
    others = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    sys.path.insert(0, str(folder))
    kept, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = kept
        sys.path.remove(str(folder))
        sys.modules.update(others)
        if str(folder) not in sys.path:
            sys.path.append(str(folder))  # for what is imported when it is needed


def _place_of(error: Exception, model: str) -> str:
    """The last line of the model's files that an error came through."""
    own = {str(path) for path in files(model)}
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)[::-1]
    return next((f"{f.filename}:{f.lineno}" for f in frames if f.filename in own), split(model)[0])
