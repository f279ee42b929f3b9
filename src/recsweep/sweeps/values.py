"""Values as files have them: in the type that they are written in, told apart as YAML tells them apart."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

from pydantic import AllowInfNan, Strict

Whole = Annotated[int, Strict()]
Real = Annotated[float, Strict(), AllowInfNan(False)]
Flag = Annotated[bool, Strict()]
Text = Annotated[str, Strict()]
"""Values in the type that they are written in: `true` is no number, `"2"` neither."""
Scalar = Flag | Whole | Annotated[float, Strict()] | Text | None
Value = Scalar | tuple[Scalar, ...]
Number = Whole | Annotated[float, Strict()]
MOST_ROWS = 2**31 - 1
MOST_SEED = 2**32 - 1
"""NumPy seeds with 32 bits."""


def listed(value: Any) -> Any:
    """A value as YAML has it: a list for a tuple."""
    return list(value) if isinstance(value, tuple) else value


def is_number(value: Any) -> bool:
    """True for numbers, of which `true` is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def same(left: Any, right: Any) -> bool:
    """Equality that tells True from 1 (as YAML does) but not 1 from 1.0."""
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def as_text(value: Any) -> str:
    """A value as an error shows it."""
    return str(listed(value))


def finite(value: Any) -> bool:
    """False where a value is, or holds, an infinite number or none at all."""
    if isinstance(value, tuple):
        return all(map(finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def is_among(value: Any, values: Iterable[Any]) -> bool:
    """True where a value is one of several, as YAML tells values apart."""
    return any(same(value, other) for other in values)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    return "text" if isinstance(value, str) else "a list"


def mixed(values: Sequence[Any]) -> str:
    """The fault of a list of values that a model takes one for another; empty where nothing is.

    They are of one kind: `[true, 32]` and `[1, "2"]` are slips. Null may stand beside any.
    """
    first: dict[str, Any] = {}
    for value in values:
        if value is not None:
            first.setdefault(_kind(value), value)
            inside = mixed(value) if isinstance(value, tuple) else ""
            if inside:
                return inside
    if len(first) < 2:
        return ""
    (kind, one), (other, another) = list(first.items())[:2]
    return f"the values must be of one kind, but {listed(one)!r} is {kind} and {listed(another)!r} is {other}"


def checked_plain(data: dict[str, Any]) -> dict[str, Any]:
    """Settings as they are: numbers, text, true, false, null, lists and mappings of these.

    Raises:
        ValueError: something else, such as a date, bytes, or a number that is not finite.
    """
    for name, value in data.items():
        _check_plain(name, value)
    return data


def _check_plain(name: str, value: Any) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise ValueError(f"the keys of `{name}` must be text, but got {key!r}")
            _check_plain(f"{name}.{key}", item)
    elif isinstance(value, list | tuple):
        for item in value:
            _check_plain(name, item)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"`{name}` must be finite, but got {value}")
    elif not (value is None or isinstance(value, bool | int | float | str)):
        kind = type(value).__name__
        raise ValueError(f"`{name}` must be a number, text, true, false, null or a list, but is a {kind}")
