"""RecBole's `hyper.test`: a parameter a line, its type, its values. Nothing in it is evaluated.

RecBole splits a line at spaces, joins what comes after the second, and evaluates the values of a choice;
here these are Python literals, which is all that people write. `loguniform` has logarithms as its bounds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recsweep.common.errors import InputError
from recsweep.sweeps.documents import nearest
from recsweep.sweeps.literals import literal

TYPES = ("choice", "uniform", "quniform", "loguniform", "randint")
_BOUNDS = {"uniform": ("low", "high"), "quniform": ("low", "high", "q"), "loguniform": ("low", "high")}


@dataclass(frozen=True)
class HyperSpace:
    """The parameters of a file, as a model file has them, and what was changed."""

    space: dict[str, dict[str, Any]]
    changes: list[str]


def read_hyper(path: Path) -> HyperSpace:
    """The search space of a file.

    Raises:
        InputError: a line that RecBole would not read, or would ignore, or that no space can have.
    """
    found = HyperSpace({}, [])
    for number, line in _lines(path):
        words = line.split()
        name, kind = words[0], words[1] if len(words) > 1 else ""
        column = line.find(kind, line.find(name) + len(name)) + 1 if kind else len(line) + 1
        if kind not in TYPES:
            problem = f"`{kind}` is no type of a parameter" if kind else f"`{name}` has no type"
            raise InputError(path, problem, nearest(kind, TYPES), number, column)
        if name in found.space:
            raise InputError(path, f"`{name}` stands twice", "keep one line", number, line.find(name) + 1)
        given = "".join(words[2:])
        column = line.find(words[2], column) + 1 if given else len(line) + 1
        try:
            found.space[name] = _parameter(kind, given)
        except ValueError as error:
            raise InputError(path, f"`{name}`: {error}", _example(kind), number, column) from None
        found.changes.extend(_said(name, kind, given, found.space[name]))
    if not found.space:
        raise InputError(
            path, "has no parameter", "write a line such as `learning_rate choice [0.01,0.005]`", 1, 1
        )
    return found


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that say something, with their numbers."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(path, "there is no such file", "name a hyper.test", 1, 1) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(path, f"cannot be read ({error})", "make it a UTF-8 file", 1, 1) from None
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, line


def _parameter(kind: str, given: str) -> dict[str, Any]:
    """A parameter as a model file has it.

    Raises:
        ValueError: the values are none of its type.
    """
    if not given:
        raise ValueError("has no values")
    if kind == "choice":
        return {"type": "choice", "values": _choices(given)}
    if kind == "randint":
        bounds = [_whole(word) for word in given.split(",")]
        first, end = [0, *bounds] if len(bounds) == 1 else bounds if len(bounds) == 2 else [1, 0]
        if first >= end - 1:
            raise ValueError(f"must have a low and a higher number, but got {given}")
        return {"type": "randint", "min": first, "max": end - 1}
    names = _BOUNDS[kind]
    numbers = [_number(word) for word in given.split(",")]
    if len(numbers) != len(names):
        raise ValueError(f"must have {len(names)} numbers ({','.join(names)}), but got {given}")
    low, high = numbers[:2]
    if not low < high:
        raise ValueError(f"low must be below high, but got {given}")
    if kind == "loguniform":
        if high > 100:
            raise ValueError(
                f"has the logarithms of its bounds, but exp({high:g}) is no bound of a parameter"
            )
        return {"type": kind, "min": float(f"{math.exp(low):.6g}"), "max": float(f"{math.exp(high):.6g}")}
    return {"type": kind, "min": low, "max": high} | (_grid(numbers) if kind == "quniform" else {})


def _grid(numbers: list[int | float]) -> dict[str, Any]:
    """Bounds that are multiples of q: hyperopt rounds to them what it draws."""
    low, high, step = numbers
    if step <= 0:
        raise ValueError(f"q must be above 0, but got {step:g}")
    least, most = round(low / step), round(high / step)
    if least >= most:
        raise ValueError(f"q={step:g} leaves one value between {low:g} and {high:g}")
    made = [float(f"{one * step:.12g}") for one in (least, most)]
    whole = isinstance(step, int)
    return {"min": int(made[0]) if whole else made[0], "max": int(made[1]) if whole else made[1], "q": step}


def _choices(given: str) -> list[Any]:
    values = literal(given)
    if not isinstance(values, list | tuple) or not values:
        raise ValueError(f"must have a list of values, but got {given}")
    plain = [_unpacked(value) for value in values]
    kept: list[Any] = []
    for value in plain:
        if not any(type(value) is type(other) and value == other for other in kept):
            kept.append(value)
    return kept


def _unpacked(value: Any) -> Any:
    """A value of a choice: `'[64,32]'` is the list that RecBole makes of it."""
    if isinstance(value, str) and value.strip()[:1] in ("[", "("):
        value = literal(value)
    if isinstance(value, tuple):
        value = list(value)
    if isinstance(value, dict | set | bytes | complex):
        raise ValueError(f"has {value!r}, which no parameter can be")
    return value


def _number(word: str) -> int | float:
    """A finite number, whole where it is written so.

    Raises:
        ValueError: it is none.
    """
    try:
        number = float(word)
    except ValueError:
        raise ValueError(f"must have numbers, but got {word!r}") from None
    if not math.isfinite(number) or "_" in word:
        raise ValueError(f"must have finite numbers, but got {word!r}")
    return int(word) if word.lstrip("+-").isdigit() else number


def _whole(word: str) -> int:
    number = _number(word)
    if not isinstance(number, int):
        raise ValueError(f"must have whole numbers, but got {word!r}")
    return number


def _example(kind: str) -> str:
    examples = {"choice": "[0.01,0.005]", "uniform": "0,0.5", "quniform": "32,128,32", "loguniform": "-8,0"}
    return f"write it as `{kind} {examples.get(kind, '1,5')}`"


def _said(name: str, kind: str, given: str, made: dict[str, Any]) -> Iterator[str]:
    """How a parameter differs from what is written."""
    span = f"{made['min']:g} to {made['max']:g}" if kind != "choice" else ""
    if kind == "loguniform":
        yield f"{name}: loguniform {given} has logarithms in RecBole; here {span}"
    if kind == "randint":
        yield f"{name}: randint {given} leaves out its high end; here {span}, both of them"
    if kind == "quniform" and [float(word) for word in given.split(",")[:2]] != [made["min"], made["max"]]:
        yield f"{name}: quniform {given} is rounded to multiples of q; here {span}"
    if kind == "choice" and len(made["values"]) < len(literal(given)):
        yield f"{name}: a value stands several times; once here"
    if kind == "choice" and any(isinstance(one, str) and one.strip()[:1] in "[(" for one in literal(given)):
        yield f"{name}: lists in quotes are lists"
