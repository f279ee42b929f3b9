"""Which values of a setting RecBole heeds. It takes any, and ignores what it does not know.

`learner: lion` trains with Adam, `aggregator: maen` with whatever stands in the last `else`, and an embedding
of size 0 wins. What is right follows from RecBole itself: the type of the default that it ships, and the
words that its source compares a setting with (`words`).
"""

from __future__ import annotations

import importlib.util
import math
import re
from functools import cache
from typing import Any

from recsweep.recbole_api import negatives, source, words
from recsweep.sweeps.documents import nearest

Mistake = tuple[str, str]
"""The fault of a value, and how to mend it."""
_VERBS = ("must", "has", "is", "reads")

# Whole numbers by RecBole's default that are real ones by their meaning.
_REAL = re.compile(r"ratio|weight|prob|drop|resolution|^q$|^w_|^reg_")
# Whole numbers that RecBole's models take as 0, where it means that a part is left out.
_MAY_BE_ZERO = re.compile(r"_steps?$|^n_facet_|^context_norm$|^use_|^split_to$")
_SHARE = re.compile(r"drop|^mask_ratio$|^corruption_ratio$|^ft_ratio$")
_POSITIVE = re.compile(r"temperature|tau$|^ssl_temp$|^layer_norm_eps$")
_NOT_NEGATIVE = re.compile(r"^learning_rate$|^weight_decay$|^reg_weights?(_\d)?$")
_WEIGHTS_FROM_FILES = re.compile(r"_path$|^warm_up$|^xgb_model$")
_PACKAGES = {"louvain": "community"}
"""Packages that RecBole imports for one value of a setting."""
# A number, or several as text: `500,100,20`.
_SEVERAL = re.compile(r"^reranker_CAN_NUM$")
_CLIPPING = {"max_norm": "a number > 0", "norm_type": "a number", "error_if_nonfinite": "true or false"}


def mistake(model: str, key: str, value: Any) -> Mistake | None:
    """The fault of a value of a setting that a model reads; None where RecBole heeds it."""
    wrong = _mistake(model, key, value)
    if wrong is None or f"`{key}" in wrong[0]:
        return wrong
    named = f"`{key}` {wrong[0]}" if wrong[0].startswith(_VERBS) else f"`{key}`: {wrong[0]}"
    return named, wrong[1]


def _mistake(model: str, key: str, value: Any) -> Mistake | None:
    if key == "train_neg_sample_args":
        return negatives.mistake(value)
    if key == "clip_grad_norm":
        return _clipping(value)
    if _WEIGHTS_FROM_FILES.search(key):
        return _unless(value in (None, ""), "reads weights from a file, which a trial never does", "drop it")
    if (model, key) == ("LDiffRec", "n_cate"):
        return _unless(value == 1, "reads item vectors from a pickle, which a trial never does", "use 1")
    if key == "train_stage":
        problem = "is of no use here: all stages are trained, one after the other"
        return _unless(value == "finetune", problem, "drop it")
    default = words.shipped(model, key)
    if key == "transform":
        return _unless(value == default, f"is part of the model: {_text(default)}", "drop it")
    if isinstance(default, str):
        return _word(model, key, value, default)
    if isinstance(default, list):
        return _list(key, value, default)
    return _single(key, value, default)


def _word(model: str, key: str, value: Any, default: str) -> Mistake | None:
    if not isinstance(value, str):
        return f"must be text, but got {_text(value)}", f"write a word, such as {default or 'none'}"
    if key == "learner":
        learners = words.learners()
        if value.lower() in learners:
            return None
        return f"RecBole has no optimizer `{value}`, and would train with Adam", nearest(value, learners)
    known_words = words.choices(model, key)
    if (package := _PACKAGES.get(value, "")) and importlib.util.find_spec(package) is None:
        return f"`{value}` needs the Python package {package}, which is not installed", "use another"
    if value in known_words or (len(known_words) < 2 and key != "loss_type"):
        return None
    return f"{model} knows no `{key}: {value}`", nearest(value, known_words)


def _list(key: str, value: Any, default: list[Any]) -> Mistake | None:
    if isinstance(value, str) and value.strip().startswith("["):
        return f"must be a list, but got the text {value!r}", f"write {value} without quotes"
    if not isinstance(value, list | tuple):
        return f"must be a list, but got {_text(value)}", f"write [{_text(value)}]"
    if _fixed_length(key, default) and len(value) != len(default):
        return f"must have {len(default)} parts, but got {_text(value)}", f"RecBole ships {_text(default)}"
    for part in value:
        wrong = _single(key, part, default[0] if default else None)
        if wrong is not None:
            return f"in {_text(value)}: each part {wrong[0]}", wrong[1]
    return None


def _fixed_length(key: str, default: list[Any]) -> bool:
    """Weights and dropouts have a place each; widths are as many as there are layers."""
    return bool(default) and all(isinstance(part, float) for part in default)


def _single(key: str, value: Any, default: Any) -> Mistake | None:
    use = f"use {_text(default)}, which RecBole ships" if default is not None else "correct the value"
    if isinstance(default, bool):
        right = isinstance(value, bool) or (_is_number(value) and _also_number(key))
        return _unless(right, f"must be true or false, but got {_text(value)}", "write true or false")
    if isinstance(default, str):
        return _unless(isinstance(value, str), f"must be text, but got {_text(value)}", "write a word")
    if not isinstance(default, int | float):
        return None if not _is_number(value) else _within(key, value, use)
    if isinstance(value, str) and _SEVERAL.search(key) and re.fullmatch(r"\d+(,\d+)*", value):
        return None
    if isinstance(value, str):
        return f"must be a number, but got the text {value!r}", "write it without quotes"
    if not _is_number(value):
        return f"must be a number, but got {_text(value)}", use
    if isinstance(default, int) and not _REAL.search(key):
        return _whole(key, value, default, use)
    return _within(key, value, use)


@cache
def _also_number(key: str) -> bool:
    """True where some model ships a real number for a setting that another ships otherwise."""
    return any(isinstance(source.published_defaults(m).get(key), float) for m in source.models())


def _whole(key: str, value: int | float, default: int, use: str) -> Mistake | None:
    if not isinstance(value, int):
        fix = f"write {int(value)}" if float(value).is_integer() else use
        return f"must be a whole number, but got {_text(value)}", fix
    if default < 0:
        return None
    least = 0 if default == 0 or _MAY_BE_ZERO.search(key) else 1
    return _unless(value >= least, f"must be at least {least}, but got {value}", use)


def _within(key: str, value: int | float, use: str) -> Mistake | None:
    if not math.isfinite(value):
        return f"must be finite, but got {value}", use
    if _SHARE.search(key):
        return _unless(0 <= value <= 1, f"must be between 0 and 1, but got {_text(value)}", use)
    if _POSITIVE.search(key):
        return _unless(value > 0, f"must be > 0, but got {_text(value)}", use)
    if _NOT_NEGATIVE.search(key):
        return _unless(value >= 0, f"must be >= 0, but got {_text(value)}", use)
    return None


def _clipping(value: Any) -> Mistake | None:
    """The arguments of torch's `clip_grad_norm_`, by name."""
    if value is None:
        return None
    write = "write `{max_norm: 5}`"
    if not isinstance(value, dict):
        return f"must hold the arguments of torch's clip_grad_norm_, but got {_text(value)}", write
    for name, given in value.items():
        if name not in _CLIPPING:
            return f"has no `{name}`", nearest(str(name), _CLIPPING)
        right = isinstance(given, bool) if name == "error_if_nonfinite" else _is_number(given)
        if not right or (name == "max_norm" and given <= 0):
            return f"`{name}` must be {_CLIPPING[name]}, but got {_text(given)}", write
    return _unless("max_norm" in value, "has no `max_norm`", write)


def _unless(right: bool, problem: str, fix: str) -> Mistake | None:
    return None if right else (problem, fix)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(value: Any) -> str:
    """A value as YAML has it."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_text, value))}]"
    return repr(value) if isinstance(value, str) and not value else str(value)
