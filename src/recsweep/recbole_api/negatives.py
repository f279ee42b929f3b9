"""Negative sampling as RecBole heeds it: `train_neg_sample_args`, and which models draw negatives at all."""

from __future__ import annotations

import ast
import math
from functools import cache
from typing import Any, Literal

from recsweep.recbole_api import catalog, source
from recsweep.recbole_api.own_source import until_changed
from recsweep.sweeps.documents import nearest
from recsweep.sweeps.own_names import is_own

KEY = "train_neg_sample_args"
Use = Literal["never", "pairs", "labels", "unless CE", "not at all"]
"""How a model uses negatives.

never: its loader draws none; pairs: each row has one as its other half; labels: rows of their own, labelled
0; unless CE: as pairs, but that loss ranks all items; not at all: its loader draws them, and its loss takes
them for what users chose.
"""
ONE_EACH = {"distribution": "uniform", "sample_num": 1}
"""A negative for each interaction: what a model that learns labels gets where the data have none."""
_FORM = "write `{distribution: uniform, sample_num: 1}`"


@cache
def distributions() -> tuple[str, ...]:
    """How RecBole draws negatives; the loader's own list of names."""
    loaders = source.recbole_folder() / "data" / "dataloader" / "abstract_dataloader.py"
    for node in ast.walk(source.parsed(loaders)):
        if isinstance(node, ast.Compare) and "distribution" in ast.unparse(node.left):
            if isinstance(node.comparators[0], ast.List):
                return tuple(ast.literal_eval(node.comparators[0]))
    return ("uniform", "popularity")


@until_changed
def use(model: str) -> Use:
    """How a model uses negatives in training."""
    if model in _user_models():
        return "never"
    if source.family(model) == "exlib":  # trees tell 1 from 0 too, though by no gradient
        return "labels"
    if not catalog.learns(model):
        return "not at all" if _counts_its_batches(model) else "never"
    kind = source.class_attribute(model, "input_type")
    if kind is None or ("loss_type" in catalog.reads(model) and source.family(model) == "sequential"):
        return "unless CE" if _knows_bpr(model) else "not at all"
    if kind.endswith("PAIRWISE"):
        return "pairs"
    return "labels" if "LABEL_FIELD" in catalog.reads(model) else "not at all"


def _knows_bpr(model: str) -> bool:
    """True where a model's code names BPR, the loss of pairs; of one's own, with what it builds on."""
    parts = source.sources(model) if is_own(model) else [source.parsed(source.model_file(model))]
    return any("BPR" in ast.unparse(part) for part in parts)


def _counts_its_batches(model: str) -> bool:
    """True for a model that learns by no gradient, and yet looks at the rows of its loader: Pop."""
    node = next(
        (
            part
            for own in source.lineage(model)
            for part in own.body
            if isinstance(part, ast.FunctionDef) and part.name == "calculate_loss"
        ),
        None,
    )
    if node is None or len(node.args.args) < 2:
        return False
    read = (one.id for one in ast.walk(node) if isinstance(one, ast.Name))
    return node.args.args[1].arg in read


@cache
def _user_models() -> frozenset[str]:
    """Models whose loader gives whole users: a table in RecBole's `get_dataloader`."""
    for node in ast.walk(source.parsed(source.recbole_folder() / "data" / "utils.py")):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "register_table":
            keys = node.value.keys if isinstance(node.value, ast.Dict) else []
            return frozenset(ast.literal_eval(key) for key in keys if key is not None)
    return frozenset()


def mistake(value: Any) -> tuple[str, str] | None:
    """The fault of `train_neg_sample_args`, whatever the model; None where RecBole heeds it."""
    if value is None:
        return None
    if not isinstance(value, dict):
        return f"must hold keys and values, but got {value!r}", _FORM
    default = source.overall_defaults()[KEY]
    names = list(default) if isinstance(default, dict) else []
    for name, given in value.items():
        if name in distributions():
            written = f"{{distribution: {name}, sample_num: {given}}}"
            return f"RecBole no longer heeds `{name}: {given}`, and would draw one", f"write `{written}`"
        if name not in names:
            return f"has no `{name}`", nearest(str(name), names)
        if (wrong := _wrong(name, given)) is not None:
            return f"`{name}` must be {wrong}, but got {given!r}", _FORM
    return _inconsistent({**dict.fromkeys(names), **value})


def _wrong(name: str, given: Any) -> str | None:
    """The rule that a part breaks, in words; None where it breaks none."""
    whole = isinstance(given, int) and not isinstance(given, bool)
    number = whole or (isinstance(given, float) and math.isfinite(given))
    rules = {
        "distribution": (given in distributions(), f"one of {', '.join(distributions())}"),
        "sample_num": (whole and given >= 1, "a whole number of at least 1"),
        "alpha": (number and given > 0, "a number > 0"),
        "dynamic": (isinstance(given, bool), "true or false"),
        "candidate_num": (whole and given >= 0, "a whole number of at least 0"),
    }
    right, rule = rules.get(name, (True, ""))
    return None if right else rule


def _inconsistent(value: dict[str, Any]) -> tuple[str, str] | None:
    """Parts that RecBole would ignore beside the others."""
    if value["dynamic"] and not value["candidate_num"]:
        return "`dynamic` chooses among candidates, but there is no `candidate_num`", "add `candidate_num: 4`"
    if value["candidate_num"] and not value["dynamic"]:
        return "`candidate_num` is heeded with `dynamic: true` only", "add it, or drop `candidate_num`"
    if value["alpha"] not in (None, 1) and value["distribution"] != "popularity":
        return "`alpha` is heeded with `distribution: popularity` only", "set it, or drop `alpha`"
    return None
